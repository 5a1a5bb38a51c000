"""The notebook's synthetic classification task, as it was published and as it was meant.

The notebook draws its training and its test set by one function that reseeds NumPy on every call. The
test inputs are therefore the first training inputs, while the teacher, drawn later from the stream, is
another one. Protocol ``as_published`` keeps that. Protocol ``held_out`` keeps the training set to the last
bit and takes validation and test inputs of its own, labelled by the training set's teacher, so that a run
of the two protocols differs in what it is judged on and in nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from peft_atlas.errors import AtlasError
from peft_atlas.rng import stream_key
from peft_atlas.training.task import Split, Task

Protocol = Literal["held_out", "as_published"]
PROTOCOLS: tuple[Protocol, ...] = ("held_out", "as_published")


@dataclass(frozen=True)
class TaskSizes:
    """Sizes of the task: features, examples a split, and the fraction of labels flipped in each."""

    features: int
    train_examples: int
    validation_examples: int
    test_examples: int
    published_test_examples: int
    label_noise: float


@dataclass(frozen=True)
class _Sample:
    """One set drawn for one seed: noisy labels, and the teacher and clean labels behind them."""

    inputs: NDArray[np.float64]
    labels: NDArray[np.int64]
    clean: NDArray[np.int64]
    teacher: NDArray[np.float64]


def notebook_sample(seed: int, examples: int, sizes: TaskSizes) -> _Sample:
    """Return what the notebook's ``create_synthetic_data(examples, features, 2, random_state=seed)`` returns.

    Inputs and teacher are standard normal; a label is the larger of two linear scores, and a fraction
    ``label_noise`` of the labels is flipped. NumPy's legacy stream is used, whose draws are frozen.
    """
    stream = np.random.RandomState(seed)  # noqa: NPY002: the notebook's own stream
    inputs = stream.randn(examples, sizes.features)
    teacher = stream.randn(sizes.features, 2)
    clean = np.argmax(inputs @ teacher, axis=1)
    flipped = stream.choice(examples, size=int(sizes.label_noise * examples), replace=False)
    labels = clean.copy()
    labels[flipped] = 1 - labels[flipped]
    return _Sample(inputs, labels, clean, teacher)


def held_out_sample(seed: int, role: str, examples: int, teacher: NDArray[np.float64], noise: float) -> _Sample:
    """Return fresh inputs labelled by a given teacher, drawn from the stream of (seed, role)."""
    stream = np.random.default_rng(stream_key(seed, role))
    inputs = stream.standard_normal((examples, len(teacher)))
    clean = np.argmax(inputs @ teacher, axis=1)
    flipped = stream.choice(examples, size=int(noise * examples), replace=False)
    labels = clean.copy()
    labels[flipped] = 1 - labels[flipped]
    return _Sample(inputs, labels, clean, teacher)


def make_task(protocol: Protocol, sizes: TaskSizes, seeds: Sequence[int]) -> Task:
    """Return the task of a protocol for each seed.

    Raises
    ------
    AtlasError
        If the protocol is unknown.
    """
    train = [notebook_sample(seed, sizes.train_examples, sizes) for seed in seeds]
    if protocol == "as_published":
        test = [notebook_sample(seed, sizes.published_test_examples, sizes) for seed in seeds]
        return Task(_stack(train), None, _stack(test))
    if protocol != "held_out":
        raise AtlasError(f"protocol = {protocol!r}: allowed: {', '.join(PROTOCOLS)}")
    validation, test = (
        [
            held_out_sample(seed, role, examples, sample.teacher, sizes.label_noise)
            for seed, sample in zip(seeds, train, strict=True)
        ]
        for role, examples in (("validation", sizes.validation_examples), ("test", sizes.test_examples))
    )
    return Task(_stack(train), _stack(validation), _stack(test))


def _stack(samples: Sequence[_Sample]) -> Split:
    """Return one sample per seed as a split, in torch's default dtype."""
    inputs = torch.from_numpy(np.stack([sample.inputs for sample in samples]))
    labels = torch.from_numpy(np.stack([sample.labels for sample in samples]))
    return Split(inputs.to(torch.get_default_dtype()), labels)


def shared_rows(left: Split, right: Split) -> list[int]:
    """Return, for each seed, how many inputs of ``right`` are also inputs of ``left``, compared exactly."""
    counts = []
    for left_rows, right_rows in zip(left.inputs, right.inputs, strict=True):
        known = {row.tobytes() for row in left_rows.numpy()}
        counts.append(sum(row.tobytes() in known for row in right_rows.numpy()))
    return counts


def published_label_agreement(seed: int, sizes: TaskSizes) -> tuple[float, float]:
    """Return how far the two labellings of the published test rows agree, before and after label noise.

    The published test rows are in the training set too; each set labels them by its own teacher. Chance
    is 0.5.
    """
    train = notebook_sample(seed, sizes.train_examples, sizes)
    test = notebook_sample(seed, sizes.published_test_examples, sizes)
    rows = slice(sizes.published_test_examples)
    return float(np.mean(train.clean[rows] == test.clean)), float(np.mean(train.labels[rows] == test.labels))
