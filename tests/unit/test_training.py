"""A population trained as one batch against a plain loop over textbook layers."""

import gc
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from peft_atlas.errors import AtlasError
from peft_atlas.methods.lora import LoRALinear
from peft_atlas.models.mlp import MLPShape, adapt, simple_nn
from peft_atlas.rng import generator
from peft_atlas.studies.notebook.config import NotebookConfig
from peft_atlas.studies.notebook.data import TaskSizes, make_task
from peft_atlas.studies.notebook.train import Block, train_baseline, train_sweep
from peft_atlas.training.population import TrainingPlan, resolve_device, train_population

# Left out of `make fast-test`: together these files take most of the time of the unit tests.
pytestmark = pytest.mark.slow

SIZES = TaskSizes(12, 72, 20, 24, 16, 0.1)
SHAPE = MLPShape(12, 16)
SEEDS = (3, 11)
PLAN = TrainingPlan(epochs=5, batch_size=16, learning_rate=1e-2)
METRICS = ("train_loss", "validation_loss", "validation_accuracy", "test_loss", "test_accuracy")


def fresh_base(seed):
    """Return two textbook layers with the weights that the seed gives the population's base."""
    base = simple_nn(SHAPE, (1,), (seed,))
    layers = []
    for fc in (base.fc1, base.fc2):
        layer = nn.Linear(fc.in_features, fc.out_features)
        layer.weight.data, layer.bias.data = fc.weight.data[0].clone(), fc.bias.data[0].clone()
        layers.append(layer)
    return layers


def plain_loop(seed, rank=None, alpha=None, dropout=0.0):
    """Train one network by the textbook: torch.nn.Linear, F.linear, a loop over batches, AdamW."""
    task = make_task("held_out", SIZES, (seed,))
    layers = fresh_base(seed)
    adapters = []
    if rank is not None:
        for name, layer in zip(("fc1", "fc2"), layers, strict=True):
            layer.requires_grad_(False)
            draws = torch.rand(
                rank, layer.in_features, generator=generator(seed, f"adapter/{name}"), dtype=torch.float64
            )
            a = nn.Parameter((2 * draws - 1) / math.sqrt(layer.in_features))
            adapters.append(
                (a, nn.Parameter(torch.zeros(layer.out_features, rank)), generator(seed, f"dropout/{name}"))
            )
    learning = [p for pair in adapters for p in pair[:2]] or [p for layer in layers for p in layer.parameters()]
    optimizer = torch.optim.AdamW(learning, lr=PLAN.learning_rate)

    def apply(index, x, training):
        out = layers[index](x)
        if not adapters:
            return out
        a, b, masks = adapters[index]
        if training and dropout:
            x = x * (torch.rand(x.shape, generator=masks, dtype=torch.float32) >= dropout) / (1 - dropout)
        return out + alpha / rank * F.linear(F.linear(x, a), b)

    def network(x, training):
        return apply(1, F.relu(apply(0, x, training)), training)

    def evaluate(split):
        with torch.no_grad():
            logits = network(split.inputs[0], training=False)
            accuracy = (logits.argmax(-1) == split.labels[0]).double().mean().item()
            return F.cross_entropy(logits, split.labels[0]).item(), accuracy

    order, history = generator(seed, "order"), []
    for _ in range(PLAN.epochs):
        losses = []
        for rows in torch.randperm(SIZES.train_examples, generator=order).split(PLAN.batch_size):
            loss = F.cross_entropy(network(task.train.inputs[0, rows], True), task.train.labels[0, rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        history.append((sum(losses) / len(losses), *evaluate(task.validation), *evaluate(task.test)))
    return torch.tensor(history)


def population_curves(rank, alphas, dropout):
    population = (len(SEEDS), len(alphas))
    base = simple_nn(SHAPE, (len(SEEDS), 1) if rank else population, SEEDS)
    if rank:
        scale = torch.tensor(alphas)
        base = adapt(base, lambda fc, name: LoRALinear(fc, rank, scale, dropout, population, SEEDS, name))
    plan = TrainingPlan(PLAN.epochs, PLAN.batch_size, PLAN.learning_rate, test_each_epoch=True)
    return train_population(base, make_task("held_out", SIZES, SEEDS), plan, population, SEEDS)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("rank", [None, 1, 4])
def test_every_member_equals_the_plain_loop(rank, dropout):
    alphas = [1.0, 16.0, 64.0] if rank else [None]
    curves = population_curves(rank, alphas, dropout)
    for s, seed in enumerate(SEEDS):
        for a, alpha in enumerate(alphas):
            expected = plain_loop(seed, rank, alpha, dropout)
            for column, metric in enumerate(METRICS):
                got = getattr(curves, metric)[:, s, a]
                torch.testing.assert_close(got, expected[:, column], rtol=0, atol=1e-5, msg=f"{metric} {seed} {alpha}")


SMALL = NotebookConfig.model_validate(
    {
        "data": {
            "features": 20,
            "train_examples": 96,
            "validation_examples": 40,
            "test_examples": 40,
            "published_test_examples": 20,
        },
        "hidden_features": 24,
        "ranks": [1, 2, 8],
        "alphas": [1.0, 16.0],
        "epochs": 2,
        "baseline": {"rank": 4, "alpha": 8.0, "epochs": 2},
    }
)


def block(seeds, task="held_out", config=SMALL):
    return Block(config, task, tuple(seeds), "cpu")


@pytest.mark.parametrize("size", [1, 5, 20])
@pytest.mark.parametrize("train", [train_sweep, train_baseline])
def test_results_do_not_depend_on_the_seeds_of_a_job(train, size):
    whole = train(block(range(20)))
    parts = [train(block(range(start, start + size))) for start in range(0, 20, size)]
    for together, separate in zip(whole, zip(*parts, strict=True), strict=True):
        key = lambda row: (row["run_id"], row.get("epoch", 0))  # noqa: E731
        assert sorted(together, key=key) == sorted((row for part in separate for row in part), key=key)


def test_results_do_not_depend_on_the_other_cells_of_the_grid():
    alone = SMALL.model_copy(update={"ranks": (8,), "alphas": (16.0,)})
    expected = [row for row in train_sweep(block((0, 1)))[0] if (row["rank"], row["alpha"]) == (8, 16.0)]
    assert train_sweep(block((0, 1), config=alone))[0] == expected


def test_a_diverging_member_is_flagged_and_spoils_no_neighbour():
    huge = SMALL.model_copy(update={"alphas": (1.0, 1e18), "ranks": (2,)})
    calm = SMALL.model_copy(update={"alphas": (1.0,), "ranks": (2,)})
    runs, curves = train_sweep(block((0,), config=huge))
    by_alpha = {row["alpha"]: row for row in runs}
    assert by_alpha[1.0] == train_sweep(block((0,), config=calm))[0][0]
    bad = by_alpha[1e18]
    assert bad["status"] == "diverged"
    assert "training loss is above 10,000 nats or not finite from epoch" in bad["reason"]
    assert all(bad[metric] is None for metric in METRICS)
    assert all(row["test_accuracy"] != 0 for row in curves)


def test_the_two_protocols_train_alike_and_differ_in_test_alone():
    held_out, _ = train_baseline(block((0, 1)))
    published, _ = train_baseline(block((0, 1), "as_published"))
    same = {(row["method"], row["seed"]): row for row in held_out if row["experiment"] == "baseline"}
    assert len(same) == len(published) == 4
    for row in published:
        mine = same[row["method"], row["seed"]]
        assert row["train_loss"] == mine["train_loss"]
        assert row["test_loss"] != mine["test_loss"]
        assert row["validation_accuracy"] is None


def test_test_is_read_once_in_the_sweep():
    _, curves = train_sweep(block((0,)))
    assert {row["epoch"] for row in curves if row["test_accuracy"] is not None} == {2}


def test_recorded_parameters_are_those_that_learn():
    shape = MLPShape(20, 24)
    runs, _ = train_sweep(block((0,)))
    for row in runs:
        base = adapt(simple_nn(shape, (), (0,)), lambda fc, name, r=row["rank"]: LoRALinear(fc, r, 1.0, name=name))
        assert row["trainable_params"] == sum(p.numel() for p in base.parameters() if p.requires_grad)
        assert row["total_params"] == sum(p.numel() for p in base.parameters())


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_asking_for_cuda_where_there_is_none_is_an_error():
    with pytest.raises(AtlasError, match="device = 'cuda'"):
        resolve_device("cuda")
    assert resolve_device("auto") == torch.device("cpu")


def test_epochs_of_a_population_leave_no_reference_cycles():
    # Jobs train with the search for them switched off, so that any would add up.
    def left_by(epochs):
        model = simple_nn(SHAPE, (len(SEEDS),), SEEDS)
        task = make_task("held_out", SIZES, SEEDS)
        gc.collect()
        train_population(model, task, TrainingPlan(epochs, 16, 1e-2), (len(SEEDS),), SEEDS)
        return gc.collect()

    gc.disable()
    try:
        left_by(1)
        assert left_by(9) == left_by(1) < 50
    finally:
        gc.enable()
