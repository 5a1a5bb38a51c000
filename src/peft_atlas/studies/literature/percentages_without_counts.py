"""Printed percentages of trained parameters that no printed count lets a reader check."""

from __future__ import annotations

import pandas as pd

from peft_atlas.analysis.evidence import select
from peft_atlas.analysis.finding import Effect, Finding
from peft_atlas.studies.literature.jobs import NAME
from peft_atlas.studies.literature.recomputation import COUNT, PERCENT

# Numbers that this project or another reader computed are printed by nobody.
_PRINTED = ("verbatim", "paraphrased", "quoted_by_seed")


def percentages_without_counts(published: pd.DataFrame) -> Finding:
    """Return whether each source that prints a percentage for a model and method prints the count, too.

    A percentage alone hides what it is a percentage of, with or without adapter and head, and how it was rounded.

    Parameters
    ----------
    published
        The table of that contract.
    """
    printed = published[published["seen"].isin(_PRINTED)]
    percents = printed[(printed["metric"] == PERCENT) & printed["value"].notna()]
    counted = printed[(printed["metric"] == COUNT) & printed["value"].notna()]
    cell = ["source", "base_model", "method"]
    known = set(counted[cell].itertuples(index=False, name=None))
    cells = percents.drop_duplicates(cell)
    without = cells[[key not in known for key in cells[cell].itertuples(index=False, name=None)]]
    sources = ", ".join(f"{source} ({n})" for source, n in without["source"].value_counts(sort=False).items())
    detail = f"{len(without)} of {len(cells)} pairs of model and method have a percentage and no count: {sources}."
    return Finding(
        kind="check",
        id="percentages_without_counts",
        study=NAME,
        statement="A source that prints a percentage of trained parameters prints the count, too",
        source="all sources",
        verdict="fail" if len(without) else "pass",
        evidence=select("published", percents, ("metric",)),
        detail=detail if len(without) else f"All {len(cells)} pairs of model and method have both.",
        effect=Effect(float(len(without)), "percentages", n=len(cells)),
    )
