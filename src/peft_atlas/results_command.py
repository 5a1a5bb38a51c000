"""The commands that use result tables: export them, and compare two sets of them."""

from __future__ import annotations

from pathlib import Path

import click

from peft_atlas.errors import AtlasError

_SET = click.Path(path_type=Path)


@click.command()
@click.argument("archive", type=_SET)
@click.option("--from", "source", type=_SET, help="Folder of results, or a released bundle. [default: results]")
def export(archive: Path, source: Path | None) -> None:
    """Write all result tables into one zip file: Parquet, CSV, a DuckDB database and the data dictionary."""
    from peft_atlas.export import export_tables
    from peft_atlas.result_sets import RESULTS

    if archive.suffix != ".zip":
        raise AtlasError(f"{archive}: allowed: a name that ends in .zip")
    names = export_tables(source or RESULTS, archive)
    click.echo(f"{archive}: {len(names)} tables: {', '.join(names)}")


@click.command()
@click.argument("before", type=_SET)
@click.argument("after", type=_SET)
@click.option("--csv", is_flag=True, help="Print CSV.")
def diff(before: Path, after: Path, *, csv: bool) -> None:
    """Say which findings differ between two result sets: folders of results, or released bundles."""
    from peft_atlas.result_sets import changed_findings

    changed = changed_findings(before, after)
    if csv:
        click.echo(changed.to_csv(index=False), nl=False)
        return
    for row in changed.itertuples():
        click.echo(f"{row.change:8} {row.kind} {row.id}: {_in_words(row)}")
    counts = changed["change"].value_counts()
    click.echo(", ".join(f"{counts.get(name, 0)} {name}" for name in ("added", "gone", "verdict", "effect")) + ".")


def _in_words(row: object) -> str:
    """Return what a finding was and is; a side that lacks it is a dash."""
    sides = []
    for side in ("before", "after"):
        verdict, effect = getattr(row, f"verdict_{side}"), getattr(row, f"effect_{side}")
        number = "" if effect != effect else f" ({effect:.4g} {row.unit})"  # type: ignore[attr-defined]
        sides.append(f"{verdict}{number}" if isinstance(verdict, str) else "-")
    return " -> ".join(sides)
