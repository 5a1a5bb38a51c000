"""A source task, and target tasks that differ from it by a weight shift of known rank and place.

A teacher network, drawn for each seed, labels the source task, and a base network is pretrained on it. A target
task is labelled by the base itself after a weight moved by a matrix of rank k: so the smallest update that solves
the target exactly has rank k, and what LoRA's rank must be is known. Where the weight of the second layer moves, or
both with a full rank, an adapter on the first layer has no exact solution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from peft_atlas.rng import generator, stream_key
from peft_atlas.training.task import Split, Task

# Names of the base's parameters that label a target task, as `peft_atlas.models.mlp.SimpleNN` has them.
Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class ShiftedSizes:
    """Sizes of the tasks: features, hidden units and classes of teacher and base, and examples a split."""

    features: int
    hidden_features: int
    classes: int
    source_examples: int
    validation_examples: int
    test_examples: int


@dataclass(frozen=True)
class Shift:
    """Which weights a target task moves, and how.

    Parameters
    ----------
    rank
        Rank of the shift of each weight; at most the weight's own.
    size
        Frobenius norm of a shift over that of its weight.
    layers
        Layers whose weights move.
    decay
        Singular value i of a shift is in proportion to ``i ** -decay``, so that 0 makes all of them equal.
    """

    rank: int
    size: float
    layers: tuple[str, ...] = ("fc1",)
    decay: float = 0.0

    def moved(self, seed: int, own: Weights) -> dict[str, Tensor]:
        """Return a network's parameters after the shift."""
        moved = dict(own)
        for layer in self.layers:
            weight = own[f"{layer}.weight"]
            role = "shift" if layer == "fc1" else f"shift/{layer}"
            moved[f"{layer}.weight"] = weight + weight_shift(seed, self.rank, weight, self.size, self.decay, role)
        return moved


def teacher(seed: int, sizes: ShiftedSizes) -> dict[str, Tensor]:
    """Return the network that labels a seed's source task: normal weights of variance 1 / fan-in, no biases."""
    draws = generator(seed, "teacher")
    return {
        "fc1.weight": torch.randn(sizes.hidden_features, sizes.features, generator=draws) / sizes.features**0.5,
        "fc1.bias": torch.zeros(sizes.hidden_features),
        "fc2.weight": torch.randn(sizes.classes, sizes.hidden_features, generator=draws) / sizes.hidden_features**0.5,
        "fc2.bias": torch.zeros(sizes.classes),
    }


def weight_shift(seed: int, rank: int, weight: Tensor, size: float, decay: float = 0.0, role: str = "shift") -> Tensor:
    """Return a shift of a weight, shape ``(out, in)``, of a rank and of ``size`` times the weight's Frobenius norm.

    ``U diag(s) V^T`` with U and V the first columns of random orthonormal bases, which are the same for every rank,
    and s in proportion to ``i ** -decay``; shifts of all ranks and spectra are equally large. A rank above the
    weight's own is cut to that.
    """
    draws = generator(seed, role)
    full = min(weight.shape)
    rank = min(rank, full)
    left, right = (torch.linalg.qr(torch.randn(n, full, generator=draws, dtype=torch.float64))[0] for n in weight.shape)
    values = torch.arange(1, rank + 1, dtype=torch.float64) ** -decay
    direction = left[:, :rank] * (values / values.norm()) @ right[:, :rank].T
    return (size * torch.linalg.matrix_norm(weight.double()) * direction).to(weight.dtype)


def _labels(inputs: Tensor, weights: Weights) -> Tensor:
    """Return the larger class of a two-layer network on each input, shape ``(examples,)``."""
    hidden = F.relu(F.linear(inputs, weights["fc1.weight"], weights["fc1.bias"]))
    return F.linear(hidden, weights["fc2.weight"], weights["fc2.bias"]).argmax(-1)


def _split(seeds: Sequence[int], role: str, examples: int, labellers: Sequence[Weights]) -> Split:
    """Return standard normal inputs of (seed, role) labelled by each seed's network."""
    features = labellers[0]["fc1.weight"].shape[-1]
    # NumPy's stream feeds rows in order, so that the first rows of a longer draw are those of a shorter one.
    streams = [np.random.default_rng(stream_key(seed, role)) for seed in seeds]
    inputs = [torch.from_numpy(stream.standard_normal((examples, features), np.float32)) for stream in streams]
    labels = [_labels(x, weights) for x, weights in zip(inputs, labellers, strict=True)]
    return Split(torch.stack(inputs), torch.stack(labels))


def source_task(sizes: ShiftedSizes, seeds: Sequence[int]) -> Task:
    """Return the source task of each seed."""
    teachers = [teacher(seed, sizes) for seed in seeds]
    return Task(
        _split(seeds, "source_train", sizes.source_examples, teachers),
        _split(seeds, "source_validation", sizes.validation_examples, teachers),
        _split(seeds, "source_test", sizes.test_examples, teachers),
    )


def target_task(base: Weights, shift: Shift, train_examples: int, sizes: ShiftedSizes, seeds: Sequence[int]) -> Task:
    """Return a target task of each seed; inputs do not depend on the shift, and a small budget is part of a large.

    Parameters
    ----------
    base
        The pretrained networks' parameters, shape ``(seeds, 1, ...)``.
    shift
        Which weights move, and how.
    train_examples
        Training examples.
    sizes
        Sizes of the other splits.
    seeds
        One seed for each network.
    """
    labellers = []
    for index, seed in enumerate(seeds):
        own = {name: values[index, 0] for name, values in base.items()}
        labellers.append(shift.moved(seed, own))
    return Task(
        _split(seeds, "target_train", train_examples, labellers),
        _split(seeds, "target_validation", sizes.validation_examples, labellers),
        _split(seeds, "target_test", sizes.test_examples, labellers),
    )


def shuffled(task: Task, seeds: Sequence[int]) -> Task:
    """Return a task whose training labels are permuted among the examples: nothing of it can be learnt."""
    labels = torch.stack(
        [
            row[torch.randperm(len(row), generator=generator(seed, "shuffle"))]
            for seed, row in zip(seeds, task.train.labels, strict=True)
        ]
    )
    return Task(Split(task.train.inputs, labels), task.validation, task.test)
