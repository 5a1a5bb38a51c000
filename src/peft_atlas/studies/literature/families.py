"""The family of tasks that a printed cell belongs to."""

from __future__ import annotations

AVERAGE = "Avg"
# Of the files that came with the project; a row of any other names its family in the column `family`.
FAMILIES = {
    "commonsense": "Commonsense Reasoning",
    "rank_sweep": "Commonsense Reasoning",
    "seed_notebook": "Commonsense Reasoning",
    "arithmetic": "Arithmetic Reasoning",
}
COMMONSENSE, ARITHMETIC = FAMILIES["commonsense"], FAMILIES["arithmetic"]


def family(table: str, task: str, named: str = "") -> str:
    """Return the family of a cell: the one it names, else that of its table; of an average, the table itself."""
    return named or FAMILIES.get(table, table if task == AVERAGE else task)
