"""Released runs of the decoder study: their tables, which a run that does not train it shows as what they are.

``python -m peft_atlas.studies.decoder.released results data/released/decoder`` puts the tables of a finished run there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from peft_atlas.errors import AtlasError
from peft_atlas.files import write_text
from peft_atlas.snakemake_support.provenance import code_version, machine
from peft_atlas.studies.decoder.jobs import NAME
from peft_atlas.tables.contract import read_table, read_tables, write_table
from peft_atlas.tables.schemas import CONTRACTS, FINDINGS
from peft_atlas.version import __version__

# Folders of released runs. The first one that is there answers the questions; what runs cost is reported of all.
FOLDERS = ("decoder_full", "decoder")
MANIFEST = "release.json"
# Contracts of the tables by their names in the folder.
TABLES = {"runs": "runs", "items": "items", "costs": "costs", "checks": "findings"}
_FACTS = ("version", "code", "machine", "date")
# Columns of costs that say nothing of a method where jobs shared a processor or a GPU.
_TIMES = ("wall_seconds", "cpu_seconds", "train_seconds", "evaluation_seconds", "examples_per_second")


@dataclass(frozen=True)
class Released:
    """The tables of a finished run of the study, and where they are from, in words."""

    runs: pd.DataFrame
    items: pd.DataFrame
    costs: pd.DataFrame
    checks: pd.DataFrame
    origin: str


def released_files(place: Path) -> list[Path]:
    """Return the files of all released runs in a folder, in the order of `FOLDERS`."""
    names = [MANIFEST, *(f"{name}.parquet" for name in TABLES)]
    found = [place / folder for folder in FOLDERS if (place / folder / MANIFEST).is_file()]
    return [folder / name for folder in found for name in names]


def read_all_released(files: Sequence[Path]) -> list[Released]:
    """Return the released runs that files belong to, in their order.

    Raises
    ------
    AtlasError
        As `read_released`.
    """
    return [read_released(folder) for folder in dict.fromkeys(file.parent for file in files)]


def read_released(folder: Path) -> Released:
    """Return a released run.

    Raises
    ------
    AtlasError
        If a table is missing or of another version of its contract, or the manifest lacks a fact.
    """
    path = folder / MANIFEST
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        known = {name: str(facts[name]) for name in _FACTS}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AtlasError(f"{path}: lacks {error}; allowed: JSON with {', '.join(_FACTS)}") from None
    tables = {name: read_table(CONTRACTS[contract], folder / f"{name}.parquet") for name, contract in TABLES.items()}
    return Released(**tables, origin=origin_in_words(known))


def origin_in_words(facts: Mapping[str, str]) -> str:
    """Return where a released run is from."""
    return (
        f"released run, not made on this machine: version {facts['version']} ({facts['code']}), {facts['machine']}, "
        f"{facts['date']}"
    )


def write_released(results: Path, folder: Path, root: Path, on: str | None = None, *, times: bool = True) -> Path:
    """Copy the study's finished tables into a folder and return the manifest's path.

    Parameters
    ----------
    results
        Folder of a run in which the study is finished.
    folder
        Where to write; its files are replaced.
    root
        The repository, whose commit the manifest states.
    on
        The machine in words; this one's kind and number of processors where None.
    times
        False where jobs shared a processor or a GPU: their times are left out, and memory stays.

    Raises
    ------
    AtlasError
        If the study has no finished runs there.
    """
    found = {name: sorted((results / "runs" / NAME).rglob(f"*.{name}.parquet")) for name in ("runs", "items", "costs")}
    checks = sorted((results / "findings").glob(f"{NAME}_rows_*.parquet"))
    if not found["runs"] or not checks:
        raise AtlasError(f"{results}: no finished runs of the study {NAME}; run snakemake {NAME} first")
    day = datetime.fromtimestamp(max(path.stat().st_mtime for path in found["runs"]), UTC).date().isoformat()
    facts = {"version": __version__, "code": code_version(root), "machine": on or _this_machine(), "date": day}
    for name, paths in found.items():
        rows = read_tables(CONTRACTS[name], paths)
        if name == "costs" and not times:
            rows = rows.assign(**dict.fromkeys(_TIMES))
        write_table(CONTRACTS[name], rows, folder / f"{name}.parquet")
    write_table(FINDINGS, _checks(checks), folder / "checks.parquet")
    write_text(folder / MANIFEST, json.dumps(facts, indent=2) + "\n")
    return folder / MANIFEST


def _checks(paths: Sequence[Path]) -> pd.DataFrame:
    whole = read_tables(FINDINGS, paths)
    return whole.assign(position=range(len(whole)))


def _this_machine() -> str:
    """Return the kind of this machine and its processors, without names of hosts or users."""
    kind = platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        kind = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), kind)
    except OSError:
        pass
    words = [machine(), f"{os.cpu_count()} processors", kind]
    return ", ".join(word for word in words if word)


def main(words: Sequence[str]) -> int:
    """Write a released run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m peft_atlas.studies.decoder.released", description=main.__doc__)
    parser.add_argument("results", type=Path, help="results of a finished run of the study")
    parser.add_argument("folder", type=Path, help=f"where to write: data/released/{' or '.join(FOLDERS)}")
    parser.add_argument("machine", nargs="?", help="the machine in words; by default this one's")
    parser.add_argument("--without-times", action="store_true", help="for jobs that shared a processor or a GPU")
    given = parser.parse_args(words)
    try:
        if given.folder.name not in FOLDERS:
            raise AtlasError(f"folder {given.folder}: allowed names: {', '.join(FOLDERS)}")
        path = write_released(given.results, given.folder, Path.cwd(), given.machine, times=not given.without_times)
    except AtlasError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"Wrote {path}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
