"""Fine-tune one text classifier: one method, one setting, one seed."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from peft_atlas.models.encoder import TextClassifier
from peft_atlas.training.batches import Ragged
from peft_atlas.training.checkpoint import Checkpoint
from peft_atlas.training.epochs import EVALUATION_ROWS, EpochTraining, FinetunePlan
from peft_atlas.training.history import Adapted
from peft_atlas.training.precision import autocast

__all__ = ["Evaluated", "FinetunePlan", "Finetuning", "Labelled"]


@dataclass(frozen=True)
class Labelled:
    """Rows with their classes, shape ``(rows,)``; ``stages`` have run on them already."""

    rows: Ragged
    labels: Tensor
    stages: int = 0


@dataclass(frozen=True)
class Evaluated:
    """What a run makes of rows: mean cross-entropy in nats, and the class predicted for each, shape ``(rows,)``."""

    loss: float
    predicted: Tensor
    labels: Tensor

    @property
    def correct(self) -> Tensor:
        """Return which rows are classified rightly."""
        return self.predicted == self.labels

    @property
    def accuracy(self) -> float:
        """Return the fraction of rows that are classified rightly."""
        return int(self.correct.sum()) / len(self.labels)


class Finetuning(EpochTraining[Labelled, Labelled]):
    """A run of a `TextClassifier` with a method attached, on rows of token ids on its device; see `EpochTraining`."""

    def __init__(
        self, attached: Adapted, train: Labelled, plan: FinetunePlan, seed: int, checkpoint: Checkpoint | None = None
    ) -> None:
        self.model = cast(TextClassifier, attached.model)
        self._frozen = self.model.frozen_stages()
        super().__init__(attached, train, plan, seed, checkpoint)

    def _precision(self) -> AbstractContextManager[Any]:
        return autocast(self.model.head.weight.device, self.plan.bfloat16)

    def ragged(self, part: Labelled) -> Ragged:
        """Return the rows of states that batches are made of."""
        return part.rows

    @torch.no_grad()
    def advanced(self, part: Labelled) -> Labelled:
        """Return rows after the frozen stages at the start, which no step will change."""
        if part.stages >= self._frozen:
            return part
        with self._precision():
            rows = part.rows.mapped(
                lambda states, mask: self.model.stream.run(states, mask, part.stages, self._frozen).float(),
                EVALUATION_ROWS,
            )
        return Labelled(rows, part.labels, self._frozen)

    def gradient(self, rows: Tensor) -> float:
        """Compute the gradient of the mean cross-entropy of some training rows, and return that, in nats."""
        states, mask = self._train.rows.batch(rows)
        with self._precision():
            logits = self.model(states, mask, self._train.stages)
        loss = F.cross_entropy(logits.float(), self._train.labels[rows])
        loss.backward()
        return float(loss.detach())

    @torch.no_grad()
    def predict(self, part: Labelled) -> Evaluated:
        """Return loss and predicted classes of some rows."""
        with self._clock("evaluation_seconds"):
            self.model.eval()
            loss, predicted = 0.0, torch.empty_like(part.labels)
            for rows in part.rows.by_length(EVALUATION_ROWS):
                states, mask = part.rows.batch(rows)
                with self._precision():
                    logits = self.model(states, mask, part.stages).float()
                loss += float(F.cross_entropy(logits, part.labels[rows], reduction="sum"))
                predicted[rows] = logits.argmax(-1)
        self.history.predicted_classes = len(predicted.unique())
        return Evaluated(loss / len(part.labels), predicted, part.labels)

    def evaluate(self, part: Labelled) -> tuple[float, float]:
        """Return mean cross-entropy, in nats, and accuracy on some rows."""
        found = self.predict(part)
        return found.loss, found.accuracy
