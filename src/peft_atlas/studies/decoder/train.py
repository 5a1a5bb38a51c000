"""The decoder study's jobs: a setting tuned and trained, the untrained model, and the control on shuffled answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from peft_atlas.methods.method import StudySetting
from peft_atlas.models.decoder import load_decoder, parameter_counts
from peft_atlas.step import Step
from peft_atlas.studies.decoder.config import DecoderConfig
from peft_atlas.studies.decoder.controls import write_tables
from peft_atlas.studies.decoder.data.examples import read_rows
from peft_atlas.studies.decoder.jobs import BASE, CONTROLS_PART, METHODS, RANK, RANKS, REFERENCES, SHUFFLED
from peft_atlas.studies.decoder.rows import Untrained, rows_of_run, rows_of_untrained
from peft_atlas.studies.decoder.run import Part, Run, Trial, answered, find_setting
from peft_atlas.training.history import History
from peft_atlas.training.language_model import text_loss
from peft_atlas.training.population import resolve_device
from peft_atlas.training.resource_usage import peak_megabytes, timed
from peft_atlas.training.search import LOST, Score, SearchPlan
from peft_atlas.training.tuning import Selected, Tables, Tuning, state_folder, tuned_runs


@dataclass(frozen=True)
class SettingJob:
    """A setting to be tuned and trained: part of the study, how its rate is chosen with which seeds, and all seeds."""

    experiment: str
    setting: StudySetting
    search: SearchPlan
    search_seeds: tuple[int, ...]
    seeds: tuple[int, ...]


def train_setting(part: Part, job: SettingJob) -> Tables:
    """Return all runs of a setting: those of the search, and those at the chosen rate, whose test rows are read."""
    with state_folder(part.checkpoints) as folder:
        own = replace(part, checkpoints=folder)
        return tuned_runs(
            Tuning(
                label=job.setting.label,
                search=job.search,
                search_seeds=job.search_seeds,
                seeds=job.seeds,
                start=lambda rate, seed: Run(own, Trial(job.experiment, job.setting, rate, seed)),
                rows=rows_of_run,
                score=by_answer_loss,
            )
        )


def by_answer_loss(history: History) -> Score:
    """Return what the last validation says: the lower loss of the answers is better, accuracy decides where equal.

    The loss is smoother than accuracy, which few validation rows measure coarsely.
    """
    values = (history.validation_loss, history.validation_accuracy)
    loss, accuracy = (each[-1] if each else None for each in values)
    return LOST if loss is None else (-loss, accuracy or 0.0)


def references(part: Part, seed: int) -> Tables:
    """Return the runs of the untrained model: on the prompts alone, and after examples with their answers.

    The examples are training rows of the seed; the fewer rows of the second are the first ones of the test split.
    """
    tables, config = Tables(), part.config
    model = load_decoder(part.model).to(resolve_device(part.device))
    total, _ = parameter_counts(model)
    plain = text_loss(model, part.rows.plain, part.bfloat16)
    test = part.rows.split("test")
    few = test.head(config.few_shot_examples)
    shots = shots_of(part.rows.drawn(max(config.few_shots, 1), seed))
    for name, rows, before in ((shots_in_words(0), test, []), (shots_in_words(config.few_shots), few, shots)):
        with timed() as spent:
            found = answered(model, rows, before, part.bfloat16)
        each = Untrained(REFERENCES, BASE, name, seed, rows, found, total, plain)
        cost = {"evaluation_seconds": spent.seconds, "peak_memory_mb": peak_megabytes()}
        tables.add(rows_of_untrained(part.task, config.model, part.device, each, cost))
    return tables


def shots_in_words(count: int) -> str:
    """Return the name of the setting with so many examples before the prompt."""
    return f"{count} examples in the prompt"


def shots_of(rows: pd.DataFrame) -> list[int]:
    """Return the tokens of rows with their answers, one after another; each answer ends its line."""
    pairs = zip(rows["prompt_tokens"], rows["answer_tokens"], strict=True)
    return [int(token) for prompt, answer in pairs for token in (*prompt, *answer)]


def train_shuffled(part: Part, setting: StudySetting, rate: float, seeds: Sequence[int]) -> Tables:
    """Return a setting trained on permuted answers, at the rate that was chosen for the right ones."""
    tables = Tables()
    named = replace(setting, label=SHUFFLED, setting=setting.label)
    for seed in seeds:
        run = Run(part, Trial(CONTROLS_PART, named, rate, seed, shuffled=True)).train().read_test().forget()
        tables.add(rows_of_run(run, Selected()))
        del run
    return tables


def _part_of(step: Step, checkpoints: Path | None = Path("results/checkpoints")) -> Part:
    """Return what a job trains on."""
    config, rows = DecoderConfig.model_validate(step.params["config"]), read_rows(step.path("examples"))
    (task,) = config.tasks
    return Part(config, task, rows, step.path("model").parent, step.params["device"], checkpoints, step.params["code"])


def setting_step(step: Step) -> None:
    """Choose the rate of a setting and train all its seeds."""
    part, plan = _part_of(step), step.params["plan"]
    seeds, rank = tuple(plan["seeds"]), int(step.params["rank"])
    search = SearchPlan(tuple(plan["rates"]), part.task.epochs, plan["keep"], plan["extensions"])
    setting = find_setting(step.params["setting"], part.model, rank)
    experiment = METHODS if rank == RANK else RANKS
    job = SettingJob(experiment, setting, search, seeds[: plan["search_seeds"]], seeds)
    write_tables(step, train_setting(part, job))


def references_step(step: Step) -> None:
    """Read the test rows with the untrained model."""
    write_tables(step, references(_part_of(step), step.params["seeds"][0]))


def shuffled_step(step: Step) -> None:
    """Train on shuffled answers at the rate that was chosen for the right ones."""
    part, runs = _part_of(step), step.read("tuned", "runs")
    rate = float(runs.loc[runs["selected"].fillna(value=False), "learning_rate"].iloc[0])
    setting = find_setting(step.params["setting"], part.model)
    write_tables(step, train_shuffled(part, setting, rate, step.params["seeds"]))
