"""What the decoder study advises: which method to start with on a language model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from peft_atlas.analysis.finding import ATLAS, POINTS, Effect, Finding
from peft_atlas.studies.decoder.answers import difference_effect
from peft_atlas.studies.decoder.cells import ACCURACY, row_name
from peft_atlas.studies.decoder.data.items import ALL_ROWS
from peft_atlas.studies.decoder.jobs import NAME

# Fewer seeds are a hint, no result.
_LEAST_SEEDS = 3


def decoder_advice(table: pd.DataFrame, level: float) -> Iterator[Finding]:
    """Yield the setting to start with: the most accurate that differs from full fine-tuning on no task.

    The most accurate of all where each differs from full fine-tuning on a task.

    Parameters
    ----------
    table
        Cells, of the contract ``decoder_cells``.
    level
        Level of the tests, of p-values that are adjusted over all methods and tasks.
    """
    rows = table[(table["metric"] == ACCURACY) & (table["role"] == "method") & (table["stratum"] == ALL_ROWS)]
    rows = rows.assign(name=[row_name(row) for _, row in rows.iterrows()])
    tested = rows[rows["p_adjusted"].notna()]
    # A setting that not every task has cannot be compared over tasks.
    whole = tested.groupby("name")["task"].nunique() == rows["task"].nunique()
    tested = tested[tested["name"].isin(whole[whole].index)]
    if tested.empty or int(tested["n"].min()) < _LEAST_SEEDS:
        return
    apart = sorted(tested.loc[tested["p_adjusted"] < level, "name"].unique())
    means = tested.groupby("name")["difference"].mean().sort_values(ascending=False, kind="stable")
    alike = means.drop(apart)
    name = str((alike if len(alike) else means).index[0])
    yield _advice(rows, tested[tested["name"] == name], len(alike), apart)


def _advice(rows: pd.DataFrame, own: pd.DataFrame, alike: int, apart: Sequence[str]) -> Finding:
    """Return the advice for one setting, with its difference from full fine-tuning task by task."""
    first = own.loc[own["rows"].astype(int).idxmax()]
    rank = "" if pd.isna(first["rank"]) else f" at r = {int(first['rank'])}"
    only = "" if alike else " only where full fine-tuning does not fit"
    chosen = f" The best of {alike} settings without a significant difference, which flatters it." if alike > 1 else ""
    seeds = f"{int(own['n'].min())} seeds"
    tasks = [str(task) for task in own["task"]]
    parts = [f"{_points(row).in_words(unit='')} points on {row['task']}" for _, row in own.iterrows()]
    full = rows[rows["method"] == "full"].set_index("task")["learning_rate"]
    rates = [" and ".join(f"{rate:g}" for rate in each) for each in (own["learning_rate"], full[tasks])]
    others = f" Significantly different on a task: {', '.join(apart)}." if apart else ""
    return Finding(
        "advice",
        "decoder_advice_method",
        NAME,
        f"On a language model, start with {first['name']}{rank}{only}.",
        ATLAS,
        "measured",
        f"decoder_cells: metric={ACCURACY}, role=method, stratum={ALL_ROWS}",
        f"Accuracy less that of full fine-tuning is {' and '.join(parts)} ({_detectable(own)}). Learning rate "
        f"{rates[0]}; full fine-tuning {rates[1]}.{chosen}{others} {first['model']}, {seeds}{_origin(first)}.",
        _points(first),
    )


def _points(row: pd.Series[Any]) -> Effect:
    return difference_effect(row, POINTS, 100.0)


def _detectable(own: pd.DataFrame) -> str:
    known = own["detectable"].dropna()
    found = " and ".join(f"{100 * value:.1f}" for value in known) or "unknown"
    return f"detectable with 80 % power: {found}"


def _origin(row: pd.Series[str]) -> str:
    return "" if row["origin"] == "this run" else f", {row['origin'].partition(',')[0]}"
