"""Checks of methods' settings, each refusing in one line."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch

from peft_atlas.errors import AtlasError


def check_whole(name: str, value: Any, most: int | None = None, of: str = "") -> int:
    """Return a setting that must be a whole number of at least 1, and of no more than ``most``.

    Raises
    ------
    AtlasError
        If it is not.
    """
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if whole and value >= 1 and (most is None or value <= most):
        return int(value)
    allowed = "a whole number of at least 1" if most is None else f"a whole number from 1 to the {of} {most}"
    raise AtlasError(f"{name} = {value}: allowed: {allowed}")


def check_probability(name: str, value: Any) -> float:
    """Return a setting that must be a probability below 1.

    Raises
    ------
    AtlasError
        If it is not.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < 1:
        raise AtlasError(f"{name} = {value}: allowed: 0 <= p < 1")
    return float(value)


def check_positive(name: str, value: Any, population: Sequence[int] = ()) -> None:
    """Raise an AtlasError unless a number, or every one of a tensor's that fits a population, is finite and above 0."""
    try:
        numbers = np.asarray(value.detach().cpu() if isinstance(value, torch.Tensor) else value)
        fits = np.broadcast_shapes(numbers.shape, tuple(population)) == tuple(population)
    except ValueError:
        fits = False
    if not fits:
        raise AtlasError(f"{name} of shape {numbers.shape}: allowed: one number, or shape {tuple(population)}")
    real = numbers.dtype.kind in "iuf"
    if not real or not ((numbers > 0) & np.isfinite(numbers)).all():
        raise AtlasError(f"{name} = {value}: allowed: finite numbers above 0")
