"""The encoder study's training jobs: the rate of a setting chosen on validation, then all its seeds, then test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from peft_atlas.methods.method import StudySetting
from peft_atlas.step import Step
from peft_atlas.studies.encoder.config import EncoderConfig
from peft_atlas.studies.encoder.data.examples import read_texts
from peft_atlas.studies.encoder.peft_method import PeftSetting, peft_setting
from peft_atlas.studies.encoder.rows import rows_of_refusal, rows_of_run
from peft_atlas.studies.encoder.run import (
    Part,
    Run,
    Trial,
    find_setting,
    from_random_weights,
    model_width,
    plan_of,
)
from peft_atlas.tables.contract import write_table
from peft_atlas.tables.schemas import ITEMS
from peft_atlas.training.batches import Ragged
from peft_atlas.training.search import SearchPlan
from peft_atlas.training.tuning import Selected, Tables, Tuning, state_folder, tuned_runs, validated

__all__ = ["Part", "Run", "SettingJob", "Trial", "find_setting", "model_width", "plan_of", "selected_rate"]


@dataclass(frozen=True)
class SettingJob:
    """A setting to be tuned and trained.

    Parameters
    ----------
    experiment
        Part of the study.
    setting
        The method with its setting.
    search
        How its rate is chosen.
    search_seeds
        Seeds that the rate is chosen with.
    seeds
        Seeds whose runs at the chosen rate are tested.
    """

    experiment: str
    setting: StudySetting | PeftSetting
    search: SearchPlan
    search_seeds: tuple[int, ...]
    seeds: tuple[int, ...]

    def trial(self, rate: float, seed: int) -> Trial:
        """Return one run of the setting."""
        return Trial(self.experiment, self.setting, rate, seed)


def train_setting(part: Part, job: SettingJob) -> Tables:
    """Return all runs of a setting: those of the search, and those at the chosen rate, whose test split is read."""
    with state_folder(part.checkpoints) as folder:
        own = replace(part, checkpoints=folder)
        return tuned_runs(
            Tuning(
                label=job.setting.label,
                search=job.search,
                search_seeds=job.search_seeds,
                seeds=job.seeds,
                start=lambda rate, seed: Run(own, job.trial(rate, seed)),
                rows=rows_of_run,
                score=validated,
            )
        )


def train_random(part: Part, rate: float, seeds: Sequence[int]) -> Tables:
    """Return full fine-tuning of the same network from random weights, at the rate chosen for the pretrained one."""
    setting, tables = from_random_weights(find_setting("full", model_width(part))), Tables()
    for seed in seeds:
        run = Run(part, Trial("controls", setting, rate, seed)).train().forget().read_test()
        tables.add(rows_of_run(run, Selected()))
        del run
    return tables


def selected_rate(runs: pd.DataFrame) -> float:
    """Return the rate that was chosen for a setting, from its runs."""
    chosen = runs[runs["selected"].fillna(value=False)]
    return float(chosen["learning_rate"].iloc[0])


def setting_job(part: Part, params: dict[str, Any]) -> SettingJob:
    """Return a job's setting from the parameters of its rule."""
    plan = params["plan"]
    seeds = tuple(plan["seeds"])
    search = SearchPlan(tuple(params["rates"]), part.config.epochs, plan["keep"], plan["extensions"])
    setting: StudySetting | PeftSetting
    if params["peft"] is None:
        setting = find_setting(params["setting"], model_width(part), params["rank"])
    else:
        setting = peft_setting(params["setting"], params["peft"])
    return SettingJob(params["experiment"], setting, search, seeds[: plan["search_seeds"]], seeds)


def refusal_of(part: Part, job: SettingJob) -> str | None:
    """Return why a method of peft cannot be trained on the study's model; None where it can, or is our own."""
    if not isinstance(job.setting, PeftSetting):
        return None
    from peft_atlas.studies.encoder.peft_attach import refusal

    rows = part.texts.rows
    longest = rows.loc[rows["tokens"].map(len).sort_values(kind="stable").index[-2:], "tokens"]
    states, mask = Ragged.of([*longest, *rows["tokens"].head(2)], torch.device("cpu")).batch(torch.arange(4))
    return refusal(part.model, job.setting, states, mask, job.seeds[0])


def _part_of(step: Step, checkpoints: Path | None = Path("results/checkpoints")) -> Part:
    """Return what a job trains on."""
    config, texts = EncoderConfig.model_validate(step.params["config"]), read_texts(step.path("examples"))
    model, params = step.path("model").parent, step.params
    return Part(config, params["task"], texts, model, params["device"], checkpoints, params["code"])


def _write(step: Step, tables: Tables) -> None:
    step.write("runs", tables.runs)
    step.write("curves", tables.curves)
    step.write("costs", tables.costs)
    write_table(ITEMS, tables.items, step.output("per_item"))


def setting_step(step: Step) -> None:
    """Choose the rate of a setting and train all its seeds; of a method that peft refuses write why."""
    part = _part_of(step)
    job = setting_job(part, dict(step.params))
    reason = refusal_of(part, job)
    if reason is None:
        _write(step, train_setting(part, job))
    else:
        _write(step, rows_of_refusal(part, job.trial(job.search.rates[0], job.seeds[0]), reason))


def random_init_step(step: Step) -> None:
    """Train from random weights at the rate that was chosen for full fine-tuning."""
    rate = selected_rate(step.read("full", "runs"))
    _write(step, train_random(_part_of(step), rate, step.params["seeds"]))
