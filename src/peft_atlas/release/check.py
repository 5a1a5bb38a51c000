"""Checks that all parts of a release bear its version: ``python -m peft_atlas.release.check``, in a clone.

Writes their digests to ``dist/SHA256SUMS``, as ``sha256sum --check`` reads them.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from peft_atlas.errors import AtlasError
from peft_atlas.files import write_text
from peft_atlas.version import __version__

SUMS = "SHA256SUMS"


def check_release(root: Path, version: str = __version__) -> Path:
    """Check every part of a release and return the path of the digests.

    Parameters
    ----------
    root
        The clone, with ``docs``, ``dist`` and ``build/site`` as ``make release`` makes them.
    version
        What every part must bear.

    Raises
    ------
    AtlasError
        If a part is missing or bears another version; the message names each.
    """
    parts = {
        "wheel": root / f"dist/peft_atlas-{version}-py3-none-any.whl",
        "sdist": root / f"dist/peft_atlas-{version}.tar.gz",
        "bundle": root / f"docs/peft-atlas-{version}.zip",
        "report": root / "docs/report.html",
        "manifest": root / "docs/release.json",
        "site": root / "build/site/index.html",
    }
    missing = [str(path.relative_to(root)) for path in parts.values() if not path.is_file()]
    if missing:
        raise AtlasError(f"{', '.join(missing)}: no such file; make release VERSION={version} makes it")
    try:
        found = list(_versions(root, parts))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, tarfile.TarError, RuntimeError) as error:
        raise AtlasError(f"release of {version}: a part cannot be read ({error})") from None
    wrong = sorted({f"{what} is of {other}" for what, other in found if other != version})
    if wrong:
        raise AtlasError(f"not a release of {version}: {'; '.join(wrong)}")
    files = [parts[name] for name in ("wheel", "sdist", "bundle", "report")]
    # Relative to dist, where the file of digests lies.
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {_from_dist(path, root)}" for path in files]
    write_text(root / "dist" / SUMS, "\n".join(lines) + "\n")
    return root / "dist" / SUMS


def _from_dist(path: Path, root: Path) -> str:
    return path.name if path.parent.name == "dist" else f"../{path.relative_to(root)}"


def _versions(root: Path, parts: dict[str, Path]) -> Iterator[tuple[str, str]]:
    """Yield each part with the version that it bears."""
    with zipfile.ZipFile(parts["wheel"]) as wheel:
        name = next(each for each in wheel.namelist() if each.endswith(".dist-info/METADATA"))
        yield "the wheel", _found(r"^Version: (.+)$", wheel.read(name).decode())
    with tarfile.open(parts["sdist"]) as sdist:
        info = next(each for each in sdist.getmembers() if each.name.count("/") == 1 and each.name.endswith("PKG-INFO"))
        content = sdist.extractfile(info)
        yield "the sdist", _found(r"^Version: (.+)$", content.read().decode() if content else "")
    with zipfile.ZipFile(parts["bundle"]) as bundle:
        for name in bundle.namelist():
            if name.endswith(".parquet"):
                metadata = pq.read_schema(io.BytesIO(bundle.read(name))).metadata or {}
                yield name, metadata.get(b"peft_atlas_version", b"no version").decode()
        yield "croissant.json", str(json.loads(bundle.read("croissant.json"))["version"])
    yield "docs/release.json", str(json.loads(parts["manifest"].read_text(encoding="utf-8"))["version"])
    yield "the report", _found(r"PEFT Atlas (\d+\.\d+\.\d+)", parts["report"].read_text(encoding="utf-8"))
    yield "the site", _found(r"<title>PEFT Atlas (\S+?)<", parts["site"].read_text(encoding="utf-8"))
    yield "CITATION.cff", _found(r"^version: (.+)$", (root / "CITATION.cff").read_text(encoding="utf-8"))
    yield ".zenodo.json", str(json.loads((root / ".zenodo.json").read_text(encoding="utf-8"))["version"])
    yield "CHANGELOG.md", _found(r"^## (\S+), \d{4}-", (root / "CHANGELOG.md").read_text(encoding="utf-8"))


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    return match[1] if match else "no version"


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{check_release(Path.cwd())}: every part bears {__version__}\n")
    except AtlasError as error:
        sys.exit(f"release: {error}")
