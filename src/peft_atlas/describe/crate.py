"""An RO-Crate 1.1 of a run (https://w3id.org/ro/crate/1.1): its files, what made them, and where numbers come from.

Plain JSON-LD: what a library would add are copies of the files and clock times, and both are unwanted here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from peft_atlas.describe.croissant import ABOUT, TITLE
from peft_atlas.describe.origins import MIT, Origin
from peft_atlas.tables.schemas import CONTRACTS
from peft_atlas.version import __version__

CRATE = "ro-crate-metadata.json"
_PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_FORMATS = {
    ".parquet": "application/vnd.apache.parquet",
    ".csv": "text/csv",
    ".duckdb": "application/vnd.duckdb",
    ".json": "application/ld+json",
    ".md": "text/markdown",
    ".yaml": "application/yaml",
    ".pdf": "application/pdf",
    ".svg": "image/svg+xml",
    ".tex": "application/x-tex",
}
_SOFTWARE, _ACTION, _DEVELOPERS = "#peft-atlas", "#run", "#developers"


def ro_crate(files: Mapping[str, bytes], sources: Sequence[Origin], date: str, code: str = "") -> dict[str, Any]:
    """Return the metadata of a crate.

    Parameters
    ----------
    files
        Content by path relative to the crate's root.
    sources
        Where published numbers in its tables come from.
    date
        Date of the results, ISO 8601.
    code
        Commit of the code that made them; empty if it is not known.
    """
    entities = [_file(path, content, sources) for path, content in sorted(files.items())]
    paths = [{"@id": path} for path in sorted(files)]
    configuration = [each for each in paths if PurePosixPath(each["@id"]).name == "config.yaml"]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": TITLE,
        "description": ABOUT,
        "datePublished": date,
        "license": {"@id": MIT},
        "author": {"@id": _DEVELOPERS},
        "version": __version__,
        "conformsTo": {"@id": _PROFILE},
        "hasPart": paths,
        "mentions": {"@id": _ACTION},
    }
    return {"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": [
        {
            "@id": CRATE,
            "@type": "CreativeWork",
            "about": {"@id": "./"},
            "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        },
        root,
        *entities,
        _action(configuration, [each for each in paths if each not in configuration]),
        *_context(code),
        *(_origin(each) for each in sources),
        *_licences(sources),
    ]}  # fmt: skip


def _file(path: str, content: bytes, sources: Sequence[Origin]) -> dict[str, Any]:
    place = PurePosixPath(path)
    based = [{"@id": each.id} for each in sources if place.stem in each.tables and place.suffix != ".md"]
    entity: dict[str, Any] = {
        "@id": path,
        "@type": "File",
        "name": place.name,
        "contentSize": str(len(content)),
        "encodingFormat": _FORMATS.get(place.suffix, "application/octet-stream"),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    if place.stem in CONTRACTS and place.suffix in (".parquet", ".csv"):
        entity["description"] = f"Table {place.stem}; the data dictionary has its columns."
    return {**entity, "isBasedOn": based} if based else entity


def _action(configuration: Sequence[object], results: Sequence[object]) -> dict[str, Any]:
    """Return the run: configuration in, files out. It has no times, so that equal runs make equal crates."""
    return {
        "@id": _ACTION,
        "@type": "CreateAction",
        "name": "Run of the workflow",
        "instrument": {"@id": _SOFTWARE},
        "object": list(configuration),
        "result": list(results),
    }


def _context(code: str) -> list[dict[str, Any]]:
    """Return the software, who wrote it, and the licence and profile that the root names."""
    version = f"{__version__} ({code})" if code else __version__
    return [
        {
            "@id": _SOFTWARE,
            "@type": "SoftwareApplication",
            "name": "PEFT Atlas",
            "softwareVersion": version,
            "license": {"@id": MIT},
        },
        {"@id": _DEVELOPERS, "@type": "Organization", "name": "The PEFT Atlas developers"},
        {"@id": MIT, "@type": "CreativeWork", "name": "MIT License"},
        {"@id": _PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"},
    ]


def _origin(each: Origin) -> dict[str, Any]:
    licence: object = {"@id": each.licence} if each.licence.startswith("https:") else each.licence
    return {"@id": each.id, "@type": "CreativeWork", "name": each.name, "license": licence}


def _licences(sources: Sequence[Origin]) -> list[dict[str, Any]]:
    names = sorted({each.licence for each in sources if each.licence.startswith("https:")} - {MIT})
    return [{"@id": name, "@type": "CreativeWork", "name": name.rpartition("/")[2]} for name in names]
