r"""LaTeX output for papers: numbers as commands, tables for ``\input``."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from peft_atlas.analysis.finding import POINTS
from peft_atlas.analysis.statistics import interval_name, mean_interval
from peft_atlas.files import write_text
from peft_atlas.latex import bibtex, booktabs, command_name, escape, long_booktabs, new_command
from peft_atlas.report.content import Table, table
from peft_atlas.report.tables import cells_of, memory_table, parameters_table
from peft_atlas.step import Step
from peft_atlas.tables.names import ADDED, RECORD

# What follows the name of a finding in the names of its commands.
_ENDINGS = ("", "Low", "High", "Unit", "N")
# What sources.yaml says where a source names no author.
_UNKNOWN = "not stated"
# The year of the date that a version ends with.
_YEAR = re.compile(r"\b((?:19|20)\d{2})(?:-\d{2}){0,2}$")
_HEAD = "% Written by the rule write_paper from the result tables; needs the packages {packages}.\n"


def paper_tables(
    tables: Mapping[str, pd.DataFrame], studies: Sequence[str], confidence: float = 0.95
) -> dict[str, Table]:
    """Build the tables by name.

    They are each measured study's cells and paired differences, parameter counts and memory, and the runs that a user
    added, where there are any, with intervals of that confidence.
    """
    measured = {f"measured_{study}": _cells(tables["comparison"], study) for study in studies}
    differences = {f"differences_{study}": _differences(tables["contrasts"], study) for study in studies}
    return (
        measured
        | differences
        | {"parameters": parameters_table(tables["parameters"]), "memory": memory_table(tables["memory"])}
        | {name: _added(tables[name], confidence) for name in ADDED if name in tables}
    )


def _added(runs: pd.DataFrame, confidence: float) -> Table:
    """Tabulate the mean score of each cell of added runs, with its interval where a cell has several seeds."""
    keys = ["task", "model", "metric", "split", "method", "setting", "rank", "learning_rate"]
    cells = []
    for key, part in runs.groupby(keys, dropna=False):
        estimate = mean_interval(100 * part["score"].astype(float), confidence).within(0, 100)
        found = {"score (%)": estimate.mean, "low": estimate.low, "high": estimate.high, "runs": len(part)}
        cells.append(dict(zip(keys, key, strict=True)) | found)
    shown = pd.DataFrame(cells).astype({"low": float, "high": float})
    shown = shown[[column for column in shown if shown[column].notna().any()]]
    caption = f"Mean scores of runs that were added, not measured here; low and high: {interval_name(confidence)}."
    formats = {"score (%)": ".2f", "low": ".2f", "high": ".2f", "learning_rate": "g"}
    return table(caption, shown, formats)


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


def _differences(contrasts: pd.DataFrame, study: str) -> Table:
    """Tabulate the paired differences of a study in percentage points, without columns that are empty for it."""
    rows = contrasts[(contrasts["study"] == study) & (contrasts["unit"] == "fraction")]
    columns = ["question", "role", "task", "method", "setting", "rank", "alpha", "shift_rank", "train_examples"]
    columns += ["reference", "difference", "low", "high", "n", "p_adjusted", "detectable"]
    shown = rows[[column for column in columns if rows[column].notna().any() or column == "difference"]].copy()
    points = {"difference": "+.1f", "low": "+.1f", "high": "+.1f", "detectable": ".1f"}
    for column in points.keys() & set(shown.columns):
        shown[column] = 100 * shown[column].astype(float)
    shown["question"] = shown["question"].str.replace("_", " ")
    names = {"shift_rank": "shift", "train_examples": "examples", "n": "seeds", "p_adjusted": "adjusted p"}
    intervals = ", ".join(dict.fromkeys(rows["interval"].dropna().str.partition(",")[0]))
    decided = int((rows["indistinguishable"] == False).sum())  # noqa: E712
    caption = (
        f"{decided} of {len(rows)} paired differences of the {study} study differ from 0 by their adjusted test. "
        f"Percentage points; low and high: {intervals or 'none'}; detectable with 80 % power."
    )
    return table(caption, shown.rename(columns=names), points | {"adjusted p": ".2g", "alpha": "g"})


def bibliography(published: pd.DataFrame, record: Iterable[pd.DataFrame]) -> str:
    """Return a BibTeX entry for each source of a published number, and for each repository of recorded runs.

    Parameters
    ----------
    published
        The table of that contract; the key of an entry is the source's id there.
    record
        Tables with the columns ``repository`` and ``commit``; the key is the repository with ``_`` for ``/``.
    """
    sources = published.drop_duplicates("source").sort_values("source")
    entries = [_source_entry(row) for row in sources.to_dict("records")]
    rows = pd.concat([table[["repository", "commit"]] for table in record], ignore_index=True)
    for name, commits in rows.groupby("repository", sort=True)["commit"]:
        entries.append(_repository_entry(str(name), sorted(set(commits.dropna()))))
    return "% Written by the rule write_paper: the sources of the published numbers.\n" + "\n".join(entries)


def _source_entry(row: Mapping[Any, Any]) -> str:
    version = "" if pd.isna(row["source_version"]) else str(row["source_version"])
    year = _YEAR.search(version)
    authors = str(row["source_authors"])
    fields = {
        "title": str(row["source_title"]),
        "year": year[1] if year else "",
        "howpublished": str(row["source_identifier"]),
        "note": version,
    }
    return bibtex(str(row["source"]), "" if authors == _UNKNOWN else authors, fields)


def _repository_entry(name: str, commits: Sequence[str]) -> str:
    read = f"commit {commits[0][:12]}" if len(commits) == 1 else f"{len(commits)} commits"
    fields = {"title": name, "howpublished": f"github.com/{name}", "note": read}
    return bibtex(name.replace("/", "_").lower(), "", fields)


def numbers(findings: pd.DataFrame) -> str:
    r"""Define LaTeX commands for each finding's effect, interval, unit and n, where it has an effect.

    The finding ``notebook_gain`` defines ``\atlasNotebookGain``, ``...Low``, ``...High``, ``...Unit`` and ``...N``.
    Names that an earlier finding has, as with tasks ``a-b`` and ``a_b``, end in ``NoTwo``, ``NoThree`` and so on.
    """
    lines, taken = [_HEAD.format(packages="none")], set[str]()
    for row in findings[findings["effect"].notna()].sort_values("position").itertuples():
        parts = {"": row.effect, "Low": row.low, "High": row.high}
        known = {name: _number(value, str(row.unit)) for name, value in parts.items() if not pd.isna(value)}
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


def _number(value: float, unit: str) -> str:
    """Format a number as the report rounds it, in math mode, so that a minus sign is typeset as one."""
    if unit.startswith(POINTS):
        return f"${value:+.1f}$"
    if unit == "ratio":
        return f"${value:.2f}$"
    whole = float(value).is_integer() or abs(value) >= 1e4
    return f"${value:,.0f}$".replace(",", "{,}") if whole else f"${value:.3g}$"


# From so many rows on a table breaks over pages.
_LONG = 30


def _as_latex(name: str, shown: Table) -> str:
    r"""Return a table for ``\input``: a tabular, or a longtable with caption and label where it is long."""
    if len(shown.rows) < _LONG:
        return (
            _HEAD.format(packages="booktabs")
            + f"% {shown.caption}\n"
            + booktabs(shown.header, shown.rows, shown.numeric)
        )
    label = f"tab:{name.replace('_', '-')}"
    whole = long_booktabs(shown.header, shown.rows, shown.numeric, shown.caption, label)
    return _HEAD.format(packages="booktabs, longtable") + whole


def write_paper(
    tables: Mapping[str, pd.DataFrame], studies: Sequence[str], folder: Path, confidence: float = 0.95
) -> None:
    """Write ``numbers.tex``, one file per table and ``sources.bib``, each atomically."""
    record = [table for name, table in tables.items() if name in RECORD and "repository" in table]
    write_text(folder / "numbers.tex", numbers(tables["findings"]))
    write_text(folder / "sources.bib", bibliography(tables["published"], record))
    for name, shown in paper_tables(tables, studies, confidence).items():
        write_text(folder / f"{name}.tex", _as_latex(name, shown))


def paper_step(step: Step) -> None:
    """Write the LaTeX numbers and tables."""
    tables = {name: step.read(name) for name in step.params["tables"]}
    write_paper(tables, step.params["studies"], step.output("numbers").parent, step.params["confidence"])
