"""The notebook study: full model next to LoRA, and the sweep over rank and alpha (sections 2-4 of the seed)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from peft_atlas.methods.lora import LoRALinear
from peft_atlas.models.mlp import MLPShape, SimpleNN, adapt, simple_nn
from peft_atlas.population import PopulationLinear, member_linear
from peft_atlas.step import Step
from peft_atlas.studies.notebook.config import NotebookConfig
from peft_atlas.studies.notebook.data import Protocol, TaskSizes, make_task
from peft_atlas.training.divergence import METRICS, first_divergence, known, outcome
from peft_atlas.training.population import Curves, TrainingPlan, resolve_device, train_population
from peft_atlas.training.rows import Row, adapter_size, curve_row, run_row, trained
from peft_atlas.training.task import Task


class DropoutAfterA(LoRALinear):
    """LoRA as the notebook wrote it: dropout on the output of A, where every library has it on the input."""

    def project_down(self, x: Tensor) -> Tensor:
        """Return ``dropout(A x)``, shape ``(*population, *batch, r)``."""
        return self.dropout(member_linear(x, self.lora_A))


@dataclass(frozen=True)
class Cell:
    """What one cell of the study trains: a method with its setting; None where the method has none.

    ``learning_rate`` is None where it is the study's own and not one of several that are searched.
    """

    experiment: str
    method: str
    epochs: int
    rank: int | None = None
    alpha: float | None = None
    layer: type[LoRALinear] = LoRALinear
    learning_rate: float | None = None


@dataclass(frozen=True)
class Block:
    """One job's share of the study: the seeds it trains and where."""

    config: NotebookConfig
    task: Protocol
    seeds: tuple[int, ...]
    device: str

    @property
    def shape(self) -> MLPShape:
        """Return the widths of the network."""
        return MLPShape(self.config.data.features, self.config.hidden_features)

    def data(self) -> Task:
        """Return the block's data, one set per seed."""
        return make_task(self.task, task_sizes(self.config), self.seeds)


def task_sizes(config: NotebookConfig) -> TaskSizes:
    """Return the sizes of the synthetic task."""
    return TaskSizes(**config.data.model_dump())


def train_baseline(block: Block) -> tuple[list[Row], list[Row]]:
    """Return runs and learning curves of the full model and one LoRA, test read after every epoch.

    Under ``held_out`` the LoRA is trained a second time with the notebook's place of dropout, as the
    experiment ``dropout_after_A``, to measure what that fix changes.
    """
    setting = block.config.baseline
    lora = Cell("baseline", "LoRA", setting.epochs, setting.rank, setting.alpha)
    cells = [Cell("baseline", "full", setting.epochs), lora]
    if block.task == "held_out":
        as_written = Cell("dropout_after_A", "LoRA", setting.epochs, setting.rank, setting.alpha, DropoutAfterA)
        cells.append(as_written)
    task = block.data()
    return collect(train_cells(block, task, [cell], test_each_epoch=True) for cell in cells)


def train_sweep(block: Block) -> tuple[list[Row], list[Row]]:
    """Return runs and learning curves of the rank x alpha grid; test is read once, after the last epoch.

    The alphas of a rank train as one population, so that they share data, base, order and dropout.
    """
    config, task = block.config, block.data()
    grid = ([Cell("sweep", "LoRA", config.epochs, rank, alpha) for alpha in config.alphas] for rank in config.ranks)
    return collect(train_cells(block, task, cells, test_each_epoch=False) for cells in grid)


def collect(parts: Iterable[tuple[list[Row], list[Row]]]) -> tuple[list[Row], list[Row]]:
    """Return the runs and the curves of several populations as two lists."""
    runs: list[Row] = []
    curves: list[Row] = []
    for some_runs, some_curves in parts:
        runs += some_runs
        curves += some_curves
    return runs, curves


def train_cells(
    block: Block, task: Task, cells: Sequence[Cell], *, test_each_epoch: bool
) -> tuple[list[Row], list[Row]]:
    """Train cells that differ in alpha or learning rate as one population (seeds, cells) and return its rows."""
    population = (len(block.seeds), len(cells))
    plan = TrainingPlan(cells[0].epochs, block.config.batch_size, _rates(block, cells), test_each_epoch)
    model = _build(block, cells).to(resolve_device(block.device))
    curves = train_population(model, task, plan, population, block.seeds)
    return _rows(block, cells, curves)


def _rates(block: Block, cells: Sequence[Cell]) -> float | Tensor:
    """Return the learning rate of all cells, or one per member where it is searched."""
    if cells[0].learning_rate is None:
        return block.config.learning_rate
    rates = torch.tensor([cell.learning_rate for cell in cells], dtype=torch.float64)
    return rates.expand(len(block.seeds), len(cells))


def _build(block: Block, cells: Sequence[Cell]) -> SimpleNN:
    """Return the network of some cells; a LoRA's base is shared by the cells of a seed."""
    first = cells[0]
    if first.rank is None:
        return simple_nn(block.shape, (len(block.seeds), len(cells)), block.seeds)
    base = simple_nn(block.shape, (len(block.seeds), 1), block.seeds)
    return adapt(base, _lora_layer(block, cells, first.rank))


def _lora_layer(block: Block, cells: Sequence[Cell], rank: int) -> Callable[[nn.Module, str], nn.Module]:
    """Return a function that wraps a layer with the cells' LoRA."""
    alphas = torch.tensor([cell.alpha for cell in cells])
    population = (len(block.seeds), len(cells))

    def wrap(base: nn.Module, name: str) -> nn.Module:
        assert isinstance(base, PopulationLinear)
        return cells[0].layer(base, rank, alphas, block.config.dropout, population, block.seeds, name)

    return wrap


def _rows(block: Block, cells: Sequence[Cell], curves: Curves) -> tuple[list[Row], list[Row]]:
    """Return one row per run and one per run and epoch; a diverged run's values are None from its divergence on."""
    runs, points = [], []
    values = {name: getattr(curves, name).numpy() for name in METRICS}
    for index, seed in enumerate(block.seeds):
        for position, cell in enumerate(cells):
            identity = _identity(block, cell, seed)
            history = [{name: values[name][e, index, position] for name in METRICS} for e in range(cell.epochs)]
            diverged = first_divergence(row["train_loss"] for row in history)
            for epoch, measured in enumerate(history, start=1):
                ok = diverged is None or epoch < diverged
                points.append(curve_row(identity, epoch, known(measured, ok=ok)))
            ended = {**outcome(diverged), **known(history[-1], ok=diverged is None)}
            total = block.shape.params() + (block.shape.lora_params(cell.rank) if cell.rank else 0)
            runs.append(run_row(identity, ended, total_params=total, device=block.device))
    return runs, points


def _identity(block: Block, cell: Cell, seed: int) -> Row:
    """Return the columns that name a run and its cell."""
    config, shape = block.config, block.shape
    is_lora = cell.rank is not None
    trainable = shape.lora_params(cell.rank) if cell.rank is not None else shape.params()
    setting = f"rank={cell.rank}/alpha={cell.alpha:g}/" if cell.alpha is not None else ""
    setting += f"rate={cell.learning_rate:g}/" if cell.learning_rate is not None else ""
    return {
        "run_id": f"notebook/{cell.experiment}/{block.task}/{cell.method}/{setting}seed={seed}",
        "study": "notebook",
        "experiment": cell.experiment,
        "task": block.task,
        "model": f"SimpleNN {shape.in_features}-{shape.hidden_features}-{shape.classes}",
        "method": cell.method,
        **adapter_size(cell.rank, cell.alpha),
        "dropout": config.dropout if is_lora else None,
        "learning_rate": config.learning_rate if cell.learning_rate is None else cell.learning_rate,
        "train_examples": config.data.train_examples,
        "epochs": cell.epochs,
        **trained(trainable, shape.params()),
        "seed": seed,
    }


def baseline_step(step: Step) -> None:
    """Train the baseline of one block of seeds, under one protocol."""
    _train_block(step, step.wildcards["task"], train_baseline)


def sweep_step(step: Step) -> None:
    """Train the sweep of one block of seeds."""
    _train_block(step, "held_out", train_sweep)


def _train_block(step: Step, task: str, train: Callable[[Block], tuple[list[Row], list[Row]]]) -> None:
    """Train a job's block and write its runs and curves."""
    params = step.params
    config = NotebookConfig.model_validate(params["config"])
    runs, curves = train(Block(config, cast(Protocol, task), tuple(params["seeds"]), params["device"]))
    step.write("runs", runs)
    step.write("curves", curves)
