"""Source and target tasks: a shift of known rank and size, and splits that share what they should and no more."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from peft_atlas.models.mlp import MLPShape, simple_nn
from peft_atlas.studies.adaptation.data import (
    Shift,
    ShiftedSizes,
    shuffled,
    source_task,
    target_task,
    teacher,
    weight_shift,
)
from peft_atlas.studies.notebook.data import shared_rows

SIZES = ShiftedSizes(6, 8, 3, 40, 30, 50)
SEEDS = (0, 5)


@pytest.fixture(scope="module")
def base():
    return {name: values.detach() for name, values in simple_nn(MLPShape(6, 8, 3), (2, 1), SEEDS).state_dict().items()}


@given(rank=st.integers(1, 6), seed=st.integers(0, 50), size=st.floats(0.1, 5))
@settings(max_examples=20)
def test_a_shift_has_its_rank_and_size(rank, seed, size):
    weight = torch.randn(8, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    shift = weight_shift(seed, rank, weight, size)
    values = torch.linalg.svdvals(shift)
    assert int(torch.linalg.matrix_rank(shift)) == rank
    torch.testing.assert_close(torch.linalg.matrix_norm(shift), size * torch.linalg.matrix_norm(weight))
    torch.testing.assert_close(values[:rank], values[0].expand(rank))


def test_a_target_is_solved_exactly_by_the_base_and_its_shift(base):
    task = target_task(base, Shift(2, 1.0), 40, SIZES, SEEDS)
    for index, seed in enumerate(SEEDS):
        own = {name: values[index, 0] for name, values in base.items()}
        moved = own["fc1.weight"] + weight_shift(seed, 2, own["fc1.weight"], 1.0)
        for split in (task.train, task.validation, task.test):
            hidden = F.relu(split.inputs[index] @ moved.T + own["fc1.bias"])
            assert torch.equal((hidden @ own["fc2.weight"].T + own["fc2.bias"]).argmax(-1), split.labels[index])
    unmoved = F.relu(task.test.inputs[0] @ base["fc1.weight"][0, 0].T + base["fc1.bias"][0, 0])
    logits = unmoved @ base["fc2.weight"][0, 0].T + base["fc2.bias"][0, 0]
    assert (logits.argmax(-1) != task.test.labels[0]).any()


@given(decay=st.floats(0.1, 3), size=st.floats(0.1, 5))
@settings(max_examples=10)
def test_a_decaying_shift_has_its_spectrum_and_size(decay, size):
    weight = torch.randn(8, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    values = torch.linalg.svdvals(weight_shift(3, 6, weight, size, decay))
    torch.testing.assert_close(values.norm(), size * torch.linalg.matrix_norm(weight))
    expected = torch.arange(1, 7, dtype=torch.float64) ** -decay
    torch.testing.assert_close(values / values[0], expected)


def test_a_shift_moves_the_layers_it_names_and_no_other(base):
    own = {name: values[0, 0] for name, values in base.items()}
    moved = Shift(2, 1.0, ("fc2",)).moved(0, own)
    assert {name for name in own if not torch.equal(own[name], moved[name])} == {"fc2.weight"}
    assert int(torch.linalg.matrix_rank(moved["fc2.weight"] - own["fc2.weight"], tol=1e-5)) == 2
    both = Shift(6, 1.0, ("fc1", "fc2"), 1.0).moved(0, own)
    assert {name for name in own if not torch.equal(own[name], both[name])} == {"fc1.weight", "fc2.weight"}
    # The two shifts are drawn from streams of their own.
    assert not torch.equal(both["fc1.weight"][:3, :3] - own["fc1.weight"][:3, :3], both["fc2.weight"][:3, :3])


def test_the_inputs_are_those_of_every_shift_and_a_small_budget_is_part_of_a_large(base):
    small, large = (
        target_task(base, Shift(rank, 1.0), examples, SIZES, SEEDS) for rank, examples in ((1, 13), (4, 40))
    )
    assert torch.equal(small.train.inputs, large.train.inputs[:, :13])
    assert torch.equal(small.test.inputs, large.test.inputs)
    assert not torch.equal(small.test.labels, large.test.labels)


def test_no_row_is_in_two_splits(base):
    source, target = source_task(SIZES, SEEDS), target_task(base, Shift(1, 1.0), 40, SIZES, SEEDS)
    splits = [s for task in (source, target) for s in (task.train, task.validation, task.test)]
    for index, left in enumerate(splits):
        for right in splits[index + 1 :]:
            assert shared_rows(left, right) == [0, 0]


def test_a_seed_is_the_same_whatever_trains_with_it(base):
    both, alone = source_task(SIZES, SEEDS), source_task(SIZES, SEEDS[1:])
    assert torch.equal(both.train.inputs[1:], alone.train.inputs)
    assert torch.equal(both.train.labels[1:], alone.train.labels)
    assert not torch.equal(teacher(0, SIZES)["fc1.weight"], teacher(5, SIZES)["fc1.weight"])


def test_shuffling_permutes_the_training_labels_and_nothing_else(base):
    task = target_task(base, Shift(1, 1.0), 40, SIZES, SEEDS)
    mixed = shuffled(task, SEEDS)
    assert torch.equal(mixed.train.inputs, task.train.inputs)
    assert torch.equal(mixed.train.labels.sort().values, task.train.labels.sort().values)
    assert not torch.equal(mixed.train.labels, task.train.labels)
    assert mixed.test is task.test
