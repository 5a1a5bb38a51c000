"""Croissant 1.0 metadata of result tables (http://mlcommons.org/croissant/1.0), made from their contracts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from peft_atlas.describe.origins import MIT, Origin
from peft_atlas.tables.contract import FLAG, INTEGER, NUMBER, Column, Contract
from peft_atlas.tables.schemas import CONTRACTS
from peft_atlas.version import __version__

CROISSANT = "croissant.json"
TITLE = "PEFT Atlas: measured, recomputed and published results of parameter-efficient fine-tuning"
ABOUT = (
    "Runs, means, paired comparisons and findings on parameter-efficient fine-tuning, with the published numbers that "
    "they are compared with. Each table obeys a contract with units and meanings; a missing value is null."
)
CITATION = f"The PEFT Atlas developers. PEFT Atlas: a reproducible analysis of PEFT. Version {__version__}."
_TYPES = {INTEGER: "sc:Integer", NUMBER: "sc:Float", FLAG: "sc:Boolean"}
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    **{
        name: f"cr:{name}"
        for name in (
            *(
                "citeAs",
                "column",
                "equivalentProperty",
                "extract",
                "field",
                "fileProperty",
                "fileObject",
                "fileSet",
                "format",
                "includes",
            ),
            *("isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex"),
            *("repeated", "replace", "samplingRate", "separator", "source", "subField", "transform"),
        )
    },
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
}


def croissant(tables: Mapping[str, tuple[str, bytes]], sources: Sequence[Origin], date: str) -> dict[str, Any]:
    """Return the description of some result tables.

    Parameters
    ----------
    tables
        Path, relative to the description, and content of each Parquet file, by the name of its contract.
    sources
        Where published numbers in them come from.
    date
        Date of the results, ISO 8601.
    """
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": "peft-atlas",
        "alternateName": TITLE,
        "description": ABOUT,
        "version": __version__,
        "datePublished": date,
        "license": MIT,
        "citeAs": CITATION,
        "creator": {"@type": "sc:Organization", "name": "The PEFT Atlas developers"},
        "isBasedOn": [
            {"@type": "sc:CreativeWork", "@id": each.id, "name": each.name, "license": each.licence} for each in sources
        ],
        "distribution": [_file(name, path, content) for name, (path, content) in tables.items()],
        "recordSet": [_records(CONTRACTS[name]) for name in tables],
    }


def _file(name: str, path: str, content: bytes) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": f"{name}.parquet",
        "name": f"{name}.parquet",
        "contentUrl": path,
        "contentSize": f"{len(content)} B",
        "encodingFormat": "application/x-parquet",
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _records(contract: Contract) -> dict[str, Any]:
    """Return a table's record set: its key, and a field per column."""
    return {
        "@type": "cr:RecordSet",
        "@id": contract.name,
        "name": contract.name,
        "description": f"Table {contract.name}, contract version {contract.version}.",
        "key": [{"@id": f"{contract.name}/{name}"} for name in contract.key],
        "field": [_field(contract.name, column) for column in contract.columns],
    }


def _field(table: str, column: Column) -> dict[str, Any]:
    unit = f" Unit: {column.unit}." if column.unit else ""
    return {
        "@type": "cr:Field",
        "@id": f"{table}/{column.name}",
        "name": column.name,
        "description": f"{column.description}.{unit}",
        "dataType": _TYPES.get(column.type, "sc:Text"),
        "source": {"fileObject": {"@id": f"{table}.parquet"}, "extract": {"column": column.name}},
    }
