"""What a fine-tuning run asks of its network, and what it has measured so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor, nn


class Adapted(Protocol):
    """What a run asks of a network with a method attached; see `peft_atlas.methods.attach.Attached`."""

    @property
    def model(self) -> nn.Module:
        """Return the network."""

    def trainable(self) -> dict[str, nn.Parameter]:
        """Return every parameter that learns, by name."""

    def rate_factors(self) -> dict[str, float]:
        """Return what the rate of each is multiplied by."""

    def state(self) -> dict[str, Tensor]:
        """Return a copy of every parameter that learns."""

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Set them."""


@dataclass
class History:
    """What was measured after each epoch, the sum of losses of the one under way, and what the run took.

    Validation is None after an epoch in which it was not read. ``predicted_classes`` is how many classes the last
    evaluation predicted, None before the first.
    """

    train_loss: list[float] = field(default_factory=list)
    validation_loss: list[float | None] = field(default_factory=list)
    validation_accuracy: list[float | None] = field(default_factory=list)
    running_loss: float = 0.0
    diverged: bool = False
    predicted_classes: int | None = None
    train_seconds: float = 0.0
    train_cpu_seconds: float = 0.0
    evaluation_seconds: float = 0.0
    peak_megabytes: float = 0.0
