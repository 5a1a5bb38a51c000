"""How far predictions were off, as factors: the interval around a new prediction; imports no pandas.

A factor is measured / predicted. Every source weighs the same, however many runs it prints, since a new user is a new
source. The interval holds the middle 90 % of that weight. What a source is tested on leaves that source out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from peft_atlas.planning.measured import OBSERVED_ON, Run, measured_runs, predict, stated_floor
from peft_atlas.planning.shapes import rows

PLAIN, QUANTIZED = "plain", "quantised"
OUTSIDE = 0.05
NOTHING_LEFT_OUT = ""


@dataclass(frozen=True)
class Factor:
    """One run's measured peak over its predicted one, and the same without the rules read off measured peaks."""

    record: str
    source: str
    group: str
    factor: float
    factor_without_observed: float


@dataclass(frozen=True)
class Interval:
    """Factors around a prediction, and what they rest on."""

    low: float
    high: float
    runs: int
    sources: int


def group_of(quantization: str) -> str:
    """Return the group of runs whose errors count for a base: quantised or not."""
    return PLAIN if quantization == "none" else QUANTIZED


def breaks_floor(run: Run) -> bool:
    """Return whether a printed peak is below weights, gradients and moments by the settings that the source states.

    Paged moments may be on the host, and are no part of the floor.
    """
    return run.measured_gb is not None and run.measured_gb * 1e9 < stated_floor(run)


def usable(run: Run) -> bool:
    """Return whether a run has a measured peak that can be compared with a prediction."""
    return not run.excluded and run.measured_gb is not None and not breaks_floor(run)


def factors(runs: Iterable[Run] | None = None) -> tuple[Factor, ...]:
    """Return the factor of every run that has a measured peak and breaks no floor."""
    found = measured_runs() if runs is None else runs
    return tuple(_factor(run) for run in found if usable(run))


def _factor(run: Run) -> Factor:
    assert run.settings is not None
    assert run.measured_gb is not None
    measured = run.measured_gb * 1e9
    both = (measured / predict(run, observed=observed).parts.total for observed in (True, False))
    return Factor(run.record, run.source, group_of(run.settings.quantization), *both)


def interval_from(known: Iterable[Factor], group: str, left_out: str = NOTHING_LEFT_OUT) -> Interval:
    """Return the interval that the factors of a group give, without those of one source.

    Where one source alone is left in the group, the factors of all groups count. Where the source that is left out
    is one that rules were read off, the factors are those without these rules.
    """
    others = [factor for factor in known if factor.source != left_out]
    own = [factor for factor in others if factor.group == group]
    chosen = own if len({factor.source for factor in own}) > 1 else others
    sizes = Counter(factor.source for factor in chosen)
    values = [factor.factor_without_observed if left_out in OBSERVED_ON else factor.factor for factor in chosen]
    weighted = sorted((value, 1 / sizes[factor.source]) for value, factor in zip(values, chosen, strict=True))
    return Interval(_quantile(weighted, OUTSIDE), _quantile(weighted, 1 - OUTSIDE), len(chosen), len(sizes))


def _quantile(weighted: list[tuple[float, float]], share: float) -> float:
    """Return the smallest value at which the summed weight reaches a share of the whole."""
    whole = sum(weight for _, weight in weighted)
    reached = 0.0
    for value, weight in weighted:
        reached += weight
        if reached >= share * whole - 1e-12:
            return value
    return weighted[-1][0]


def shipped_interval(group: str, left_out: str = NOTHING_LEFT_OUT) -> Interval:
    """Return an interval as it was computed when the package was made; a test computes it again."""
    row = next(row for row in rows("intervals.csv") if (row["group"], row["left_out"]) == (group, left_out))
    return Interval(float(row["low"]), float(row["high"]), int(row["runs"]), int(row["sources"]))


def interval_rows() -> list[dict[str, object]]:
    """Return the rows of the shipped table: both groups, with nothing and with each source left out."""
    known = factors()
    sources = [NOTHING_LEFT_OUT, *sorted({run.source for run in measured_runs()})]
    return [
        _row(interval_from(known, group, source), group, source) for group in (PLAIN, QUANTIZED) for source in sources
    ]


def _row(found: Interval, group: str, left_out: str) -> dict[str, object]:
    return {"group": group, "left_out": left_out, "low": round(found.low, 4), "high": round(found.high, 4),
            "runs": found.runs, "sources": found.sources}  # fmt: skip
