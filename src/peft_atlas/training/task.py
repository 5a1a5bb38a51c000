"""A task of the population studies: inputs and labels of each split for all seeds."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Split:
    """Inputs, shape ``(seeds, examples, features)``, and labels, shape ``(seeds, examples)``."""

    inputs: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Task:
    """The splits of a task; ``validation`` is None if the protocol has none."""

    train: Split
    validation: Split | None
    test: Split
