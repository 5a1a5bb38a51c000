"""The data dictionary, made from the contracts: ``python -m peft_atlas.tables.data_dictionary FILE``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from peft_atlas.files import write_text
from peft_atlas.tables.contract import FLAG, INTEGER, NUMBER, Column, Contract
from peft_atlas.tables.schemas import CONTRACTS

_TYPES = {INTEGER: "integer", NUMBER: "number", FLAG: "yes or no"}


def data_dictionary() -> str:
    """Return every result table with its key and its columns, in Markdown."""
    head = (
        "# Data dictionary\n\n"
        "Every result table, as its contract in `src/peft_atlas/tables/schemas.py` has it (`make docs` updates this "
        'page). Read one with `peft_atlas.load("runs")`; unit and meaning are also in the schema of each Parquet file. '
        "A missing value is null, never 0.\n"
    )
    return "\n".join([head, *(_table(CONTRACTS[name]) for name in sorted(CONTRACTS))])


def _table(contract: Contract) -> str:
    """Return one table's section."""
    key = ", ".join(f"`{name}`" for name in contract.key)
    head = ["| column | type | unit | meaning |", "| --- | --- | --- | --- |"]
    rows = [*head, *map(_row, contract.columns)]
    return f"## {contract.name}\n\nContract version {contract.version}; one row per {key}.\n\n" + "\n".join(rows) + "\n"


def _row(column: Column) -> str:
    """Return one column's row; limits and allowed values belong to the meaning."""
    meaning = "; ".join([column.description, *_limits(column)]).replace("|", "\\|")
    return f"| `{column.name}` | {_TYPES.get(column.type, 'text')} | {column.unit} | {meaning} |"


def _limits(column: Column) -> Iterator[str]:
    if column.allowed:
        yield f"one of {', '.join(column.allowed)}"
    if column.limits is not None:
        low, high = column.limits
        yield f"{low:g} to {high:g}" if high != float("inf") else f"at least {low:g}"
    if column.required:
        yield "never null"


if __name__ == "__main__":
    write_text(Path(sys.argv[1]), data_dictionary())
