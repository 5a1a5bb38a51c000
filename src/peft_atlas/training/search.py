"""The choice of a learning rate: successive halving on validation, and a grid that grows where its end is best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

Score = tuple[float, float]
# What a rate scores that diverged with a seed.
LOST: Score = (float("-inf"), float("-inf"))


class Trainer(Protocol):
    """What a search asks of what trains: to train a rate until after an epoch and say how it does on validation."""

    def __call__(self, rate: float, until: int) -> Score:
        """Return mean accuracy and negative mean loss over the search's seeds; `LOST` where one diverged."""


@dataclass(frozen=True)
class SearchPlan:
    """How a rate is chosen; alike for all settings that are compared.

    Parameters
    ----------
    rates
        The grid to start with, rising.
    epochs
        Epochs of a whole run.
    keep
        How many rates go on after the first epoch; all of them where it is None.
    extensions
        How often the grid grows by its own ratio where the chosen rate is at its end.
    """

    rates: tuple[float, ...]
    epochs: int
    keep: int | None
    extensions: int


@dataclass(frozen=True)
class Choice:
    """The chosen rate, every rate that was tried, and whether the chosen one is at an end of them."""

    rate: float
    tried: tuple[float, ...]
    edge: bool | None


def choose_rate(plan: SearchPlan, train: Trainer) -> Choice:
    """Return the rate that validation prefers after the last epoch; of equal accuracies the lower loss decides.

    All rates are trained for one epoch and the best ``keep`` to the end. Where the best of these is at an end of the
    grid, the next rate beyond is trained to the end as well. A single rate is no search and has no end.
    """
    first = {rate: train(rate, 1) for rate in plan.rates} if _halves(plan) else dict.fromkeys(plan.rates, LOST)
    kept = sorted(plan.rates, key=lambda rate: first[rate], reverse=True)[: plan.keep]
    scores = {rate: train(rate, plan.epochs) for rate in sorted(kept)}
    tried = list(plan.rates)
    for _ in range(plan.extensions):
        beyond = _beyond(_best(scores), tried)
        if beyond is None:
            break
        scores[beyond] = train(beyond, plan.epochs)
        tried = sorted([*tried, beyond])
    best = _best(scores)
    edge = best in (tried[0], tried[-1]) if len(tried) > 1 else None
    return Choice(best, tuple(tried), edge)


def _halves(plan: SearchPlan) -> bool:
    """Return whether rates are left out after the first epoch."""
    return plan.keep is not None and plan.keep < len(plan.rates) and plan.epochs > 1


def _best(scores: dict[float, Score]) -> float:
    return max(scores, key=lambda rate: scores[rate])


def _beyond(best: float, tried: Sequence[float]) -> float | None:
    """Return the rate beyond the end at which the best one is, by the grid's own ratio; None where it is inside."""
    if len(tried) < 2 or best not in (tried[0], tried[-1]):
        return None
    rate = best * (tried[1] / tried[0]) ** -1 if best == tried[0] else best * tried[-1] / tried[-2]
    # Rounded, so that 0.003 times 10/3 is 0.01 and a run's name is short.
    return float(f"{rate:.3g}")
