"""Takeaway 3, sensitivity: what rank and alpha change."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import scipy

from peft_atlas.analysis.evidence import select
from peft_atlas.analysis.finding import POINTS, Effect, Finding
from peft_atlas.studies.literature.check_finding import slug
from peft_atlas.studies.literature.families import AVERAGE
from peft_atlas.studies.literature.judging import (
    SINGLE_RUNS,
    Measured,
    above_zero,
    decide,
    from_measured,
    measured_effect,
    only_perfect_order_rejects,
    takeaway_claim,
    trend,
)
from peft_atlas.studies.literature.published_tables import PublishedTables, both
from peft_atlas.studies.literature.recomputation import PERCENT

# Level of the one test that is done on printed numbers.
_LEVEL = 0.05
_HIGHER = "Higher ranks give higher accuracy on the notebook's network, from the smallest rank to the usual one"


def sensitivity_claims(tables: PublishedTables, measured: Measured) -> list[Finding]:
    """Return the claims of takeaway 3: what rank and alpha change."""
    return [
        *(
            from_measured(3, name, statement, answer, above_zero(measured_effect(answer)))
            for name, statement, answer in (
                ("rank_matters", "LoRA's accuracy depends on the rank", measured.get("notebook_rank")),
                ("alpha_matters", "LoRA's accuracy depends on alpha", measured.get("notebook_alpha")),
                ("higher_rank_measured", _HIGHER, measured.get("notebook_rank_trend")),
            )
        ),
        *_rank_sweep(tables),
        _rank_costs(tables),
    ]


def _rank_sweep(tables: PublishedTables) -> Iterator[Finding]:
    """Return, for each published sweep over ranks, whether accuracy rises with every step, and whether it rises at all.

    The takeaway says "generally"; both readings of that are judged.
    """
    rows = tables.exact[(tables.exact["task"] == AVERAGE) & tables.exact["rank"].notna()]
    for (source, model, method), sweep in rows.groupby(["source", "base_model", "method"], sort=False):
        ordered = sweep.sort_values("rank")
        if len(ordered) < 3:
            continue
        yield _one_sweep(str(source), str(model), str(method), ordered)
        yield _one_trend(str(source), str(model), str(method), ordered)


def _one_sweep(source: str, model: str, method: str, sweep: pd.DataFrame) -> Finding:
    steps = sweep["value"].diff().dropna()
    best, last = sweep.loc[sweep["value"].idxmax()], sweep.iloc[-1]
    printed = ", ".join(f"{row.printed} at {row.rank}" for row in sweep.itertuples())
    rates = ", ".join(dict.fromkeys(sweep["note"].dropna()))
    return takeaway_claim(
        3,
        f"higher_rank_{slug(method)}_{slug(model)}",
        f"Read strictly: every higher rank of {method} is printed with a higher accuracy on {model} by {source}",
        decide(bool((steps > 0).all())),
        select("published", sweep, ("source", "base_model", "method", "task", "rank")),
        f"{printed}: {int((steps > 0).sum())} of {len(steps)} steps rise; the best is rank {best['rank']}, and rank "
        f"{last['rank']} is {last['value'] - best['value']:+.1f} points from it. {SINGLE_RUNS} ({rates})",
        effect=Effect(float(last["value"] - best["value"]), f"{POINTS}, highest rank less best", n=len(sweep)),
    )


def _one_trend(source: str, model: str, method: str, sweep: pd.DataFrame) -> Finding:
    """Return whether accuracy and rank go together over a sweep, by Kendall's tau with its exact test."""
    test = scipy.stats.kendalltau(sweep["rank"].astype(float), sweep["value"])
    tau, p = float(test.statistic), float(test.pvalue)
    return takeaway_claim(
        3,
        f"rank_trend_{slug(method)}_{slug(model)}",
        f"Higher ranks go with higher accuracy of {method} on {model}, over the whole sweep that {source} prints",
        trend(tau, p, len(sweep), _LEVEL),
        select("published", sweep, ("source", "base_model", "method", "task", "rank")),
        f"Kendall's tau of rank and accuracy is {tau:+.2f} over {len(sweep)} ranks (two-sided p = {p:.2g}; level "
        f"{_LEVEL:g}).{_too_few(len(sweep))} {SINGLE_RUNS}",
        effect=Effect(tau, "Kendall's tau", n=len(sweep)),
    )


def _too_few(n: int) -> str:
    """Return a remark where the test could find nothing but a perfect order."""
    return (
        f" With {n} ranks only a perfect order could reach the level." if only_perfect_order_rejects(n, _LEVEL) else ""
    )


def _rank_costs(tables: PublishedTables) -> Finding:
    """Return that LoRA's parameters grow with the rank, by the closed form and by percentages printed at two ranks."""
    rows = tables.exact[(tables.exact["metric"] == PERCENT) & tables.exact["rank"].notna()]
    keys = ["source", "base_model", "method", "task"]
    pairs = rows.merge(rows, on=keys, suffixes=("", "_higher"))
    pairs = pairs[pairs["rank"] < pairs["rank_higher"]]
    printed = [
        f"{row.printed} % at rank {row.rank}, {row.printed_higher} % at {row.rank_higher}" for row in pairs.itertuples()
    ]
    growth = pairs["value_higher"] / pairs["value"]
    evidence = f"published: metric={PERCENT}"
    if len(pairs):
        evidence = select("published", pairs, ("source", "task", "metric")) + ", rank"
    return takeaway_claim(
        3,
        "higher_rank_costs",
        "Higher ranks cost more parameters",
        decide(bool((growth > 1).all())),
        f"methods/lora.py: r (in + out) per adapted layer; {evidence}",
        "LoRA trains r (in + out) parameters per adapted layer, which is proportional to the rank; the closed "
        f"form agrees with every documented count (check counted_two_ways). Printed: {both(printed)}.",
        effect=Effect(float(growth.min()) if len(pairs) else None, "times", n=len(pairs)),
    )
