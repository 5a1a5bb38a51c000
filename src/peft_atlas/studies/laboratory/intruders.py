"""Intruder dimensions of the networks that the laboratory trained, and what shrinking them does to both tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import pandas as pd
import torch
from safetensors.torch import load_file
from torch import Tensor

from peft_atlas.methods.attach import attach
from peft_atlas.methods.full import FullFineTuning
from peft_atlas.methods.lora import LoRA
from peft_atlas.methods.method import Members, Method
from peft_atlas.models.mlp import SimpleNN
from peft_atlas.population import PopulationLinear
from peft_atlas.step import Step
from peft_atlas.studies.adaptation.cells import Study, Target
from peft_atlas.studies.adaptation.config import AdaptationConfig
from peft_atlas.studies.adaptation.data import source_task
from peft_atlas.studies.adaptation.jobs import NO_ADAPTATION
from peft_atlas.studies.laboratory.config import LaboratoryConfig
from peft_atlas.studies.laboratory.directions import intruders, shrink_intruders
from peft_atlas.studies.laboratory.jobs import EXACT, INTRUDERS, NAME, RULES, SCALING, SHRUNK_PARTS, VARIANTS
from peft_atlas.training.population import TrainingPlan, evaluate, resolve_device, train_population
from peft_atlas.training.rows import Row
from peft_atlas.training.task import Task


@dataclass(frozen=True)
class Bench:
    """What all networks share: study, pretrained parameters, the two tasks, and the laboratory's section."""

    study: Study
    base: Mapping[str, Tensor]
    target: Target
    task: Task
    source: Task
    own: LaboratoryConfig

    @classmethod
    def of(
        cls, own: LaboratoryConfig, networks: AdaptationConfig, seeds: Sequence[int], base: Mapping[str, Tensor],
        device: str,
    ) -> Bench:  # fmt: skip
        """Return the bench of the laboratory's task, a full-rank shift of the first layer with decaying spectrum."""
        study = Study(networks, tuple(seeds), device)
        target = Target(min(study.shape.in_features, study.shape.hidden_features), own.train_examples, "decaying")
        return cls(study, base, target, study.data(base, target), source_task(study.sizes, study.seeds), own)

    @property
    def pretrained(self) -> SimpleNN:
        """Return the networks before adaptation, parameters of shape ``(seeds, 1, ...)``."""
        model = self.study.network
        model.load_state_dict(dict(self.base))
        return model.to(resolve_device(self.study.device))

    @property
    def exact(self) -> Tensor:
        """Return the first layer's weights that solve the task, shape ``(seeds, 1, out, in)``."""
        data, placement = self.study.config.data, self.study.config.placement
        shift = self.target.shift(data.shift_size, placement.decay)
        own = [{name: values[place, 0] for name, values in self.base.items()} for place in range(len(self.study.seeds))]
        return torch.stack(
            [shift.moved(seed, each)["fc1.weight"] for seed, each in zip(self.study.seeds, own, strict=True)]
        )[:, None]

    def trained(self, method: Method, rates: Sequence[float]) -> tuple[SimpleNN, Tensor]:
        """Return networks as `train_cells` left them, with the adapter merged, and their accuracy on validation.

        A member's numbers do not depend on who shares its batch, so that these are the networks of the runs.

        Parameters
        ----------
        method
            The method.
        rates
            Learning rates.

        Returns
        -------
        tuple of SimpleNN and Tensor
            Parameters of shape ``(seeds, rates, ...)``, and accuracy of shape ``(seeds, rates)``.
        """
        config, population = self.study.config, (len(self.study.seeds), len(rates))
        model = self.pretrained
        attached = attach(model, method, Members(population, self.study.seeds))
        batches = -(-self.target.train_examples // config.batch_size)
        each = torch.tensor(rates, dtype=torch.float64).expand(population)
        plan = TrainingPlan(-(-config.steps // batches), config.batch_size, each, False, False)
        curves = train_population(model, self.task, plan, population, self.study.seeds)
        attached.merge_and_unload()
        return model, curves.validation_accuracy[-1]

    def count(self, weight: Tensor) -> Tensor:
        """Count the intruders of first-layer weights ``(seeds, rates, out, in)``; shape ``(seeds, rates)``."""
        before = self.base["fc1.weight"].to(weight.device)
        return intruders(weight, before, self.own.intruder_top, self.own.intruder_cosine).sum(-1)


def _cells(runs: pd.DataFrame, own: LaboratoryConfig, rule: str = "two") -> list[tuple[Method, pd.DataFrame]]:
    """Return LoRA of each rank and full fine-tuning, each with its runs at all rates up to the chosen one."""
    scaling = runs[(runs["experiment"] == SCALING) & (runs["setting"] == RULES[rule])]
    full = runs[(runs["experiment"] == VARIANTS) & (runs["method"] == "full")]
    loras = [(LoRA(rank, 2.0 * rank, 0.0, ("fc1",)), scaling[scaling["rank"] == rank]) for rank in own.ranks]
    return [(method, _up_to_chosen(rows)) for method, rows in (*loras, (FullFineTuning(), full))]


def _up_to_chosen(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs at rates up to the chosen one at which no seed diverged; none if one did at the chosen rate."""
    chosen = runs.loc[runs["selected"].fillna(value=False).astype(bool), "learning_rate"].max()
    diverged = set(runs.loc[runs["status"] != "ok", "learning_rate"])
    wanted = (runs["learning_rate"] <= chosen) & ~runs["learning_rate"].isin(diverged)
    return runs[wanted & (chosen not in diverged)]


def measure(bench: Bench, runs: pd.DataFrame) -> tuple[list[Row], list[Row]]:
    """Return the intruders of each network, and the runs of LoRA's networks at the chosen rate, shrunk.

    Parameters
    ----------
    bench
        What all networks share.
    runs
        Runs of the laboratory on scaling and variants, at every rate.

    Returns
    -------
    tuple of lists
        Rows of the contract ``laboratory_intruders``, and rows of the contract ``runs``.
    """
    counts, shrunk = _references(bench), list[Row]()
    for method, mine in _cells(runs, bench.own):
        rates = sorted({float(rate) for rate in mine["learning_rate"]})
        if not rates:
            continue
        model, validation = bench.trained(method, rates)
        found = bench.count(_first(model).weight.detach())
        rank = getattr(method, "r", None)
        for place, seed in enumerate(bench.study.seeds):
            for column, rate in enumerate(rates):
                row = {"method": method.name, "rank": rank, "learning_rate": rate, "seed": seed}
                row |= {"selected": rate == rates[-1], "validation_accuracy": float(validation[place, column])}
                counts.append(row | {"intruders": int(found[place, column])})
        if rank is not None:
            shrunk += _shrunk(bench, model, mine[mine["learning_rate"] == rates[-1]])
    return counts, shrunk


def _references(bench: Bench) -> list[Row]:
    """Return the counts of the networks before adaptation, and of the weights that solve the task exactly."""
    assert bench.task.validation is not None
    reached = evaluate(bench.pretrained, bench.task.validation, (len(bench.study.seeds), 1))[1]
    references = {NO_ADAPTATION: (bench.base["fc1.weight"], reached), EXACT: (bench.exact, torch.ones_like(reached))}
    return [
        {
            **{"method": name, "rank": None, "learning_rate": None, "seed": seed, "selected": None},
            **{"validation_accuracy": float(accuracy[place, 0]), "intruders": int(bench.count(weight)[place, 0])},
        }
        for name, (weight, accuracy) in references.items()
        for place, seed in enumerate(bench.study.seeds)
    ]


def _first(model: SimpleNN) -> PopulationLinear:
    """Return the layer that was adapted."""
    return cast(PopulationLinear, model.fc1)


def _shrunk(bench: Bench, model: SimpleNN, chosen: pd.DataFrame) -> list[Row]:
    """Return runs of the networks at the last rate, with the intruders or the whole update times each factor."""
    layer, own = _first(model), bench.own
    layer.weight.data, layer.bias.data = layer.weight.data[:, -1:].clone(), layer.bias.data[:, -1:].clone()
    adapted, rows = layer.weight.data, list[Row]()
    before = bench.base["fc1.weight"].to(adapted.device)
    for factor in (1.0, *own.intruder_factors):
        weights = {
            "intruders": shrink_intruders(adapted, before, own.intruder_top, own.intruder_cosine, factor),
            "update": before + factor * (adapted - before),
        }
        # Times 1 both are the network as it was trained.
        for part in SHRUNK_PARTS if factor < 1 else SHRUNK_PARTS[:1]:
            layer.weight.data = weights[part]
            rows += _read(bench, model, chosen, f"{part} times {factor:g}")
    return rows


def _read(bench: Bench, model: SimpleNN, chosen: pd.DataFrame, setting: str) -> list[Row]:
    """Return the runs of networks that were changed after training, from the rows of the runs that trained them."""
    population = (len(bench.study.seeds), 1)
    target, source = (evaluate(model, task.test, population) for task in (bench.task, bench.source))
    of_training = ("train_loss", "validation_loss", "validation_accuracy", "validation_examples")
    rows, by_seed = [], chosen.set_index("seed")
    for place, seed in enumerate(bench.study.seeds):
        run = {name: None if pd.isna(value) else value for name, value in by_seed.loc[seed].items()}
        run |= {"seed": seed, "experiment": INTRUDERS, "setting": setting, **dict.fromkeys(of_training)}
        run |= {"test_loss": float(target[0][place, 0]), "test_accuracy": float(target[1][place, 0])}
        run |= {"source_accuracy": float(source[1][place, 0])}
        run["run_id"] = f"{NAME}/{INTRUDERS}/{setting}/{str(run['run_id']).partition('/')[2]}"
        rows.append(run)
    return rows


def intruders_step(step: Step) -> None:
    """Count intruders in the laboratory's networks and shrink them."""
    config = step.params["config"]
    own, networks = LaboratoryConfig.model_validate(config["own"]), AdaptationConfig.model_validate(config["networks"])
    bench = Bench.of(own, networks, step.params["seeds"], load_file(step.path("base")), step.params["device"])
    counts, runs = measure(bench, step.read_all("runs"))
    step.write("laboratory_intruders", counts)
    step.write("runs", runs)
