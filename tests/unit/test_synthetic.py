"""The synthetic task against the notebook's own function."""

import numpy as np
import pytest
import torch

from peft_atlas.errors import AtlasError
from peft_atlas.studies.notebook.data import (
    TaskSizes,
    make_task,
    notebook_sample,
    published_label_agreement,
    shared_rows,
)

SIZES = TaskSizes(100, 800, 200, 1000, 200, 0.1)


def notebooks_function(n_samples, n_features, random_state):
    """Return what the notebook's create_synthetic_data does, on NumPy's global state as there."""
    np.random.seed(random_state)  # noqa: NPY002
    x = np.random.randn(n_samples, n_features)  # noqa: NPY002
    w = np.random.randn(n_features, 2)  # noqa: NPY002
    logits = x @ w
    probs = np.exp(logits) / np.sum(np.exp(logits), axis=1, keepdims=True)
    y = np.argmax(probs, axis=1)
    flip = np.random.choice(n_samples, size=int(0.1 * n_samples), replace=False)  # noqa: NPY002
    y[flip] = 1 - y[flip]
    return x, y


@pytest.mark.parametrize("seed", [0, 42])
@pytest.mark.parametrize("examples", [200, 800])
def test_a_sample_is_the_notebooks(seed, examples):
    x, y = notebooks_function(examples, 100, seed)
    sample = notebook_sample(seed, examples, SIZES)
    np.testing.assert_array_equal(sample.inputs, x)
    np.testing.assert_array_equal(sample.labels, y)


def test_as_published_repeats_the_notebooks_two_sets():
    task = make_task("as_published", SIZES, (42,))
    for split, examples in ((task.train, 800), (task.test, 200)):
        x, y = notebooks_function(examples, 100, 42)
        np.testing.assert_array_equal(split.inputs[0].numpy(), x.astype(np.float32))
        np.testing.assert_array_equal(split.labels[0].numpy(), y)
    assert task.validation is None


def test_the_published_test_rows_are_training_rows_under_other_labels():
    task = make_task("as_published", SIZES, (42, 7))
    assert torch.equal(task.test.inputs, task.train.inputs[:, :200])
    assert shared_rows(task.train, task.test) == [200, 200]
    clean, _ = published_label_agreement(42, SIZES)
    assert clean == pytest.approx(0.505)


def test_held_out_keeps_the_training_set_and_shares_no_row():
    held_out, published = make_task("held_out", SIZES, (42, 7)), make_task("as_published", SIZES, (42, 7))
    assert torch.equal(held_out.train.inputs, published.train.inputs)
    assert torch.equal(held_out.train.labels, published.train.labels)
    for left, right in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert shared_rows(getattr(held_out, left), getattr(held_out, right)) == [0, 0]


def test_held_out_labels_follow_the_training_sets_teacher():
    teacher = notebook_sample(7, 800, SIZES).teacher
    task = make_task("held_out", SIZES, (7,))
    for split in (task.train, task.validation, task.test):
        clean = np.argmax(split.inputs[0].numpy().astype(np.float64) @ teacher, axis=1)
        assert np.mean(clean == split.labels[0].numpy()) == pytest.approx(0.9, abs=0.005)


def test_seeds_have_their_own_data_whoever_else_is_drawn():
    together = make_task("held_out", SIZES, (1, 2, 3))
    alone = make_task("held_out", SIZES, (2,))
    assert torch.equal(together.test.inputs[1], alone.test.inputs[0])
    assert not torch.equal(together.test.inputs[0], together.test.inputs[1])


def test_an_unknown_protocol_is_named():
    with pytest.raises(AtlasError, match="protocol = 'random': allowed: held_out, as_published"):
        make_task("random", SIZES, (1,))
