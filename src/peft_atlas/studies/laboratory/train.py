"""What the claims laboratory trains: cells on the adaptation study's networks, every rate of a fine grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from peft_atlas.methods.dora import DoRA
from peft_atlas.methods.full import FullFineTuning
from peft_atlas.methods.lora import LoRA
from peft_atlas.methods.lora_plus import LoRAPlus
from peft_atlas.step import Step
from peft_atlas.studies.adaptation.cells import Cell, Study, Target
from peft_atlas.studies.adaptation.config import AdaptationConfig
from peft_atlas.studies.adaptation.rows import last_points
from peft_atlas.studies.adaptation.train import train_cells
from peft_atlas.studies.laboratory.config import LaboratoryConfig
from peft_atlas.studies.laboratory.jobs import BATCH, CAPACITY, NAME, RULES, SCALING, VARIANTS
from peft_atlas.training.rows import Row

_LAYER = ("fc1",)


@dataclass(frozen=True)
class Part:
    """Cells that share a task, and what they change of how the adaptation study trains."""

    name: str
    cells: tuple[Cell, ...]
    train_examples: int
    changes: Mapping[str, Any]
    remark: str = ""


def parts_of(question: str, own: LaboratoryConfig) -> list[str]:
    """Return the names of the parts that answer a question, one of `jobs.QUESTIONS`."""
    values: dict[str, Sequence[object]] = {
        **{SCALING: list(RULES), BATCH: own.batch_sizes},
        CAPACITY: own.capacity_examples,
    }
    return [f"{question}-{value}" for value in values[question]] if question in values else [question]


def part_of(name: str, own: LaboratoryConfig, networks: AdaptationConfig) -> Part:
    """Return a part by its name, one of `parts_of`.

    Raises
    ------
    ValueError
        If the laboratory has no such part.
    """
    kind, _, value = name.partition("-")
    if kind == SCALING:
        return Part(name, tuple(_lora(SCALING, value, rank, own) for rank in own.ranks), own.train_examples, {})
    rank = networks.sizes.rank
    pair = (_lora(kind, "two", rank, own), Cell(kind, "full", FullFineTuning()))
    if kind == VARIANTS:
        size = (rank, 2.0 * rank, 0.0, _LAYER)
        others = (Cell(kind, "LoRA+", LoRAPlus(*size)), Cell(kind, "DoRA", DoRA(*size)))
        return Part(name, (*pair, _lora(kind, "root", rank, own), *others), own.train_examples, {})
    if kind == BATCH:
        # As many passes for every size, so that all see the same examples.
        batch = int(value)
        passes = -(-networks.steps // -(-own.train_examples // networks.batch_size))
        steps = passes * -(-own.train_examples // batch)
        return Part(name, pair, own.train_examples, {"batch_size": batch, "steps": steps}, f", batches of {batch}")
    if kind == CAPACITY:
        loras = tuple(_lora(kind, "two", rank, own) for rank in own.capacity_ranks)
        return Part(name, (*loras, pair[1]), int(value), {})
    raise ValueError(f"part = {name!r}: the laboratory has no such part")


def _lora(experiment: str, rule: str, rank: int, own: LaboratoryConfig) -> Cell:
    """Return LoRA of a rank with the alpha of a rule."""
    alpha = {"one": 1.0 * rank, "two": 2.0 * rank}.get(rule, own.alpha)
    return Cell(experiment, "LoRA", LoRA(rank, alpha, 0.0, _LAYER, use_rslora=rule == "root"), RULES[rule])


def train_part(
    part: Part, own: LaboratoryConfig, networks: AdaptationConfig, seeds: Sequence[int], base: Mapping[str, Tensor],
    device: str,
) -> tuple[list[Row], list[Row]]:  # fmt: skip
    """Return runs and costs of a part; the task is a full-rank shift of the first layer with decaying spectrum.

    Parameters
    ----------
    part
        Its cells, task and changes.
    own, networks
        The laboratory's section, and the adaptation study's, whose networks and tasks these are.
    seeds
        The seeds of the networks.
    base
        The pretrained parameters, shape ``(seeds, 1, ...)``.
    device
        Where it trains.
    """
    grid = {"learning_rates": own.learning_rates, "extensions": own.extensions}
    study = Study(networks.model_copy(update={**grid, **part.changes}), tuple(seeds), device)
    full = min(study.shape.in_features, study.shape.hidden_features)
    runs, costs = train_cells(study, base, Target(full, part.train_examples, "decaying"), part.cells)
    return [_renamed(run, part) for run in runs], [_named(cost, part, "run_id", "job") for cost in costs]


def _renamed(run: Row, part: Part) -> Row:
    """Return a run of the adaptation study's code as one of this study."""
    return {**_named(run, part, "run_id"), "study": NAME, "task": f"{run['task']}{part.remark}"}


def _named(row: Row, part: Part, *columns: str) -> Row:
    """Return a row whose identifiers begin with this study and part."""
    return {**row, **{name: f"{NAME}/{part.name}/{row[name].partition('/')[2]}" for name in columns}}


def laboratory_step(step: Step) -> None:
    """Train what answers one question of the laboratory."""
    config = step.params["config"]
    own = LaboratoryConfig.model_validate(config["own"])
    networks = AdaptationConfig.model_validate(config["networks"])
    base, runs, costs = load_file(step.path("base")), list[Row](), list[Row]()
    for name in parts_of(step.wildcards["question"], own):
        part = part_of(name, own, networks)
        trained, spent = train_part(part, own, networks, step.params["seeds"], base, step.params["device"])
        runs += trained
        costs += spent
    step.write("runs", runs)
    step.write("curves", last_points(runs))
    step.write("costs", costs)
