"""The adaptation study: a pretrained network adapted to tasks that differ from its own by a shift of known rank."""

from __future__ import annotations

from collections.abc import Mapping

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


def train_target(
    study: Study, base: Mapping[str, Tensor], target: Target, experiment: str
) -> tuple[list[Row], list[Row], list[Row]]:
    """Return runs, last points of the curves, and costs of one part of the study on one target task.

    Every cell trains at every learning rate of the grid; the rate with the best mean validation accuracy over
    seeds is chosen for the cell, and test and source are read at that rate alone.

    Parameters
    ----------
    study
        Settings and seeds.
    base
        The pretrained parameters, shape ``(seeds, 1, ...)``.
    target
        The task.
    experiment
        Part of the study, one of `EXPERIMENTS`.
    """
    device = resolve_device(study.device)
    model = study.network
    model.load_state_dict(dict(base))
    model.to(device)
    task, source = study.data(base, target), source_task(study.sizes, study.seeds)
    if experiment == "shuffled_labels":
        task = shuffled(task, study.seeds)
    before = evaluate(model, source.test, (len(study.seeds), 1))[1][:, 0]
    runs = _unadapted(study, model, task, target, before) if experiment == "methods" else []
    costs = []
    for cell in cells(study.config, experiment):
        trained, spent = _train_cell(study, model, task, source, target, cell, before)
        runs += trained
        costs += cost_rows(trained, spent)
    return runs, last_points(runs), costs


def _train_cell(
    study: Study, model: SimpleNN, task: Task, source: Task, target: Target, cell: Cell, before: Tensor
) -> tuple[list[Row], Spent]:
    """Return the runs of a cell, one per seed and learning rate, and what training them together took."""
    config, population = study.config, study.population
    attached = attach(model, cell.method, Members(population, study.seeds), HEAD if cell.label == "head only" else ())
    batches = -(-target.train_examples // config.batch_size)
    rates = torch.tensor(config.learning_rates, dtype=torch.float64)
    plan = TrainingPlan(-(-config.steps // batches), config.batch_size, rates.expand(population), False, False)
    learning, factors = attached.trainable(), attached.rate_factors()
    raised = {learning[name]: factor for name, factor in factors.items() if factor != 1}
    with measured() as spent:
        curves = train_population(model, task, plan, population, study.seeds, raised)
    after = evaluate(model, source.test, population)[1]
    chosen = choose_rate(curves.validation_accuracy[-1])
    read = list(readings(study, curves, after, before, chosen))
    runs = cell_rows(study, target, cell, plan.epochs, attached, read)
    attached.detach()
    return runs, spent


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
    target = Target(int(step.wildcards["shift"]), int(step.wildcards["examples"]))
    base = load_file(step.path("base"))
    runs, curves, costs = train_target(_study_of(step), base, target, step.wildcards["experiment"])
    step.write("runs", runs)
    step.write("curves", curves)
    step.write("costs", costs)
