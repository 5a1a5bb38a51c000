"""The adaptation study: a pretrained network adapted to tasks that differ from its own by a shift of known rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from peft_atlas.files import write_whole
from peft_atlas.methods.attach import attach
from peft_atlas.methods.full import FullFineTuning
from peft_atlas.methods.method import Members
from peft_atlas.models.mlp import SimpleNN
from peft_atlas.step import Step
from peft_atlas.studies.adaptation.cells import HEAD, Cell, Study, Target, cells
from peft_atlas.studies.adaptation.config import AdaptationConfig
from peft_atlas.studies.adaptation.data import shuffled, source_task
from peft_atlas.studies.adaptation.jobs import NO_ADAPTATION
from peft_atlas.studies.adaptation.rows import (
    cell_rows,
    choose,
    cost_rows,
    last_points,
    pretraining_rows,
    readings,
    unadapted_rows,
)
from peft_atlas.training.population import TrainingPlan, evaluate, resolve_device, train_population
from peft_atlas.training.resource_usage import Spent, measured
from peft_atlas.training.rows import Row
from peft_atlas.training.task import Task


def pretrain(study: Study) -> tuple[dict[str, Tensor], list[Row], list[Row]]:
    """Return the pretrained parameters, shape ``(seeds, 1, ...)``, with the runs and learning curves of pretraining."""
    model, config = study.network.to(resolve_device(study.device)), study.config
    plan = TrainingPlan(config.pretraining.epochs, config.batch_size, config.pretraining.learning_rate)
    curves = train_population(model, source_task(study.sizes, study.seeds), plan, (len(study.seeds), 1), study.seeds)
    runs, points = pretraining_rows(study, curves, plan.epochs)
    return {name: values.detach().cpu() for name, values in model.state_dict().items()}, runs, points


@dataclass(frozen=True)
class _Job:
    """What the cells of a job share: study, networks, tasks, accuracy on the source before, growth of their grids."""

    study: Study
    model: SimpleNN
    task: Task
    source: Task
    target: Target
    before: Tensor
    extensions: int


def train_target(
    study: Study, base: Mapping[str, Tensor], target: Target, experiment: str
) -> tuple[list[Row], list[Row], list[Row]]:
    """Return runs, last points of the curves, and costs of one part of the study on one target task.

    Every cell trains at every learning rate of the grid, which grows where its end is best; the rate with the best
    mean validation accuracy over seeds is chosen for the cell, and test is kept at that rate alone.

    Parameters
    ----------
    study
        Settings and seeds.
    base
        The pretrained parameters, shape ``(seeds, 1, ...)``.
    target
        The task.
    experiment
        Part of the study, a key of `AdaptationConfig.targets`.
    """
    wanted = {"unadapted": experiment == "methods", "shuffle": experiment == "shuffled_labels"}
    runs, costs = train_cells(study, base, target, cells(study.config, experiment), **wanted)
    return runs, last_points(runs), costs


def train_cells(
    study: Study,
    base: Mapping[str, Tensor],
    target: Target,
    trained: Sequence[Cell],
    *,
    unadapted: bool = False,
    shuffle: bool = False,
) -> tuple[list[Row], list[Row]]:
    """Return runs and costs of some cells on one target task.

    Parameters
    ----------
    study, base, target
        As `train_target` takes them.
    trained
        The cells.
    unadapted
        Whether the network as it is comes first, as a run per seed.
    shuffle
        Whether the training labels say nothing.
    """
    device = resolve_device(study.device)
    model = study.network
    model.load_state_dict(dict(base))
    model.to(device)
    task, source = study.data(base, target), source_task(study.sizes, study.seeds)
    task = shuffled(task, study.seeds) if shuffle else task
    before = evaluate(model, source.test, (len(study.seeds), 1))[1][:, 0]
    runs = _unadapted(study, model, task, target, before) if unadapted else []
    # Labels that say nothing drive the rate towards 0, where nothing is trained and the control would test nothing.
    extensions = 0 if shuffle else study.config.extensions
    costs, job = [], _Job(study, model, task, source, target, before, extensions)
    for cell in trained:
        found, spent = _search(job, cell)
        runs += found
        costs += spent
    return runs, costs


def _search(job: _Job, cell: Cell) -> tuple[list[Row], list[Row]]:
    """Return the runs of a cell at every rate that was tried, and their costs."""
    runs, spent = _train_cell(job, cell, job.study.config.learning_rates)
    costs = cost_rows(runs, spent)
    for _ in range(job.extensions):
        beyond = rate_beyond(_chosen(runs), sorted({row["learning_rate"] for row in runs}))
        if beyond is None:
            break
        more, spent = _train_cell(job, cell, (beyond,))
        runs += more
        costs += cost_rows(more, spent)
    choose(runs, _chosen(runs))
    return runs, costs


def _train_cell(job: _Job, cell: Cell, rates: Sequence[float]) -> tuple[list[Row], Spent]:
    """Return the runs of a cell, one per seed and learning rate, and what training them together took."""
    study, config, population = job.study, job.study.config, (len(job.study.seeds), len(rates))
    members, head = Members(population, study.seeds), HEAD if cell.label == "head only" else ()
    attached = attach(job.model, cell.method, members, head)
    batches = -(-job.target.train_examples // config.batch_size)
    each = torch.tensor(rates, dtype=torch.float64).expand(population)
    plan = TrainingPlan(-(-config.steps // batches), config.batch_size, each, False, False)
    learning, factors = attached.trainable(), attached.rate_factors()
    raised = {learning[name]: factor for name, factor in factors.items() if factor != 1}
    with measured() as spent:
        curves = train_population(job.model, job.task, plan, population, study.seeds, raised)
    after = evaluate(job.model, job.source.test, population)[1]
    read = readings(study, rates, curves, after, job.before)
    runs = cell_rows(study, job.target, cell, plan.epochs, attached, read)
    attached.detach()
    return runs, spent


def _chosen(runs: Sequence[Row]) -> float:
    """Return the rate that is best on validation among the runs of a cell."""
    rates = sorted({row["learning_rate"] for row in runs})
    reached = {(row["seed"], row["learning_rate"]): row["validation_accuracy"] for row in runs}
    seeds = sorted({row["seed"] for row in runs})
    table = [[reached[seed, rate] for rate in rates] for seed in seeds]
    numbers = [[float("nan") if value is None else value for value in row] for row in table]
    return rates[choose_rate(torch.tensor(numbers, dtype=torch.float64))]


def rate_beyond(best: float, tried: Sequence[float]) -> float | None:
    """Return the rate beyond the end at which the best one is, by the grid's own ratio; None where it is inside.

    Parameters
    ----------
    best
        The best of the rates.
    tried
        Rates, rising; a single one has no end.
    """
    if len(tried) < 2 or best not in (tried[0], tried[-1]):
        return None
    rate = best * tried[0] / tried[1] if best == tried[0] else best * tried[-1] / tried[-2]
    # Rounded, so that 0.03 times 3 is 0.09 and a run's name is short.
    return float(f"{rate:.3g}")


def choose_rate(validation: Tensor) -> int:
    """Return the column with the best mean over rows; a column with a missing value is never the better one.

    Parameters
    ----------
    validation
        Validation accuracy, shape ``(seeds, rates)``, nan where a run has diverged. Of equal rates the first.
    """
    return int(validation.mean(0).nan_to_num(nan=-1.0).argmax())


def _unadapted(study: Study, model: SimpleNN, task: Task, target: Target, before: Tensor) -> list[Row]:
    """Return the base as it is on the target task, a run per seed that trains nothing."""
    model.requires_grad_(False)
    assert task.validation is not None
    population = (len(study.seeds), 1)
    read = {
        f"{name}_{metric}": values[:, 0]
        for name, split in (("validation", task.validation), ("test", task.test))
        for metric, values in zip(("loss", "accuracy"), evaluate(model, split, population), strict=True)
    }
    cell = Cell("methods", NO_ADAPTATION, FullFineTuning())
    return unadapted_rows(study, target, cell, read, before)


def _study_of(step: Step) -> Study:
    """Return a job's share of the study."""
    params = step.params
    return Study(AdaptationConfig.model_validate(params["config"]), tuple(params["seeds"]), params["device"])


def pretrain_step(step: Step) -> None:
    """Pretrain the networks that the study adapts."""
    base, runs, curves = pretrain(_study_of(step))
    write_whole(step.output("base"), lambda part: save_file(base, part))
    step.write("runs", runs)
    step.write("curves", curves)


def adapt_step(step: Step) -> None:
    """Adapt the pretrained networks to one target task, in one part of the study."""
    target = Target.of(step.wildcards["shift"], int(step.wildcards["examples"]))
    base = load_file(step.path("base"))
    runs, curves, costs = train_target(_study_of(step), base, target, step.wildcards["experiment"])
    step.write("runs", runs)
    step.write("curves", curves)
    step.write("costs", costs)
