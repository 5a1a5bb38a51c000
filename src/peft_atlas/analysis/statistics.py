"""Intervals, paired differences, adjusted comparisons and trends over seeds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy  # which loads its parts where they are first used: scipy.stats takes half a second, scipy.special less
from numpy.typing import ArrayLike, NDArray

_EXACT_SEEDS, _EXACT_SETTINGS = 20, 7


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its interval; ``sd``, ``low``, ``high`` and ``p_value`` are None where n < 2."""

    mean: float | None
    sd: float | None
    low: float | None
    high: float | None
    n: int
    p_value: float | None = None

    def within(self, least: float, most: float) -> Estimate:
        """Return the estimate with its interval cut to the values that the mean can have.

        The mean lies among them, so that the part that remains covers it as often as the whole interval does.
        """
        if self.mean is None or self.low is None or self.high is None:
            return self
        low, high = cut_interval(self.mean, (self.low, self.high), (least, most))
        return replace(self, low=low, high=high)


def interval_name(confidence: float) -> str:
    """Return the name that tables and captions give to the interval of `mean_interval`."""
    return f"{100 * confidence:g} % Student t over seeds"


def simultaneous_confidence(confidence: float, comparisons: int) -> float:
    """Return the confidence of each of several intervals that together cover with a given confidence (Sidak 1967).

    Sidak's inequality needs no assumption on how the comparisons are correlated, so that each may keep a standard
    deviation of its own; Dunnett's and Tukey's intervals are shorter where one variance fits all, which methods that
    train different parameters do not share.
    """
    return float(confidence ** (1 / max(comparisons, 1)))


def cut_interval(mean: float, interval: tuple[float, float], possible: tuple[float, float]) -> tuple[float, float]:
    """Return an interval of a mean cut to possible values; a mean beyond them by rounding stays inside."""
    return max(interval[0], min(possible[0], mean)), min(interval[1], max(possible[1], mean))


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    numbers = np.asarray(values, dtype=np.float64)
    return numbers[np.isfinite(numbers)]


def mean_interval(values: ArrayLike, confidence: float) -> Estimate:
    """Return the mean of independent values with Student's t interval and the two-sided p of mean = 0.

    Parameters
    ----------
    values
        One value per seed, shape (seeds,); values that are not finite are left out and lower ``n``.
    confidence
        Confidence level, between 0 and 1.
    """
    numbers = _finite(values)
    n = len(numbers)
    if n == 0:
        return Estimate(None, None, None, None, 0)
    mean = float(numbers.mean())
    if n == 1:
        return Estimate(mean, None, None, None, 1)
    sd = float(numbers.std(ddof=1))
    half = float(scipy.special.stdtrit(n - 1, 0.5 + confidence / 2)) * sd / n**0.5
    return Estimate(mean, sd, mean - half, mean + half, n, _p_of_zero_mean(mean, sd, n))


def _p_of_zero_mean(mean: float, sd: float, n: int) -> float:
    """Return the two-sided p of Student's one-sample t-test; 1 or 0 where the values do not vary."""
    if sd == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * scipy.special.stdtr(n - 1, -abs(mean) / (sd / n**0.5)))


def proportion_interval(fraction: float, n: int, confidence: float) -> tuple[float, float]:
    """Return Wilson's interval of a fraction of n independent rows (Wilson 1927, JASA 22:209-212)."""
    interval = scipy.stats.binomtest(round(fraction * n), n).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def paired_difference(left: ArrayLike, right: ArrayLike, confidence: float) -> Estimate:
    """Return the mean of left minus right over the seeds that have both, with its interval.

    Both are ordered by seed, shape (seeds,); a seed where either is missing is left out.
    """
    return mean_interval(np.asarray(left, np.float64) - np.asarray(right, np.float64), confidence)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return p-values adjusted by Holm's step-down method (Holm 1979, Scand. J. Statist. 6:65-70).

    A value that is missing (nan) stays missing and does not count as a comparison.

    See Also
    --------
    sidak : the adjustment that agrees with simultaneous intervals.
    """
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return adjusted


def sidak(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return p-values adjusted so that one is below 1 - confidence where its simultaneous interval excludes 0.

    A value that is missing (nan) stays missing and does not count as a comparison.
    """
    p = np.asarray(p_values, dtype=np.float64)
    # By log1p, since 1 - (1 - p)^k loses the digits of a small p.
    return -np.expm1(np.isfinite(p).sum() * np.log1p(-np.minimum(p, 1 - 1e-16)))


def slope_interval(x: ArrayLike, y: ArrayLike, confidence: float) -> Estimate:
    """Return the mean over seeds of the least-squares slope of y on x, with its interval.

    The slope is fitted seed by seed, so that what a seed shares between its runs cancels. It says little where the
    outcome is no line in x: `peft_atlas.analysis.curves` gives findings a slope only where a line fits.

    Parameters
    ----------
    x
        Setting of each column, shape (settings,).
    y
        Outcome, shape (seeds, settings); a seed with a missing value is left out.
    """
    settings, outcomes = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if len(settings) < 2:
        return Estimate(None, None, None, None, 0)
    centred = settings - settings.mean()
    slopes = outcomes @ centred / (centred @ centred)
    return mean_interval(slopes, confidence)


def equivalence_p(differences: ArrayLike, margin: float) -> float | None:
    """Return the p of equivalence within a margin, the larger of two one-sided t-tests (Schuirmann 1987).

    Small values say that the mean difference lies within ``±margin``; None where fewer than two differences are
    known or they do not vary.

    Parameters
    ----------
    differences
        One paired difference a seed, shape (seeds,); values that are not finite are left out.
    margin
        Largest difference that does not matter, in the unit of the differences, above 0.
    """
    known = _finite(differences)
    if len(known) < 2 or known.std() == 0:
        return None
    above = scipy.stats.ttest_1samp(known, -margin, alternative="greater").pvalue
    below = scipy.stats.ttest_1samp(known, margin, alternative="less").pvalue
    return float(max(above, below))


def rising_p(outcomes: ArrayLike) -> float | None:
    """Return the one-sided p of Page's test that outcomes rise from column to column (Page 1963).

    Parameters
    ----------
    outcomes
        Shape (seeds, settings), the settings in rising order; a seed with a missing value is left out. None where
        fewer than two seeds or three settings remain. The p is exact up to 20 seeds, asymptotic beyond.
    """
    table = np.asarray(outcomes, np.float64)
    whole = table[np.isfinite(table).all(axis=1)]
    if len(whole) < 2 or whole.shape[1] < 3:
        return None
    # Exact p takes 0.1 s for 20 seeds and 6 settings; it grows with the number of orders of the settings.
    exact = len(whole) <= _EXACT_SEEDS and whole.shape[1] <= _EXACT_SETTINGS
    return float(scipy.stats.page_trend_test(whole, method="exact" if exact else "asymptotic").pvalue)
