"""Average accuracy and parameter percentage of each method, by base model and family of tasks, from one source."""

from __future__ import annotations

import pandas as pd

from peft_atlas.analysis.pareto import dominated, dominators
from peft_atlas.studies.literature.families import AVERAGE
from peft_atlas.studies.literature.printed_rows import exact_cells
from peft_atlas.studies.literature.recomputation import PERCENT, base_method

# The only source that was seen to print every method with corrected percentages.
SOURCE = "reft_v3"
SEED = "seed_notebook"
_CELL = ["base_model", "family", "method"]


def scores(published: pd.DataFrame, source: str = SOURCE) -> pd.DataFrame:
    """Return what one source prints of each method: accuracy and percentage of parameters, with the Pareto front.

    Returns
    -------
    pandas.DataFrame
        base_model, family, method, ``accuracy`` and ``percent`` as numbers, ``accuracy_printed`` and
        ``percent_printed``, ``dominated`` and ``dominated_by`` (methods, by comma) within the source's base model and
        family. A method trained for other epochs than the table's is left out; see `other_schedules`.
    """
    rows = _scored(published, source)
    rows = rows[rows["method"] == rows["method"].map(base_method)].reset_index(drop=True)
    groups = [_with_front(group) for _, group in rows.groupby(["base_model", "family"], sort=False)]
    return pd.concat(groups, ignore_index=True) if groups else rows.assign(dominated=[], dominated_by=[])


def scores_of_all(published: pd.DataFrame) -> pd.DataFrame:
    """Return `scores` of the main source, with the methods that it does not print, from those that do.

    Returns
    -------
    pandas.DataFrame
        The columns of `scores` and ``source``; fronts are those of all rows together.
    """
    main = scores(published)
    rows = [main.assign(source=SOURCE)]
    known = set(main[_CELL].itertuples(index=False, name=None))
    for source in dict.fromkeys(published["source"]):
        others = scores(published, source).assign(source=source) if source != SOURCE else main.iloc[:0]
        new = [key not in known for key in others[_CELL].itertuples(index=False, name=None)]
        rows.append(others[new])
        known |= set(others[_CELL].itertuples(index=False, name=None))
    whole = pd.concat([each for each in rows if len(each)] or rows[:1], ignore_index=True)
    groups = [_with_front(group) for _, group in whole.groupby(["base_model", "family"], sort=False)]
    return pd.concat(groups, ignore_index=True) if groups else whole


def other_schedules(published: pd.DataFrame, source: str = SOURCE) -> pd.DataFrame:
    """Return the rows of a source that `scores` leaves out, with ``base_method``."""
    rows = _scored(published, source)
    rows = rows.assign(base_method=rows["method"].map(base_method))
    return rows[rows["method"] != rows["base_method"]].reset_index(drop=True)


def _scored(published: pd.DataFrame, source: str) -> pd.DataFrame:
    """Return averages joined with percentages, methods of which both are printed."""
    cells = exact_cells(published[published["source"] == source])
    percents = cells[cells["metric"] == PERCENT]
    averages = cells[(cells["task"] == AVERAGE) & (cells["metric"] == "accuracy_percent")]
    left, right = (
        # Where a source prints a cell in two tables the first is kept; a difference is a row of conflicts.
        rows.drop_duplicates(_CELL)[[*_CELL, "value", "printed"]].rename(
            columns={"value": name, "printed": f"{name}_printed"}
        )
        for rows, name in ((averages, "accuracy"), (percents, "percent"))
    )
    return left.merge(right, on=_CELL, how="inner", validate="one_to_one")


def _with_front(group: pd.DataFrame) -> pd.DataFrame:
    """Return the methods of one base model and family with what dominates each."""
    params, accuracy, names = group["percent"], group["accuracy"], group["method"].to_numpy()
    by = [", ".join(names[dominators(params, accuracy, place)]) for place in range(len(group))]
    return group.assign(dominated=dominated(params, accuracy), dominated_by=by)
