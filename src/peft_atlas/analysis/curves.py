"""Outcomes over the values of one setting, such as the rank: when a curve may be drawn, and what may be said of it.

A curve over a setting compares its values. If the learning rate was tuned at one value and used at another, the curve
shows that rate and not the setting, so such a curve is refused. A slope says what a doubling changes only where the
outcome is a straight line; elsewhere steps between values are reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy
from numpy.typing import ArrayLike, NDArray

from peft_atlas.analysis.finding import POINTS, Effect
from peft_atlas.analysis.power import detectable_difference
from peft_atlas.analysis.statistics import Estimate, paired_difference, rising_p, slope_interval
from peft_atlas.errors import AtlasError

# Residuals below this share of the outcomes are rounding.
_EXACT = 1e-12


@dataclass(frozen=True)
class SettingCurve:
    """Outcomes of every seed over the values of a setting.

    Parameters
    ----------
    setting
        Name of the setting, a column of the runs.
    table
        One row per seed and one column per value, in rising order; nan where a run has no outcome.
    condition
        How the learning rate was set, in words that a finding on the curve must repeat.
    confidence
        Confidence level of intervals; 1 minus it is the level of tests.
    """

    setting: str
    table: pd.DataFrame
    condition: str
    confidence: float

    @property
    def grid(self) -> list[float]:
        """Return the values of the setting."""
        return [float(value) for value in self.table.columns]

    def lack_of_fit_p(self) -> float | None:
        """Return the p of the hypothesis that the mean outcome is a straight line in the setting's logarithm."""
        return lack_of_fit_p(np.log2(self.grid), self.table.to_numpy(float))

    def is_line(self) -> bool:
        """Return whether there are at least three values, and a line over their logarithms is not rejected."""
        p = self.lack_of_fit_p()
        return p is not None and p >= 1 - self.confidence

    def slope(self) -> Estimate:
        """Return the change of the outcome per doubling of the setting.

        Raises
        ------
        AtlasError
            If a straight line does not fit, or cannot be tested.
        """
        if not self.is_line():
            raise AtlasError(
                f"a slope over {self.setting} = {_listed(self.grid)}: a straight line does not fit (lack of fit, "
                f"p = {self.lack_of_fit_p()}); report steps between values instead"
            )
        return slope_interval(np.log2(self.grid), self.table.to_numpy(float), self.confidence)

    def step(self, low: float, high: float) -> Estimate:
        """Return the change of the outcome from one value of the setting to another."""
        return paired_difference(self.table[high].to_numpy(float), self.table[low].to_numpy(float), self.confidence)

    def step_effect(self, low: float, high: float) -> Effect:
        """Return a step of an accuracy in percentage points, with the smallest step that would be detected."""
        return points(self.step(low, high), self.confidence)

    def rising_p(self) -> float | None:
        """Return the one-sided p of Page's test that the outcome rises with the setting."""
        return rising_p(self.table.to_numpy(float))


def points(estimate: Estimate, confidence: float, comparisons: int = 1) -> Effect:
    """Return a paired difference of accuracies in percentage points, with the smallest that would be detected."""
    level = (1 - confidence) / comparisons
    detectable = detectable_difference(estimate.sd, estimate.n, level)
    return Effect.of_estimate(estimate.within(-1, 1), confidence, POINTS, 100, detectable)


def tuned_curve(
    runs: pd.DataFrame,
    setting: str,
    confidence: float,
    *,
    metric: str = "test_accuracy",
    over: Sequence[str] = (),
) -> SettingCurve:
    """Return the curve of a setting whose learning rate was tuned at each of its values.

    Parameters
    ----------
    runs
        The runs of one method at every learning rate that was tried; ``selected`` says which was chosen.
    setting
        Column that is varied.
    confidence
        Confidence level.
    metric
        Outcome.
    over
        Columns that the outcome is averaged over.

    Raises
    ------
    AtlasError
        If at some value fewer than two rates were tried, or none was chosen.
    """
    for value, group in runs.groupby([setting, *over], sort=True):
        tried = group.loc[group["selected"].notna(), "learning_rate"].nunique()
        if tried < 2 or not group["selected"].fillna(value=False).any():
            where = _listed(value if isinstance(value, tuple) else (value,))
            raise AtlasError(
                f"a curve over {setting}: the learning rate was not tuned at {', '.join([setting, *over])} = {where} "
                f"({tried} rates tried); search rates there, or compare all values at one rate and say so"
            )
    chosen = runs[runs["selected"].fillna(value=False)]
    condition = "with the learning rate tuned at each"
    return SettingCurve(setting, _by_seed(chosen, setting, over, metric), condition, confidence)


def one_rate_curve(
    runs: pd.DataFrame,
    setting: str,
    confidence: float,
    *,
    metric: str = "test_accuracy",
    over: Sequence[str] = (),
) -> SettingCurve:
    """Return the curve of a setting whose values all train at one learning rate that was tuned for none of them.

    Parameters are those of `tuned_curve`. What the curve shows holds at that rate, and a finding must say so.

    Raises
    ------
    AtlasError
        If the rates differ, or one was tuned at some value, which would favour it.
    """
    rates = sorted(runs["learning_rate"].unique())
    if len(rates) != 1 or runs["selected"].notna().any():
        tuned = int(runs["selected"].fillna(value=False).sum())
        raise AtlasError(
            f"a curve over {setting} at one learning rate: rates {_listed(rates)}, tuned for {tuned} runs; allowed: "
            "one rate, tuned for none"
        )
    condition = f"at one learning rate of {rates[0]:g}, tuned for none"
    return SettingCurve(setting, _by_seed(runs, setting, over, metric), condition, confidence)


def _by_seed(runs: pd.DataFrame, setting: str, over: Sequence[str], metric: str) -> pd.DataFrame:
    """Return the metric by seed and value of the setting; a mean that lacks a run is missing."""
    wide = runs.pivot(index="seed", columns=[setting, *over], values=metric).astype(float)
    values = sorted(wide.columns.get_level_values(0).unique())
    return pd.DataFrame({value: _mean(wide[value]) for value in values})


def _mean(columns: Any) -> pd.Series[float]:
    """Return the mean over columns, one column as it is."""
    return columns if isinstance(columns, pd.Series) else columns.mean(axis=1, skipna=False)


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def lack_of_fit_p(x: ArrayLike, y: ArrayLike) -> float | None:
    """Return the p of the hypothesis that the mean outcome is a straight line in x.

    What a line leaves of each seed's outcomes is tested for a mean of 0 by Hotelling's T2 (Hotelling 1931), so that
    the outcomes of a seed may be correlated in any way. Where there are too few seeds for that, by the F test that
    takes the residuals' variances to be equal.

    Parameters
    ----------
    x
        Setting of each column, shape (settings,).
    y
        Outcome, shape (seeds, settings); a seed with a missing value is left out.

    Returns
    -------
    float or None
        None where fewer than two seeds or three settings remain.
    """
    settings, table = np.asarray(x, np.float64), np.asarray(y, np.float64)
    whole = table[np.isfinite(table).all(axis=1)]
    if len(whole) < 2 or len(settings) < 3:
        return None
    line = np.column_stack([np.ones_like(settings), settings])
    residuals = whole @ scipy.linalg.null_space(line.T)
    if np.abs(residuals).max() <= _EXACT * np.abs(whole).max():
        return 1.0
    return _p_of_zero_means(residuals)


def _p_of_zero_means(rows: NDArray[np.float64]) -> float:
    """Return the p of Hotelling's test that rows have the mean 0, or of the F test where they are too few for it."""
    n, width = rows.shape
    mean, centred = rows.mean(axis=0), rows - rows.mean(axis=0)
    if n > width + 1 and np.linalg.matrix_rank(centred) == width:
        statistic = n * float(mean @ np.linalg.solve(centred.T @ centred / (n - 1), mean))
        return float(scipy.special.fdtrc(width, n - width, statistic * (n - width) / (width * (n - 1))))
    free = width * (n - 1)
    spread = float((centred**2).sum()) / free
    return 0.0 if spread == 0 else float(scipy.special.fdtrc(width, free, n * float(mean @ mean) / width / spread))
