"""How a run ended, and which of its numbers are known: a diverged run has a status and no numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

# A uniform guess costs the logarithm of the classes in nats; a run that overflowed can stay at a huge finite loss.
DIVERGED_LOSS = 1e4
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
