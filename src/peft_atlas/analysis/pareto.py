"""Which methods another one beats in both parameters and accuracy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def dominated(params: ArrayLike, accuracy: ArrayLike) -> NDArray[np.bool_]:
    """Return, for each point, whether another one has no more parameters and no less accuracy, and is better in one.

    Equal points do not dominate each other, so ties on the front all stay on it.

    Parameters
    ----------
    params, accuracy
        One number per method, shape (methods,); fewer parameters and higher accuracy are better.

    Raises
    ------
    ValueError
        If the shapes differ, or a number is not finite, which would compare as neither better nor worse.
    """
    cost, gain = np.asarray(params, dtype=np.float64), np.asarray(accuracy, dtype=np.float64)
    if cost.shape != gain.shape or cost.ndim != 1:
        raise ValueError(f"params of shape {cost.shape} and accuracy of shape {gain.shape}: allowed: one shape (n,)")
    if not (np.isfinite(cost).all() and np.isfinite(gain).all()):
        raise ValueError("params and accuracy: allowed: finite numbers")
    return np.array([len(dominators(cost, gain, index)) > 0 for index in range(len(cost))], dtype=np.bool_)


def dominators(params: ArrayLike, accuracy: ArrayLike, index: int) -> NDArray[np.intp]:
    """Return the places of the points that dominate one point."""
    cost, gain = np.asarray(params, dtype=np.float64), np.asarray(accuracy, dtype=np.float64)
    no_worse = (cost <= cost[index]) & (gain >= gain[index])
    return np.flatnonzero(no_worse & ((cost < cost[index]) | (gain > gain[index])))
