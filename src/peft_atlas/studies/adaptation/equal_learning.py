"""What two methods keep of the source task where they have learnt equally much of the target task.

A method that learns more moves further from where it started, so that what is kept at each method's best rate mixes
forgetting with learning. Along its learning rates, from no adaptation to the chosen rate, a method traces a path of
target accuracy and source accuracy; two paths are compared at the target accuracy that both reach.
"""

from __future__ import annotations

import pandas as pd


def kept_at_equal_learning(
    left: pd.DataFrame, right: pd.DataFrame, unadapted: pd.DataFrame, metric: str = "source_accuracy"
) -> tuple[pd.Series[float], pd.Series[float]]:
    """Return a metric of two methods by seed, at the lower of their best mean validation accuracies.

    The rate at which a method's mean validation accuracy is that level is interpolated between two rates, and the
    metric of each seed with it; that the place is itself estimated is not part of any interval.

    Parameters
    ----------
    left, right
        Runs of each method on one target task, at every learning rate.
    unadapted
        Runs of the network as it was.
    metric
        The column that is compared.
    """
    level = min(_reached(left), _reached(right))
    return _kept_at(left, unadapted, level, metric), _kept_at(right, unadapted, level, metric)


def _chosen(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[runs["selected"].fillna(value=True)]


def _reached(runs: pd.DataFrame) -> float:
    """Return the mean validation accuracy at the chosen rate."""
    return float(_chosen(runs)["validation_accuracy"].astype(float).mean())


def _kept_at(runs: pd.DataFrame, unadapted: pd.DataFrame, level: float, metric: str) -> pd.Series[float]:
    """Return the metric of each seed where the mean validation accuracy is a level."""
    below = runs[runs["learning_rate"] < _chosen(runs)["learning_rate"].iloc[0]]
    parts = [unadapted, *(part for _, part in below.groupby("learning_rate", sort=True)), _chosen(runs)]
    means = [float(part["validation_accuracy"].astype(float).mean()) for part in parts]
    kept = [part.set_index("seed")[metric].astype(float).sort_index() for part in parts]
    for place in range(len(parts) - 1, 0, -1):
        lower, upper = means[place - 1], means[place]
        if lower <= level <= upper:
            share = 1.0 if upper == lower else (level - lower) / (upper - lower)
            return kept[place] if share == 1 else share * kept[place] + (1 - share) * kept[place - 1]
    return kept[-1]
