"""What the results of a run do not show, read from its tables."""

from __future__ import annotations

from typing import Any

import pandas as pd

from peft_atlas.figures.style import CONTROLS
from peft_atlas.report.material import Material

# Below this many seeds an interval says little, however it is computed.
FEWEST_SEEDS = 3


def limits(material: Material) -> tuple[str, ...]:
    """Return the limits of a run, each in one sentence; those that do not apply are left out."""
    return tuple(
        text
        for text in (
            _running(material),
            _few_seeds(material),
            _largest_model(material.tables["runs"]),
            _resolution(material),
            _published(material.tables["published"]),
        )
        if text
    )


def _seeds(runs: pd.DataFrame) -> pd.Series[int]:
    """Return the smallest number of seeds of any method at a chosen rate, by study."""
    chosen = runs[runs["selected"].fillna(value=True) & ~runs["method"].isin(CONTROLS)]
    cells = ["study", "experiment", "task", "method", "setting", "rank", "alpha", "shift_rank", "train_examples"]
    counts = chosen.groupby(cells, dropna=False)["seed"].nunique()
    return counts.groupby("study").min()


def _few_seeds(material: Material) -> str:
    few = _seeds(material.tables["runs"])
    few = few[few < FEWEST_SEEDS]
    if few.empty:
        return ""
    named = ", ".join(f"{study} {count}" for study, count in few.items())
    return (
        f"Too few seeds: {named}. Below {FEWEST_SEEDS} seeds an interval is nearly as wide as what is possible, "
        "missing, or of no width where two seeds happen to agree; take the numbers as hints and raise seeds in the "
        "configuration."
    )


def _largest_model(runs: pd.DataFrame) -> str:
    if runs.empty:
        return ""
    largest = runs.loc[runs["total_params"].astype(float).idxmax()]
    size = float(largest["total_params"])
    words = f"{size / 1e6:.0f} million" if size >= 1e6 else f"{size:,.0f}"
    return f"The largest network trained in this run has {words} weights ({largest['model']})."


def _resolution(material: Material) -> str:
    """Return the differences that the comparisons with full fine-tuning can detect, of the study shown first."""
    contrasts = material.tables["contrasts"]
    rows = contrasts[contrasts["reference"].str.startswith("full") & contrasts["detectable"].notna()]
    rows = rows[(rows["metric"] == "test_accuracy") & ~rows["method"].isin([*CONTROLS, "head only"])]
    shown = [name for name in material.studies if name in set(rows["study"])]
    if not shown:
        return ""
    first = rows[rows["study"] == shown[0]]
    sizes = 100 * first["detectable"].astype(float).clip(upper=1.0)
    seeds = first["n"].astype(int)
    return (
        f"A difference to full fine-tuning below {_span(sizes, '.1f')} points, depending on the comparison, would "
        f"likely go unseen ({_span(seeds, 'd')} seeds, 80 % power)."
    )


def _span(values: pd.Series[Any], form: str) -> str:
    """Return the smallest and the largest of some values, one where they read alike."""
    ends = dict.fromkeys(format(value, form) for value in (values.min(), values.max()))
    return " to ".join(ends)


def _published(published: pd.DataFrame) -> str:
    sources, spread = published["source"].nunique(), int(published["spread"].notna().sum())
    given = f"{spread} of {len(published):,} give a spread" if spread else "none gives an interval"
    return f"Numbers of the {sources} sources are copied as printed: {given}." if sources else ""


def _running(material: Material) -> str:
    pending = material.pending
    return f"Still running: {', '.join(pending)}. This page is rewritten when they end." if pending else ""
