"""Train a population, that is many runs of the same shape, as one model in one process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from peft_atlas.errors import AtlasError
from peft_atlas.models.mlp import SimpleNN
from peft_atlas.rng import generators
from peft_atlas.training.optimizer import PopulationAdamW
from peft_atlas.training.task import Split, Task

# Rows evaluated at once; keeps the hidden activations of a block of runs within tens of megabytes.
_EVALUATION_ROWS = 128


@dataclass(frozen=True)
class TrainingPlan:
    """How a population is trained, and when it is measured.

    ``learning_rate`` is one number for all members, or one per member with shape ``population``. With
    ``test_each_epoch`` the test split is evaluated after every epoch, otherwise only after the last. Without
    ``measure_each_epoch`` nothing is evaluated before the last epoch.
    """

    epochs: int
    batch_size: int
    learning_rate: float | Tensor
    test_each_epoch: bool = False
    measure_each_epoch: bool = True


@dataclass(frozen=True)
class Curves:
    """Learning curves, float64 of shape ``(measured epochs, *population)``; nan if not evaluated."""

    train_loss: Tensor
    validation_loss: Tensor
    validation_accuracy: Tensor
    test_loss: Tensor
    test_accuracy: Tensor


@dataclass(frozen=True)
class _Prepared:
    """A split laid out for a population, with the first layer's frozen output precomputed."""

    inputs: Tensor
    labels: Tensor
    frozen: Tensor | None

    def rows(self, rows: slice) -> tuple[Tensor, Tensor, Tensor | None]:
        """Slice inputs, labels and frozen outputs."""
        frozen = None if self.frozen is None else self.frozen[..., rows, :]
        return self.inputs[..., rows, :], self.labels[..., rows], frozen

    def reordered(self, order: Tensor) -> _Prepared:
        """Reorder each seed's rows by its own permutation; ``order`` has shape ``(seeds, examples)``."""
        return _Prepared(
            _take_rows(self.inputs, order),
            self.labels.gather(-1, order.reshape(self.labels.shape)),
            None if self.frozen is None else _take_rows(self.frozen, order),
        )


def _take_rows(values: Tensor, order: Tensor) -> Tensor:
    """Reorder each seed's rows of ``values``, which has shape ``(seeds, 1..., examples, features)``."""
    seeds = torch.arange(len(order), device=order.device)[:, None]
    flat = values.reshape(len(order), *values.shape[-2:])
    return flat[seeds, order].reshape(values.shape)


def resolve_device(name: str) -> torch.device:
    """Resolve ``auto``, ``cpu`` or ``cuda`` to a device of this machine.

    Raises
    ------
    AtlasError
        If CUDA is requested but not available.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise AtlasError("device = 'cuda': this machine has no CUDA device; allowed here: auto, cpu")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def train_population(
    model: SimpleNN,
    task: Task,
    plan: TrainingPlan,
    population: Sequence[int],
    seeds: Sequence[int],
    rate_factors: Mapping[nn.Parameter, float] | None = None,
) -> Curves:
    """Train every member of a population with AdamW and return the learning curves.

    Members with the same seed see the same examples in the same order. A member's loss is the mean over its own batch,
    and losses are summed over members, so that no member's gradient depends on another's: if one diverges, the others
    are unaffected.

    Parameters
    ----------
    model
        The network, on the device to train on.
    task
        The data, one set per seed.
    plan
        Epochs, batch size, learning rate, and when test is read.
    population
        Population dimensions; the first is the seeds.
    seeds
        One seed for each entry of the first population dimension.
    rate_factors
        What the learning rate of some parameters is multiplied by, 1 for all others.
    """
    device = next(model.parameters()).device
    splits = {
        name: None if split is None else _prepare(model, split, population, device)
        for name, split in (("train", task.train), ("validation", task.validation), ("test", task.test))
    }
    train = splits["train"]
    assert train is not None
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = PopulationAdamW(learning, _rates(learning, plan.learning_rate, rate_factors or {}))
    orders = generators(seeds, "order")
    history: list[tuple[Tensor, ...]] = []
    for epoch in range(1, plan.epochs + 1):
        order = torch.stack([torch.randperm(train.labels.shape[-1], generator=g) for g in orders]).to(device)
        loss = _train_epoch(model, train.reordered(order), optimizer, plan.batch_size, population)
        if epoch < plan.epochs and not plan.measure_each_epoch:
            continue
        test = splits["test"] if plan.test_each_epoch or epoch == plan.epochs else None
        history.append((loss, *_evaluate(model, splits["validation"], population), *_evaluate(model, test, population)))
    return Curves(*(torch.stack(column).double().cpu() for column in zip(*history, strict=True)))


def _rates(
    learning: Sequence[nn.Parameter], rate: float | Tensor, factors: Mapping[nn.Parameter, float]
) -> float | list[float | Tensor]:
    """Choose a single learning rate for all parameters, or one per parameter if they differ."""
    if isinstance(rate, float) and not factors:
        return rate
    return [rate * factors.get(parameter, 1.0) for parameter in learning]


def evaluate(model: SimpleNN, split: Split, population: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Compute each member's mean loss in nats and accuracy on a split, float64 of shape ``population``."""
    device = next(model.parameters()).device
    return _evaluate(model, _prepare(model, split, population, device), population)


def _prepare(model: SimpleNN, split: Split, population: Sequence[int], device: torch.device) -> _Prepared:
    """Move a split to the device, with a dimension of size 1 for each population dimension but the seeds."""
    ones = [1] * (len(population) - 1)
    inputs = split.inputs.to(device).reshape(len(split.inputs), *ones, *split.inputs.shape[1:])
    labels = split.labels.to(device).reshape(len(split.labels), *ones, split.labels.shape[-1])
    with torch.no_grad():
        return _Prepared(inputs, labels, model.frozen_first(inputs))


def _member_losses(logits: Tensor, labels: Tensor, population: Sequence[int]) -> Tensor:
    """Average the cross-entropy over each member's rows, shape ``population``."""
    labels = labels.expand(*population, labels.shape[-1])
    # With the classes before the rows, where torch is four times as fast for few of them. Each member's rows are a
    # slice of their own: in one row of all, the bits of the last depend on how many there are.
    by_class = logits.reshape(-1, *logits.shape[-2:]).mT
    losses = F.cross_entropy(by_class, labels.reshape(-1, labels.shape[-1]), reduction="none")
    return losses.reshape(labels.shape).mean(-1)


def _train_epoch(
    model: SimpleNN, train: _Prepared, optimizer: PopulationAdamW, batch_size: int, population: Sequence[int]
) -> Tensor:
    """Make one pass over the training rows and return each member's mean loss over the batches."""
    model.train()
    starts = range(0, train.labels.shape[-1], batch_size)
    total = torch.zeros(tuple(population), device=train.inputs.device)
    for start in starts:
        inputs, labels, frozen = train.rows(slice(start, start + batch_size))
        losses = _member_losses(model(inputs, frozen), labels, population)
        optimizer.zero_grad()
        losses.sum().backward()
        optimizer.step()
        total += losses.detach()
    return total / len(starts)


@torch.no_grad()
def _evaluate(model: nn.Module, split: _Prepared | None, population: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Compute each member's loss and accuracy on a split, or nan for both if there is no split."""
    if split is None:
        device = next(model.parameters()).device
        missing = torch.full(tuple(population), torch.nan, dtype=torch.float64, device=device)
        return missing, missing
    model.eval()
    rows = split.labels.shape[-1]
    loss = torch.zeros(tuple(population), device=split.inputs.device)
    correct = torch.zeros_like(loss)
    for start in range(0, rows, _EVALUATION_ROWS):
        inputs, labels, frozen = split.rows(slice(start, start + _EVALUATION_ROWS))
        logits = model(inputs, frozen)
        loss += _member_losses(logits, labels, population) * labels.shape[-1]
        correct += (logits.argmax(-1) == labels).sum(-1)
    # Divide in double precision, so that 775 of 1000 is written as 0.775.
    return loss.double() / rows, correct.double() / rows
