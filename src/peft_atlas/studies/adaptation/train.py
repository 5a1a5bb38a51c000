"""The adaptation study: a pretrained network adapted to tasks that differ from its own by a shift of known rank."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from peft_atlas.files import write_whole
from peft_atlas.methods.attach import Attached, attach
from peft_atlas.methods.full import FullFineTuning
from peft_atlas.methods.lora import LoRA
from peft_atlas.methods.method import Members, Method, Sites, Sizes
from peft_atlas.methods.names import setting_name
from peft_atlas.methods.registry import study_settings
from peft_atlas.methods.storage import adapter_bytes
from peft_atlas.models.mlp import MLPShape, SimpleNN, simple_nn
from peft_atlas.step import Step
from peft_atlas.studies.adaptation.config import AdaptationConfig
from peft_atlas.studies.adaptation.data import ShiftedSizes, shuffled, source_task, target_task
from peft_atlas.studies.adaptation.jobs import NAME, NO_ADAPTATION
from peft_atlas.tables.schemas import COSTS, CURVES, RUNS
from peft_atlas.training.divergence import METRICS, diverged_reason, first_divergence, known, outcome
from peft_atlas.training.population import Curves, TrainingPlan, evaluate, resolve_device, train_population
from peft_atlas.training.resource_usage import Spent, measured
from peft_atlas.training.task import Task

Row = dict[str, Any]
# The shift is in the first layer, so that is what is adapted; fc2 is the head.
_HEAD = ("fc2",)
_SITES = Sites(
    linear=("fc1",),
    query_value=("fc1",),
    attention=("fc1",),
    rescaled=("fc1",),
    feedforward=(),
    outputs=("fc1",),
    attention_modules=(),
    blocks=("fc1",),
    width=None,
)


@dataclass(frozen=True)
class Cell:
    """What one cell of the study trains on a target task: a method with its setting, in one part of the study."""

    experiment: str
    label: str
    method: Method
    setting: str | None = None


@dataclass(frozen=True)
class Target:
    """A target task: the rank of its shift, and its training examples."""

    shift_rank: int
    train_examples: int

    @property
    def name(self) -> str:
        """Return the name that tables give to the task."""
        return f"shift of rank {self.shift_rank}"


@dataclass(frozen=True)
class Study:
    """One job's share of the study: its settings, its seeds, and where it trains."""

    config: AdaptationConfig
    seeds: tuple[int, ...]
    device: str

    @property
    def shape(self) -> MLPShape:
        """Return the widths of the network."""
        data = self.config.data
        return MLPShape(data.features, data.hidden_features, data.classes)

    @property
    def sizes(self) -> ShiftedSizes:
        """Return the sizes of the tasks."""
        return ShiftedSizes(**self.config.data.model_dump(exclude={"shift_size"}))

    @property
    def network(self) -> SimpleNN:
        """Return the network before pretraining, one per seed, parameters of shape ``(seeds, 1, ...)``."""
        return simple_nn(self.shape, (len(self.seeds), 1), self.seeds)

    @property
    def population(self) -> tuple[int, int]:
        """Return the dimensions of a population: seeds and learning rates."""
        return len(self.seeds), len(self.config.learning_rates)

    def data(self, base: Mapping[str, Tensor], target: Target) -> Task:
        """Return a target task for each seed."""
        size = self.config.data.shift_size
        return target_task(base, target.shift_rank, size, target.train_examples, self.sizes, self.seeds)


def pretrain(study: Study) -> tuple[dict[str, Tensor], list[Row], list[Row]]:
    """Return the pretrained parameters, shape ``(seeds, 1, ...)``, with the runs and learning curves of pretraining."""
    model, config = study.network.to(resolve_device(study.device)), study.config
    plan = TrainingPlan(config.pretraining.epochs, config.batch_size, config.pretraining.learning_rate)
    curves = train_population(model, source_task(study.sizes, study.seeds), plan, (len(study.seeds), 1), study.seeds)
    values = {name: getattr(curves, name).numpy() for name in METRICS}
    runs, points = [], []
    for index, seed in enumerate(study.seeds):
        cell = _pretraining_identity(study, seed)
        history = [{name: values[name][epoch, index, 0] for name in METRICS} for epoch in range(plan.epochs)]
        diverged = first_divergence(row["train_loss"] for row in history)
        ok = [diverged is None or epoch < diverged for epoch in range(1, plan.epochs + 1)]
        points += [
            {**CURVES.blank(), **cell, "epoch": epoch, **known(row, ok=ok[epoch - 1])}
            for epoch, row in enumerate(history, start=1)
        ]
        ended = {**outcome(diverged), **known(history[-1], ok=ok[-1])}
        runs.append({**RUNS.blank(), **cell, **ended, **_machine(study, study.shape.params())})
    return {name: values.detach().cpu() for name, values in model.state_dict().items()}, runs, points


def cells(config: AdaptationConfig, experiment: str) -> list[Cell]:
    """Return the cells of a part of the study, for each of its target tasks.

    Raises
    ------
    ValueError
        If the part is unknown.
    """
    return {"methods": _methods, "ranks": _ranks, "alphas": _alphas, "shuffled_labels": _controls}[experiment](config)


def _sizes(config: AdaptationConfig) -> Sizes:
    """Return the sizes of every method's adapter."""
    sizes = config.sizes
    return Sizes(sizes.rank, sizes.scaling * sizes.rank, 0.0, sizes.bottleneck)


def _methods(config: AdaptationConfig) -> list[Cell]:
    """Return every method that can be attached to a network without attention."""
    found = study_settings(_SITES, _sizes(config))
    return [Cell("methods", setting_name(s.label, s.setting), s.method) for s in found]


def _ranks(config: AdaptationConfig) -> list[Cell]:
    """Return LoRA over the ranks, alpha in proportion, with full fine-tuning as reference."""
    scaling = config.sizes.scaling
    loras = [LoRA(rank, scaling * rank, 0.0, _SITES.linear) for rank in config.ranks]
    return [Cell("ranks", lora.name, lora) for lora in loras] + [Cell("ranks", "full", FullFineTuning())]


def _alphas(config: AdaptationConfig) -> list[Cell]:
    """Return LoRA over alpha and rank under both scalings."""
    return [
        Cell("alphas", "LoRA", LoRA(rank, alpha, 0.0, _SITES.linear, use_rslora=rooted), rule)
        for rooted, rule in ((False, "alpha / r"), (True, "alpha / sqrt(r)"))
        for rank in config.alpha_sweep.ranks
        for alpha in config.alpha_sweep.alphas
    ]


def _controls(config: AdaptationConfig) -> list[Cell]:
    """Return LoRA and full fine-tuning, to be trained on labels that say nothing."""
    lora = LoRA(config.sizes.rank, config.sizes.scaling * config.sizes.rank, 0.0, _SITES.linear)
    return [Cell("shuffled_labels", method.name, method) for method in (lora, FullFineTuning())]


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
        costs += _spent_each(trained, spent)
    names = set(CURVES.schema().names)
    points = [{**{k: v for k, v in run.items() if k in names}, "epoch": run["epochs"]} for run in runs]
    return runs, points, costs


def _train_cell(
    study: Study, model: SimpleNN, task: Task, source: Task, target: Target, cell: Cell, before: Tensor
) -> tuple[list[Row], Spent]:
    """Return the runs of a cell, one per seed and learning rate, and what training them together took."""
    config, population = study.config, study.population
    attached = attach(model, cell.method, Members(population, study.seeds), _HEAD if cell.label == "head only" else ())
    batches = -(-target.train_examples // config.batch_size)
    rates = torch.tensor(config.learning_rates, dtype=torch.float64)
    plan = TrainingPlan(-(-config.steps // batches), config.batch_size, rates.expand(population), False, False)
    learning, factors = attached.trainable(), attached.rate_factors()
    raised = {learning[name]: factor for name, factor in factors.items() if factor != 1}
    with measured() as spent:
        curves = train_population(model, task, plan, population, study.seeds, raised)
    after = evaluate(model, source.test, population)[1]
    shared = _costs(study, attached)
    attached.detach()
    chosen = choose_rate(curves.validation_accuracy[-1])
    runs = []
    for row in _measured(study, curves, after, before, chosen):
        identity = _identity(study, target, cell, plan.epochs, row["seed"], row["learning_rate"])
        runs.append({**RUNS.blank(), **identity, **shared, **row})
    return runs, spent


def _spent_each(runs: Sequence[Row], spent: Spent) -> list[Row]:
    """Return what each of the runs that trained together cost: an equal share of the time, and all of the memory.

    The time holds reading validation and test once; the memory is the whole process's, with the data.
    """
    seconds = spent.seconds / len(runs)
    return [
        {
            **COSTS.blank(),
            "rule": "adapt",
            "job": run["run_id"],
            "run_id": run["run_id"],
            "cpu_seconds": spent.cpu_seconds / len(runs),
            "train_seconds": seconds,
            "examples_per_second": run["epochs"] * run["train_examples"] / seconds,
            "peak_memory_mb": spent.peak_megabytes,
        }
        for run in runs
    ]


def choose_rate(validation: Tensor) -> int:
    """Return the column with the best mean over rows; a column with a missing value is never the better one.

    Parameters
    ----------
    validation
        Validation accuracy, shape ``(seeds, rates)``, nan where a run has diverged. Of equal rates the first.
    """
    return int(validation.mean(0).nan_to_num(nan=-1.0).argmax())


def _measured(study: Study, curves: Curves, after: Tensor, before: Tensor, chosen: int) -> Iterator[Row]:
    """Yield what was measured of each seed and rate; test and source are null where the rate was not chosen."""
    values = {name: getattr(curves, name)[-1].numpy() for name in METRICS}
    for index, seed in enumerate(study.seeds):
        for place, rate in enumerate(study.config.learning_rates):
            read = {name: values[name][index, place] for name in METRICS}
            diverged = first_divergence([read["train_loss"]])
            ok, selected = diverged is None, place == chosen
            measured = known(read, ok=ok)
            if not selected:
                measured |= {"test_loss": None, "test_accuracy": None}
            yield {
                "seed": seed,
                "learning_rate": rate,
                "selected": selected,
                "validation_examples": study.config.data.validation_examples,
                "test_examples": study.config.data.test_examples if selected else None,
                **_ended(ok=ok),
                **measured,
                "source_accuracy_before": float(before[index]),
                "source_accuracy": float(after[index, place]) if ok and selected else None,
            }


def _ended(*, ok: bool) -> Row:
    """Return status and reason of a run whose loss was read at its end."""
    if ok:
        return outcome(None)
    return {"status": "diverged", "reason": diverged_reason(loss="training loss of the last epoch")}


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
    shared = {**_machine(study, study.shape.params()), "trainable_params": 0, "params_percent": 0.0}
    return [
        {
            **RUNS.blank(),
            **_identity(study, target, cell, 0, seed, None),
            **shared,
            **outcome(None),
            **{name: float(values[index]) for name, values in read.items()},
            "validation_examples": study.config.data.validation_examples,
            "test_examples": study.config.data.test_examples,
            "source_accuracy_before": float(before[index]),
            "source_accuracy": float(before[index]),
            "seed": seed,
        }
        for index, seed in enumerate(study.seeds)
    ]


def _costs(study: Study, attached: Attached) -> Row:
    """Return a cell's parameters and bytes, for one member."""
    own = study.shape.params()
    adapter, head = attached.adapter_params(), attached.head_params()
    added = adapter if attached.targets() else 0
    return {
        **_machine(study, own + added),
        "trainable_params": adapter + head,
        "params_percent": 100 * (adapter + head) / own,
        "head_params": head,
        "adapter_bytes": adapter_bytes(attached),
    }


def _machine(study: Study, total: int) -> Row:
    """Return on what a run was trained, and its parameters in all."""
    return {
        "total_params": total,
        "device": resolve_device(study.device).type,
        "torch_version": torch.__version__,
    }


def _model_name(study: Study) -> str:
    shape = study.shape
    return f"MLP {shape.in_features}-{shape.hidden_features}-{shape.classes}"


def _identity(study: Study, target: Target, cell: Cell, epochs: int, seed: int, rate: float | None) -> Row:
    """Return the columns that name a run and its cell."""
    rank = getattr(cell.method, "r", None)
    alpha = getattr(cell.method, "lora_alpha", None)
    rooted = getattr(cell.method, "use_rslora", False)
    scaling = None if alpha is None or rank is None else alpha / (sqrt(rank) if rooted else rank)
    named = {"shift": target.shift_rank, "examples": target.train_examples, "rank": rank, "alpha": alpha, "rate": rate}
    setting = "/".join(f"{key}={value:g}" for key, value in named.items() if value is not None)
    rule = "/rslora" if rooted else ""
    return {
        "run_id": f"{NAME}/{cell.experiment}/{cell.label}/{setting}{rule}/seed={seed}",
        "study": NAME,
        "experiment": cell.experiment,
        "task": target.name,
        "model": _model_name(study),
        "method": cell.label,
        "setting": cell.setting,
        "rank": rank,
        "alpha": alpha,
        "scaling": scaling,
        "dropout": None if alpha is None else 0.0,
        "shift_rank": target.shift_rank,
        "train_examples": target.train_examples,
        "epochs": epochs,
    }


def _pretraining_identity(study: Study, seed: int) -> Row:
    """Return the columns that name a run of pretraining."""
    config, params = study.config, study.shape.params()
    return {
        "run_id": f"{NAME}/pretraining/full/seed={seed}",
        "study": NAME,
        "experiment": "pretraining",
        "task": "source",
        "model": _model_name(study),
        "method": "full",
        "learning_rate": config.pretraining.learning_rate,
        "train_examples": config.data.source_examples,
        "epochs": config.pretraining.epochs,
        "trainable_params": params,
        "params_percent": 100.0,
        "seed": seed,
    }


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
