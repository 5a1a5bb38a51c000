"""Fine-tune one text classifier: one method, one setting, one seed."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from math import isfinite
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from peft_atlas.models.encoder import TextClassifier
from peft_atlas.rng import generator
from peft_atlas.training.batches import Ragged
from peft_atlas.training.checkpoint import Checkpoint
from peft_atlas.training.divergence import DIVERGED_LOSS
from peft_atlas.training.history import Adapted, History
from peft_atlas.training.resource_usage import timed
from peft_atlas.training.schedule import ScheduledAdamW

_EVALUATION_ROWS = 64


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


@dataclass(frozen=True)
class FinetunePlan:
    """How a run is trained.

    Parameters
    ----------
    epochs
        Passes over the training examples.
    batch_size
        Examples in one step.
    learning_rate
        The highest rate.
    warmup
        Fraction of the steps in which the rate rises.
    bfloat16
        Whether matrix products are taken in bfloat16.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    warmup: float = 0.1
    bfloat16: bool = False


class Finetuning:
    """A run: a `TextClassifier` with a method attached, its examples and its plan.

    The encoder draws no dropout of its own, so that what the frozen stages make of a text is computed once. The
    order of an epoch is keyed by seed and epoch, and dropout has streams of its own, so that a run that was killed
    goes on from its checkpoint with the same numbers.

    Parameters
    ----------
    attached
        The classifier with a method attached, on the device where it is to be trained.
    train
        Rows of token ids, on that device.
    plan
        The run's settings.
    seed
        Keys the order of the examples; the adapter's own streams are keyed where it is attached.
    checkpoint
        Where the state of the run is kept while it is under way.
    """

    def __init__(
        self, attached: Adapted, train: Labelled, plan: FinetunePlan, seed: int, checkpoint: Checkpoint | None = None
    ) -> None:
        self.attached, self.plan, self.seed = attached, plan, seed
        self.model = cast(TextClassifier, attached.model)
        self.history, self.checkpoint = History(), checkpoint or Checkpoint()
        self._frozen = self.model.frozen_stages()
        with self._clock("train_seconds"):
            self._train = self.advanced(train)
        self.steps_per_epoch = -(-len(train.labels) // plan.batch_size)
        steps = plan.epochs * self.steps_per_epoch
        self._optimizer = ScheduledAdamW(
            attached.trainable(), attached.rate_factors(), plan.learning_rate, steps, round(plan.warmup * steps)
        )
        self.checkpoint.restore(attached, self._optimizer, self.history)

    @contextmanager
    def _clock(self, name: str) -> Iterator[None]:
        """Add the time that something takes to one of the history's sums."""
        with timed() as spent:
            yield
        history = self.history
        setattr(history, name, getattr(history, name) + spent.seconds)
        if name == "train_seconds":
            history.train_cpu_seconds += spent.cpu_seconds

    def _precision(self) -> AbstractContextManager[Any]:
        if not self.plan.bfloat16:
            return nullcontext()
        return torch.autocast(self.model.head.weight.device.type, torch.bfloat16)

    @torch.no_grad()
    def advanced(self, part: Labelled) -> Labelled:
        """Return rows after the frozen stages at the start, which no step will change."""
        if part.stages >= self._frozen:
            return part
        values: list[Tensor] = [torch.empty(0)] * len(part.labels)
        with self._precision():
            for rows in part.rows.by_length(_EVALUATION_ROWS):
                states, mask = part.rows.batch(rows)
                after = self.model.stream.run(states, mask, part.stages, self._frozen)
                for row, kept, present in zip(rows.tolist(), after.float(), mask, strict=True):
                    values[row] = kept[present]
        return Labelled(Ragged(torch.cat(values), part.rows.lengths), part.labels, self._frozen)

    def train(
        self, validation: Labelled | None = None, until: int | None = None, validated: Collection[int] | None = None
    ) -> History:
        """Train by AdamW and return what was measured; a run that diverges ends there.

        Parameters
        ----------
        validation
            Rows that are read after an epoch; None to read none.
        until
            Epoch after which the run pauses; the last where it is None. A later call, or that of another process with
            the same checkpoint, goes on with the numbers of a run that was never paused.
        validated
            Epochs, from 1, after which validation is read; all where it is None.
        """
        until = self.plan.epochs if until is None else until
        if validation is not None:
            with self._clock("evaluation_seconds"):
                validation = self.advanced(validation)
        while len(self.history.train_loss) < until and not self.history.diverged:
            epoch = len(self.history.train_loss)
            with self._clock("train_seconds"):
                self.train_epoch(epoch)
            if self.history.diverged:
                break
            self._validate(validation if validated is None or epoch + 1 in validated else None)
        return self.history

    def pause(self) -> None:
        """Write the state after the epochs so far into the checkpoint, which another process may go on from."""
        epoch = len(self.history.train_loss)
        more = epoch < self.plan.epochs and not self.history.diverged
        self.checkpoint.pause(epoch, self.attached, self._optimizer if more else None, self.history)

    def _validate(self, validation: Labelled | None) -> None:
        found = None if validation is None else self.predict(validation)
        self.history.validation_loss.append(None if found is None else found.loss)
        self.history.validation_accuracy.append(None if found is None else found.accuracy)

    def train_epoch(self, epoch: int) -> None:
        """Take one pass over the training examples, or what is left of it after a checkpoint."""
        batches = self._train.rows.shuffled(self.plan.batch_size, generator(self.seed, f"order/{epoch}"))
        self.model.train()
        for place in range(self.checkpoint.place_in(epoch), len(batches)):
            loss = self.step(batches[place])
            self.history.running_loss += loss
            if not (isfinite(loss) and loss <= DIVERGED_LOSS):
                self.history.diverged = True
                return
            self.checkpoint.save(epoch, place + 1, self.attached, self._optimizer, self.history)
        self.history.train_loss.append(self.history.running_loss / len(batches))
        self.history.running_loss = 0.0

    def step(self, rows: Tensor) -> float:
        """Train on some rows and return the loss before it, in nats."""
        states, mask = self._train.rows.batch(rows)
        with self._precision():
            logits = self.model(states, mask, self._train.stages)
        loss = F.cross_entropy(logits.float(), self._train.labels[rows])
        loss.backward()
        self._optimizer.step()
        return float(loss.detach())

    @torch.no_grad()
    def predict(self, part: Labelled) -> Evaluated:
        """Return loss and predicted classes of some rows."""
        with self._clock("evaluation_seconds"):
            self.model.eval()
            loss, predicted = 0.0, torch.empty_like(part.labels)
            for rows in part.rows.by_length(_EVALUATION_ROWS):
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
