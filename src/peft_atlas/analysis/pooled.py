"""Pooled comparisons: one error variance for many cells, seeds and items in one model, and what could be detected.

Two designs. In a *two-way* one every cell of a family has an outcome with every seed; its model is cell + seed with
one error variance, so that few seeds of many cells give many degrees of freedom. In a *paired* one two runs a seed are
compared item by item; its model has seed, item and their interaction, so that both other seeds and other test items
are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from peft_atlas.analysis.power import POWER

_NODES = 64


@dataclass(frozen=True)
class Difference:
    """An estimated difference with its standard error, degrees of freedom and interval.

    Parameters
    ----------
    mean, se, df
        Estimate, its standard error and the error's degrees of freedom.
    low, high
        Ends of the interval.
    n
        Seeds that it rests on.
    p_value, p_adjusted
        Two-sided p, alone and within its family.
    detectable
        Smallest true difference that the same test finds with a power of 80 %.
    """

    mean: float
    se: float
    df: float
    low: float
    high: float
    n: int
    p_value: float
    p_adjusted: float
    detectable: float

    def noninferiority_p(self, margin: float) -> float:
        """Return the one-sided p of a true difference above ``-margin``: small values say not worse by the margin."""
        return _tail((self.mean + margin) / self.se, self.df)

    def equivalence_p(self, margin: float) -> float:
        """Return the p of a true difference within ``±margin``, the larger of two one-sided tests."""
        return max(self.noninferiority_p(margin), _tail((margin - self.mean) / self.se, self.df))


def _tail(t: float, df: float) -> float:
    return float(scipy.special.stdtr(df, -t))


def quantile_t(probability: float, df: float) -> float:
    """Return a quantile of Student's t."""
    return float(scipy.special.stdtrit(df, probability))


def detectable_difference(se: float, critical: float, df: float, power: float = POWER) -> float:
    """Return the smallest true difference that a test with this critical value finds with this power.

    The noncentral t is taken as a shifted one, which is right to a few percent from 4 degrees of freedom on.
    """
    return (critical + quantile_t(power, df)) * se


def difference(mean: float, se: float, df: float, n: int, confidence: float) -> Difference:
    """Return a single difference, with Student's interval."""
    critical = quantile_t(0.5 + confidence / 2, df)
    p = _two_sided(mean, se, df)
    half = critical * se
    return Difference(mean, se, df, mean - half, mean + half, n, p, p, detectable_difference(se, critical, df))


def _two_sided(mean: float, se: float, df: float) -> float:
    if se == 0:
        return 1.0 if mean == 0 else 0.0
    return 2 * _tail(abs(mean) / se, df)


@dataclass(frozen=True)
class TwoWay:
    """The model cell + seed with one error variance.

    Parameters
    ----------
    outcomes
        Shape ``(cells, seeds)``, without missing values.
    """

    outcomes: NDArray[np.float64]

    @property
    def means(self) -> NDArray[np.float64]:
        """Return the mean of each cell over seeds."""
        return self.outcomes.mean(axis=1)

    @property
    def df(self) -> int:
        """Return the degrees of freedom of the error."""
        cells, seeds = self.outcomes.shape
        return (cells - 1) * (seeds - 1)

    @property
    def error_variance(self) -> float:
        """Return the mean square of what is left of cell and seed."""
        left = self.outcomes - self.means[:, None] - self.outcomes.mean(axis=0) + self.outcomes.mean()
        return float((left**2).sum() / self.df)

    @property
    def se(self) -> float:
        """Return the standard error of the difference of two cells."""
        return float(np.sqrt(2 * self.error_variance / self.outcomes.shape[1]))

    def reliability(self, cells: Sequence[int]) -> float:
        """Return the share of the variance between the means of some cells that is not error.

        1 says that another set of seeds would order the cells alike, 0 that the order is one of chance.
        """
        between = float(self.means[list(cells)].var(ddof=1))
        noise = self.error_variance / self.outcomes.shape[1]
        return max(0.0, 1 - noise / between) if between > 0 else 0.0

    def pair(self, left: int, right: int, confidence: float) -> Difference:
        """Return the difference of two cells, with Student's interval on the pooled error."""
        mean = float(self.means[left] - self.means[right])
        return difference(mean, self.se, self.df, self.outcomes.shape[1], confidence)

    def group(self, cells: Sequence[int], reference: int, confidence: float) -> Difference:
        """Return the mean of some cells less a reference, with Student's interval on the pooled error."""
        mean = float(self.means[list(cells)].mean() - self.means[reference])
        seeds = self.outcomes.shape[1]
        se = float(np.sqrt(self.error_variance * (1 + 1 / len(cells)) / seeds))
        return difference(mean, se, self.df, seeds, confidence)

    def against(self, cells: Sequence[int], reference: int, confidence: float) -> list[Difference]:
        """Return the difference of each cell to a reference, with Dunnett's simultaneous intervals and p-values."""
        critical = dunnett_critical(len(cells), self.df, confidence)
        seeds, se, found = self.outcomes.shape[1], self.se, []
        for cell in cells:
            mean = float(self.means[cell] - self.means[reference])
            t = abs(mean) / se if se else float("inf")
            adjusted = 1 - dunnett_probability(t, len(cells), self.df)
            ends = mean - critical * se, mean + critical * se
            power = detectable_difference(se, critical, self.df)
            found.append(Difference(mean, se, self.df, *ends, seeds, _two_sided(mean, se, self.df), adjusted, power))
        return found


def dunnett_probability(bound: float, comparisons: int, df: float) -> float:
    """Return the probability that the largest of several |t| against one reference stays within a bound.

    All have the reference and the error in common, so that they correlate by 1/2 (Dunnett 1955, JASA 50:1096-1121).
    Given the reference's part z and the error's part s they are independent, so that two sums give the integral.
    """
    if not np.isfinite(bound):
        return 1.0
    z, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    points, shares = np.polynomial.legendre.leggauss(_NODES)
    spread = np.sqrt(scipy.special.chdtri(df, 1 - (points + 1) / 2) / df)
    ends = np.sqrt(2) * bound * spread[:, None]
    inside = scipy.special.ndtr(ends - z) - scipy.special.ndtr(-ends - z)
    return float(shares / 2 @ inside**comparisons @ weights / np.sqrt(2 * np.pi))


@cache
def dunnett_critical(comparisons: int, df: float, confidence: float) -> float:
    """Return the bound that the largest |t| keeps with this probability."""
    return float(scipy.optimize.brentq(lambda c: dunnett_probability(c, comparisons, df) - confidence, 0.1, 200))


@dataclass(frozen=True)
class Components:
    """Where the variance of an item's difference lies: between seeds, between items, and in neither alone."""

    seed: float
    item: float
    rest: float


def components(differences: ArrayLike) -> Components:
    """Return the variance components of differences, shape ``(seeds, items)``, by two-way random analysis of variance.

    A component that is estimated below 0 is 0.
    """
    table = np.asarray(differences, np.float64)
    seeds, items = table.shape
    by_seed, by_item, mean = table.mean(axis=1), table.mean(axis=0), table.mean()
    rest = float(((table - by_seed[:, None] - by_item + mean) ** 2).sum() / ((seeds - 1) * (items - 1)))
    seed = (items * float(by_seed.var(ddof=1)) - rest) / items
    item = (seeds * float(by_item.var(ddof=1)) - rest) / seeds
    return Components(max(0.0, seed), max(0.0, item), rest)


def mean_difference(tasks: Sequence[NDArray[np.float64]], confidence: float) -> Difference:
    """Return the mean over tasks of paired differences, with what other seeds and other items would change.

    The variance of a task's mean is that of Student's test over seeds, which holds the interaction of seed and item,
    plus the items' own variance over their number. Degrees of freedom are Welch's and Satterthwaite's, so that tasks
    need not have one variance.

    Parameters
    ----------
    tasks
        For each task the differences of two runs a seed, item by item, shape ``(seeds, items)``.
    """
    parts = [part for table in tasks for part in _variances(table)]
    scale = 1 / len(tasks) ** 2
    variance = scale * sum(part for part, _ in parts)
    denominator = sum((scale * part) ** 2 / df for part, df in parts)
    df = variance**2 / denominator if denominator else float(min(df for _, df in parts))
    mean = float(np.mean([table.mean() for table in tasks]))
    return difference(mean, float(np.sqrt(variance)), df, min(len(table) for table in tasks), confidence)


def _variances(table: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Return each part of the variance of a task's mean, with its degrees of freedom."""
    seeds, items = table.shape
    over_seeds = float(table.mean(axis=1).var(ddof=1)) / seeds
    return [(over_seeds, seeds - 1), (components(table).item / items, items - 1)]


def bootstrap_interval(
    tasks: Sequence[NDArray[np.float64]], confidence: float, draws: int = 4000
) -> tuple[float, float]:
    """Return the percentile interval of the mean over tasks where seeds and items are both resampled.

    A check of `mean_difference` that assumes no distribution. It is on the wide side, since what is in seed and item
    together is drawn by both (Owen 2007, Ann. Appl. Stat. 1:386-411). The draws are keyed, so that it is always the
    same.
    """
    generator, found = np.random.default_rng(0), np.zeros(draws)
    for table in tasks:
        seeds, items = table.shape
        by_seed = generator.multinomial(seeds, np.full(seeds, 1 / seeds), draws) / seeds
        for draw in range(draws):
            chosen = np.bincount(generator.integers(items, size=items), minlength=items)
            found[draw] += by_seed[draw] @ table @ chosen / items / len(tasks)
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
