r"""LaTeX output for papers: numbers as commands, tables for ``\input``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pandas as pd

from peft_atlas.files import write_text
from peft_atlas.latex import booktabs, command_name, escape, new_command
from peft_atlas.report.content import Table, table
from peft_atlas.report.tables import cells_of, memory_table, parameters_table
from peft_atlas.step import Step

# What follows the name of a finding in the names of its commands.
_ENDINGS = ("", "Low", "High", "Unit", "N")
_HEAD = "% Written by the rule write_paper from the result tables; needs the packages {packages}.\n"


def paper_tables(tables: Mapping[str, pd.DataFrame], studies: Sequence[str]) -> dict[str, Table]:
    """Build the tables by name: the cells of each measured study, parameter counts, and memory."""
    measured = {f"measured_{study}": _cells(tables["comparison"], study) for study in studies}
    return measured | {"parameters": parameters_table(tables["parameters"]), "memory": memory_table(tables["memory"])}


def _cells(comparison: pd.DataFrame, study: str) -> Table:
    """Tabulate each cell's mean and interval, dropping columns that are empty for this study."""
    cells = cells_of(comparison, study)
    columns = [
        "task",
        "base_model",
        "method",
        "setting",
        "rank",
        "alpha",
        "params_percent",
        "value",
        "low",
        "high",
        "n",
    ]
    shown = cells[[column for column in columns if cells[column].notna().any()]]
    shown = shown.assign(task=shown["task"].str.removeprefix(f"{study}: ").str.replace("_", " "))
    # The interval of a mean over few seeds can leave what an accuracy can be.
    shown = shown.assign(**{end: shown[end].clip(0, 100) for end in ("low", "high") if end in shown})
    named = {"base_model": "model", "params_percent": "parameters (%)", "value": "accuracy (%)", "n": "seeds"}
    formats = {"parameters (%)": ".3g", "accuracy (%)": ".2f", "low": ".2f", "high": ".2f", "alpha": "g"}
    return table(f"Test accuracy of each cell of the {study} study.", shown.rename(columns=named), formats)


def numbers(findings: pd.DataFrame) -> str:
    r"""Define LaTeX commands for each finding's effect, interval, unit and n, where it has an effect.

    The finding ``notebook_gain`` defines ``\atlasNotebookGain``, ``...Low``, ``...High``, ``...Unit`` and ``...N``.
    Names that an earlier finding has, as with tasks ``a-b`` and ``a_b``, end in ``NoTwo``, ``NoThree`` and so on.
    """
    lines, taken = [_HEAD.format(packages="none")], set[str]()
    for row in findings[findings["effect"].notna()].sort_values("position").itertuples():
        parts = {"": row.effect, "Low": row.low, "High": row.high}
        known = {name: _number(value) for name, value in parts.items() if not pd.isna(value)}
        texts = known | {"Unit": escape(str(row.unit)), "N": "" if pd.isna(row.n) else str(row.n)}
        lines.append(f"% {' '.join(row.statement.split())}\n")
        name = _unused(command_name("atlas", row.kind if row.kind != "answer" else "", row.id), taken)
        taken |= {name + ending for ending in _ENDINGS}
        lines += [new_command(name + ending, text) + "\n" for ending, text in texts.items() if text]
    return "".join(lines)


def _unused(name: str, taken: Collection[str]) -> str:
    """Return a name, with a number behind it if need be, so that no command of the finding is another's."""
    names = (name, *(command_name(name[1:], f"no{number}") for number in range(2, len(taken) + 3)))
    return next(new for new in names if all(new + ending not in taken for ending in _ENDINGS))


def _number(value: float) -> str:
    """Format a number in math mode, so that a minus sign is typeset as one."""
    return f"${value:,.4g}$".replace(",", "{,}") if abs(value) < 1e4 else f"${value:,.0f}$".replace(",", "{,}")


def write_paper(tables: Mapping[str, pd.DataFrame], studies: Sequence[str], folder: Path) -> None:
    """Write ``numbers.tex`` and one file per table, each atomically."""
    write_text(folder / "numbers.tex", numbers(tables["findings"]))
    for name, shown in paper_tables(tables, studies).items():
        head = _HEAD.format(packages="booktabs") + f"% {shown.caption}\n"
        write_text(folder / f"{name}.tex", head + booktabs(shown.header, shown.rows, shown.numeric))


def paper_step(step: Step) -> None:
    """Write the LaTeX numbers and tables."""
    tables = {name: step.read(name) for name in step.params["tables"]}
    write_paper(tables, step.params["studies"], step.output("numbers").parent)
