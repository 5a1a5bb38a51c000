"""The command `refresh`."""

from __future__ import annotations

from pathlib import Path

import click

from peft_atlas.errors import AtlasError

_SOURCES = ("peft",)


@click.command()
@click.argument("source", type=click.Choice(_SOURCES))
@click.argument("clone", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--record",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("data/published/runs"),
    show_default=True,
    help="Folder of the record's tables.",
)
@click.option("--write", is_flag=True, help="Write the tables; otherwise only the difference is shown.")
def refresh(source: str, clone: Path, record: Path, write: bool) -> None:
    """Import SOURCE again from CLONE, a clone of its repository, and show rows added, changed and gone."""
    # pandas takes longer to import than the other commands to run.
    from peft_atlas.refresh.difference import compare, read_rows, require_valid, write_rows
    from peft_atlas.refresh.git_history import Clone
    from peft_atlas.refresh.peft_results import BENCHMARKS, imported_rows, without_result
    from peft_atlas.tables.record_schemas import BENCHMARK_RUNS

    history, differences = Clone(clone), {}
    for benchmark in BENCHMARKS:
        path = record / BENCHMARK_RUNS.name / benchmark.table
        imported = imported_rows(history, benchmark)
        if not imported:
            raise AtlasError(f"{clone}: no result in {benchmark.results}; allowed: a clone of {source}'s repository")
        differences[path] = compare(read_rows(BENCHMARK_RUNS, path), imported)
        require_valid(BENCHMARK_RUNS, differences[path].rows, path)
        first, *others = differences[path].lines()
        click.echo("\n".join([f"{path}: {first}", *others]))
        if missing := without_result(history, benchmark):
            click.echo(f"  experiments without a result: {len(missing)}: {', '.join(missing)}")
    if write:
        for path, difference in differences.items():
            write_rows(BENCHMARK_RUNS, difference.rows, path)
