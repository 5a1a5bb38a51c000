"""The command `add`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from peft_atlas.errors import AtlasError

_FOLDER = Path("data/added")


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", required=True, help="Name of this set of runs; its rows are in data/added/NAME.csv.")
@click.option("--task", help="Task or benchmark; what a CSV file has in a column need not be given.")
@click.option("--model", help="Model that was tuned.")
@click.option("--method", help="Fine-tuning method; full means that all weights are trained.")
@click.option("--setting", help="Other settings of the method.")
@click.option("--rank", help="Rank r.")
@click.option("--seed", help="Seed of the run.")
@click.option("--metric", help="What the score is: accuracy, exact_match, f1 or similarity.")
@click.option("--split", help="Split that it was measured on: test or validation.")
@click.option("--source", help="Where the runs come from. [default: the file's name]")
@click.option("--replace", is_flag=True, help="Replace the rows that the set has.")
def add(files: tuple[Path, ...], name: str, *, replace: bool, **options: str | None) -> None:
    """Add runs of your own to the tables, figures and report of this folder.

    FILES are results of peft's method comparison (JSON), a trainer's trainer_state.json, or CSV files with columns of
    the table added_runs (see the data dictionary). What cannot be compared is refused.
    """
    if not name.replace("-", "").replace("_", "").isalnum():
        raise AtlasError(f"--name = {name!r}: allowed: letters, digits, - and _")
    path = _FOLDER / f"{name}.csv"
    total = add_runs(files, path, {key: value for key, value in options.items() if value}, replace=replace)
    click.echo(f"{path}: {total} runs. Next: peft-atlas report")


def add_runs(files: tuple[Path, ...], path: Path, options: Mapping[str, str], *, replace: bool = False) -> int:
    """Add runs to a set and return how many it has then; nothing is written unless all of them can be compared.

    Parameters
    ----------
    files
        What `peft_atlas.add.readers.read_runs` can read.
    path
        The CSV file of the set; all other sets in its folder must be comparable too.
    options
        Values by column for what the files do not say.
    replace
        Whether to drop the rows that the set has.

    Raises
    ------
    AtlasError
        If a file cannot be read, a value is not allowed, or a run cannot be compared; the message says which and why.
    """
    from peft_atlas.add.comparable import require_benchmark_settings, require_comparable, require_valid_rows
    from peft_atlas.add.readers import read_runs
    from peft_atlas.refresh.difference import write_rows
    from peft_atlas.tables.added_schemas import ADDED_RUNS
    from peft_atlas.tables.csv_source import read_csv_tables
    from peft_atlas.tables.record_schemas import BENCHMARK_RUNS
    from peft_atlas.workflow_command import workflow_root

    new = [row for file in files for row in read_runs(file, options)]
    require_valid_rows(new)
    require_benchmark_settings(
        new, read_csv_tables(BENCHMARK_RUNS, workflow_root() / "data/published/runs" / BENCHMARK_RUNS.name)
    )
    own = [] if replace or not path.is_file() else read_runs(path, {})
    others = [row for other in sorted(path.parent.glob("*.csv")) if other != path for row in read_runs(other, {})]
    require_comparable([*others, *own, *new])
    write_rows(ADDED_RUNS, [row.fields for row in (*own, *new)], path)
    return len(own) + len(new)
