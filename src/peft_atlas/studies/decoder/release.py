"""Release a finished run of the decoder study: copy its tables to where a run that does not train it finds them.

``python -m peft_atlas.studies.decoder.release results data/released/decoder`` does so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from snakemake.utils import update_config

from peft_atlas.config import load_config
from peft_atlas.errors import AtlasError
from peft_atlas.files import write_text
from peft_atlas.snakemake_support.provenance import code_version, machine
from peft_atlas.studies.decoder.config import DecoderConfig
from peft_atlas.studies.decoder.jobs import NAME, ROW_CHECKS, reference_config, run_config, run_files
from peft_atlas.studies.decoder.released import FOLDERS, MANIFEST
from peft_atlas.tables.configuration_mark import configuration_digest, require_configurations
from peft_atlas.tables.contract import read_tables, write_table
from peft_atlas.tables.schemas import CONTRACTS, FINDINGS
from peft_atlas.version import __version__

# Columns of costs that say nothing of a method where jobs shared a processor or a GPU.
_TIMES = ("wall_seconds", "cpu_seconds", "train_seconds", "evaluation_seconds", "examples_per_second")


def write_released(
    results: Path,
    folder: Path,
    root: Path,
    on: str | None = None,
    *,
    config: DecoderConfig | None = None,
    times: bool = True,
) -> Path:
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
    config
        The configuration whose tables are taken, which must all be there; every table that is there where None.
    times
        False where jobs shared a processor or a GPU: their times are left out, and memory stays.

    Raises
    ------
    AtlasError
        If the study has no finished runs there, or they lack a table of the configuration, or hold one of another.
    """
    found, checks = _tables(results, config)
    needed = [*found["runs"], *found["items"], *found["costs"], *checks]
    absent = next((path for path in needed if not path.is_file()), None)
    if absent is not None or not found["runs"] or not checks:
        with_it = "" if absent is None else f" with {absent}"
        raise AtlasError(f"{results}: no finished run of the study {NAME}{with_it}; run snakemake {NAME} first")
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


def _tables(results: Path, config: DecoderConfig | None) -> tuple[dict[str, list[Path]], list[Path]]:
    """Return the tables of runs, items and costs, and those of the checks."""
    kinds = ("runs", "items", "costs")
    if config is None:
        found = {kind: sorted((results / "runs" / NAME).rglob(f"*.{kind}.parquet")) for kind in kinds}
        return found, sorted((results / "findings").glob(f"{NAME}_rows_*.parquet"))
    place = results.parent
    found = {kind: [place / path for path in run_files(config, kind)] for kind in kinds}
    allowed = [each(config, task) for task in config.tasks for each in (run_config, reference_config)]
    for paths in found.values():
        require_configurations(paths, [configuration_digest(each) for each in allowed])
    return found, [place / ROW_CHECKS.format(decoder_task=task.name) for task in config.tasks]


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


def _configured(changes: Path | None) -> DecoderConfig:
    """Return the study's section of config.yaml in this folder, changed by a file as Snakemake changes it."""
    values: dict[str, Any] = {}
    for path in ("config.yaml", changes):
        if path is not None:
            update_config(values, yaml.safe_load(Path(path).read_text(encoding="utf-8")))
    return load_config(values).decoder


def main(words: Sequence[str]) -> int:
    """Write a released run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m peft_atlas.studies.decoder.release", description=main.__doc__)
    parser.add_argument("results", type=Path, help="results of a finished run of the study")
    parser.add_argument("folder", type=Path, help=f"where to write: data/released/{' or '.join(FOLDERS)}")
    parser.add_argument("machine", nargs="?", help="the machine in words; by default this one's")
    parser.add_argument("--without-times", action="store_true", help="for jobs that shared a processor or a GPU")
    parser.add_argument(
        "--configfile", type=Path, help="what the run changed in config.yaml, as Snakemake was given it"
    )
    given = parser.parse_args(words)
    try:
        if given.folder.name not in FOLDERS:
            raise AtlasError(f"folder {given.folder}: allowed names: {', '.join(FOLDERS)}")
        config, times = _configured(given.configfile), not given.without_times
        path = write_released(given.results, given.folder, Path.cwd(), given.machine, config=config, times=times)
    except AtlasError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"Wrote {path}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
