"""The loop of a fine-tuning run: epochs in batches, what is measured after each, and a checkpoint to go on from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from typing import Generic, TypeVar

from torch import Tensor

from peft_atlas.rng import generator
from peft_atlas.training.batches import Ragged
from peft_atlas.training.checkpoint import Checkpoint
from peft_atlas.training.divergence import DIVERGED_LOSS
from peft_atlas.training.history import Adapted, History
from peft_atlas.training.resource_usage import timed
from peft_atlas.training.schedule import ScheduledAdamW

# Rows that are read at once without training.
EVALUATION_ROWS = 64


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


# Rows as they are given, and as they are kept.
Given = TypeVar("Given")
Kept = TypeVar("Kept")


class EpochTraining(ABC, Generic[Given, Kept]):
    """A run: a network with a method attached, its examples and its plan; what a step is, a subclass says.

    The network draws no dropout of its own, so that what the frozen stages make of a row is computed once. The order
    of an epoch is keyed by seed and epoch, and dropout has streams of its own, so that a run that was killed goes on
    from its checkpoint with the same numbers.

    Parameters
    ----------
    attached
        The network with a method attached, on the device where it is to be trained.
    train
        The training examples.
    plan
        The run's settings.
    seed
        Keys the order of the examples; the adapter's own streams are keyed where it is attached.
    checkpoint
        Where the state of the run is kept while it is under way.
    """

    def __init__(
        self, attached: Adapted, train: Given, plan: FinetunePlan, seed: int, checkpoint: Checkpoint | None = None
    ) -> None:
        self.attached, self.plan, self.seed = attached, plan, seed
        self.history, self.checkpoint = History(), checkpoint or Checkpoint()
        with self._clock("train_seconds"):
            self._train = self.advanced(train)
        self.steps_per_epoch = -(-len(self.ragged(self._train).lengths) // plan.batch_size)
        steps = plan.epochs * self.steps_per_epoch
        self._optimizer = ScheduledAdamW(
            attached.trainable(), attached.rate_factors(), plan.learning_rate, steps, round(plan.warmup * steps)
        )
        self.checkpoint.restore(attached, self._optimizer, self.history)

    @abstractmethod
    def ragged(self, part: Kept) -> Ragged:
        """Return the rows of states that batches are made of."""

    @abstractmethod
    def advanced(self, part: Given) -> Kept:
        """Return rows after the frozen stages at the start, which no step will change."""

    @abstractmethod
    def gradient(self, rows: Tensor) -> float:
        """Compute the gradient of the mean loss of some training rows, and return that loss, in nats."""

    @abstractmethod
    def evaluate(self, part: Kept) -> tuple[float, float]:
        """Return loss, in nats, and accuracy on some rows."""

    @contextmanager
    def _clock(self, name: str) -> Iterator[None]:
        """Add the time that something takes to one of the history's sums."""
        with timed() as spent:
            yield
        history = self.history
        setattr(history, name, getattr(history, name) + spent.seconds)
        if name == "train_seconds":
            history.train_cpu_seconds += spent.cpu_seconds

    def train(
        self, validation: Given | None = None, until: int | None = None, validated: Collection[int] | None = None
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
        with self._clock("evaluation_seconds"):
            kept = None if validation is None else self.advanced(validation)
        while len(self.history.train_loss) < until and not self.history.diverged:
            epoch = len(self.history.train_loss)
            with self._clock("train_seconds"):
                self.train_epoch(epoch)
            if self.history.diverged:
                break
            self._validate(kept if validated is None or epoch + 1 in validated else None)
        return self.history

    def pause(self) -> None:
        """Write the state after the epochs so far into the checkpoint, which another process may go on from."""
        epoch = len(self.history.train_loss)
        more = epoch < self.plan.epochs and not self.history.diverged
        self.checkpoint.pause(epoch, self.attached, self._optimizer if more else None, self.history)

    def _validate(self, validation: Kept | None) -> None:
        loss, accuracy = (None, None) if validation is None else self.evaluate(validation)
        self.history.validation_loss.append(loss)
        self.history.validation_accuracy.append(accuracy)

    def train_epoch(self, epoch: int) -> None:
        """Take one pass over the training examples, or what is left of it after a checkpoint."""
        batches = self.ragged(self._train).shuffled(self.plan.batch_size, generator(self.seed, f"order/{epoch}"))
        self.attached.model.train()
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
        loss = self.gradient(rows)
        self._optimizer.step()
        return loss
