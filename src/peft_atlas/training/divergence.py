"""How a run ended, and which of its numbers are known.

A diverged run has a status and no numbers. A collapsed one, which has learnt no more than how frequent the classes
are, has a status and its numbers: they were measured, and to leave them out would flatter the setting.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite, log
from typing import Any

# A uniform guess costs the logarithm of the classes in nats; a run that overflowed can stay at a huge finite loss.
DIVERGED_LOSS = 1e4
# Share of the entropy of the training labels from which a training loss counts as nothing learnt.
COLLAPSED_SHARE = 0.95
METRICS = ("train_loss", "validation_loss", "validation_accuracy", "test_loss", "test_accuracy")


def first_divergence(losses: Iterable[float]) -> int | None:
    """Return the first epoch, from 1, whose training loss is not finite or beyond all reason, or None."""
    return next((epoch for epoch, loss in enumerate(losses, start=1) if not loss <= DIVERGED_LOSS), None)


def known(measured: Mapping[str, float], *, ok: bool) -> dict[str, float | None]:
    """Return measured values with None for what was not read, and for all of a run that has diverged."""
    return {name: float(value) if ok and isfinite(value) else None for name, value in measured.items()}


def outcome(diverged: int | None) -> dict[str, Any]:
    """Return status and reason of a run that diverged in an epoch, or in none."""
    if diverged is None:
        return {"status": "ok", "reason": None}
    return {"status": "diverged", "reason": diverged_reason(f" from epoch {diverged} on")}


def diverged_reason(when: str = "", loss: str = "training loss") -> str:
    """Return why a run counts as diverged: which loss passed the limit, and when."""
    return f"{loss} is above {DIVERGED_LOSS:,.0f} nats or not finite{when}"


def entropy(labels: Sequence[int]) -> float:
    """Return the entropy of labels in nats: the loss of who knows the frequencies of the classes and no more."""
    counts = Counter(labels)
    return -sum(count / len(labels) * log(count / len(labels)) for count in counts.values())


def collapsed_reason(train_loss: float, labels: Sequence[int], predicted_classes: int | None) -> str | None:
    """Return why a run that ended counts as collapsed, None where it does not.

    Parameters
    ----------
    train_loss
        Mean training loss of its last epoch, in nats.
    labels
        Classes of its training examples; with a single one nothing can collapse.
    predicted_classes
        How many classes it predicted where it was last evaluated; None where it never was.
    """
    if len(set(labels)) < 2:
        return None
    if predicted_classes == 1:
        return "it predicts the same class for every text"
    most = COLLAPSED_SHARE * entropy(labels)
    if train_loss >= most:
        return f"training loss of the last epoch is {train_loss:.3f} nats, at least {most:.3f}: the labels' entropy"
    return None
