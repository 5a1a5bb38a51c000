"""Snakemake's records of the outputs, kept with them, so that results handed to someone else need not be made again.

What an output was made of, and with which parameters, is in ``.snakemake``, which nobody hands on; and a copy has
other times. Without both, a fresh clone with a copied ``results`` would run every job.
"""

from __future__ import annotations

import gzip
import json
import os
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peft_atlas.errors import AtlasError
from peft_atlas.files import write_whole
from peft_atlas.snakemake_support.content import file_digest

KEPT = Path("results/records.json.gz")
_METADATA = Path(".snakemake/metadata")
_OUTPUTS = ("results", "figures")


def keep_records(folder: Path) -> None:
    """Write the records of all outputs that are there, with the digest and the time of each, into `KEPT`.

    Parameters
    ----------
    folder
        Where the workflow runs.
    """
    found = {}
    for path in sorted((folder / _METADATA).rglob("*")) if (folder / _METADATA).is_dir() else ():
        place = path.relative_to(folder / _METADATA).as_posix()
        name = _output_of(place) if path.is_file() else None
        if name is not None and (folder / name).is_file():
            facts = {"digest": file_digest(folder / name), "mtime_ns": (folder / name).stat().st_mtime_ns}
            found[name] = {**facts, "place": place, "record": path.read_text(encoding="utf-8")}
    # The time in the header is left out: the same records are the same bytes.
    data = gzip.compress(json.dumps(found, sort_keys=True).encode(), mtime=0)
    write_whole(folder / KEPT, lambda part: _fill(part, data))


def _fill(part: Path, data: bytes) -> None:
    part.write_bytes(data)


def restore_records(folder: Path, *, dry_run: bool = False) -> int:
    """Give outputs their records and times back where Snakemake has no records at all, and return how many.

    An output counts only where its content is that which was recorded.

    Parameters
    ----------
    folder
        Where the workflow runs.
    dry_run
        Whether to change nothing and only count.

    Raises
    ------
    AtlasError
        If the kept records are damaged; nothing is restored then.
    """
    here = folder / _METADATA
    if not (folder / KEPT).is_file() or (here.is_dir() and any(here.iterdir())):
        return 0
    try:
        kept = json.loads(gzip.decompress((folder / KEPT).read_bytes()))
        same = {name: entry for name, entry in kept.items() if _is_same(folder, name, entry)}
        if dry_run:
            return len(same)
        for name, entry in same.items():
            os.utime(folder / name, ns=(entry["mtime_ns"], entry["mtime_ns"]))
        # Last, so that a restoration that is interrupted is done again.
        for entry in same.values():
            path = here / entry["place"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(entry["record"], encoding="utf-8")
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, OSError) as error:
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        raise AtlasError(f"{KEPT}: its records cannot be used ({cause}); what they would spare is made again") from None
    return len(same)


def _is_same(folder: Path, name: str, entry: Mapping[str, Any]) -> bool:
    """Return whether an output is here as it was recorded; a name that leads elsewhere is not one."""
    if not isinstance(name, str) or _output_of(entry["place"]) != name or not isinstance(entry["record"], str):
        return False
    return (folder / name).is_file() and file_digest(folder / name) == entry["digest"]


def _output_of(place: str) -> str | None:
    """Return the output that a record is about, whose file is named by the output's name in base 64; else None."""
    try:
        name = urlsafe_b64decode("".join(part.removeprefix("@") for part in place.split("/"))).decode()
    except ValueError:
        return None
    parts = Path(name).parts
    return name if parts and parts[0] in _OUTPUTS and ".." not in parts else None
