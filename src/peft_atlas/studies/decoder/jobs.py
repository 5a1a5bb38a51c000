"""The decoder study's jobs: their files, and the part of the configuration that each depends on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from peft_atlas.files import slug
from peft_atlas.snakemake_support.content import content_digest
from peft_atlas.snakemake_support.model_location import is_fetched
from peft_atlas.studies.decoder.config import RANK_CURVE
from peft_atlas.studies.decoder.packaged import COMMONSENSE_FILE
from peft_atlas.studies.study import Job, Outputs

if TYPE_CHECKING:
    from peft_atlas.config import StudyConfig
    from peft_atlas.studies.decoder.config import DecoderConfig, DecoderTaskConfig

NAME = "decoder"
RANK, ALPHA_PER_RANK = 8, 2.0
# Parts of the study, as the column `experiment` names them.
METHODS, RANKS, REFERENCES, CONTROLS_PART = "methods", "ranks", "references", "controls"
BASE, SHUFFLED, PRIOR, COUNTS = "no adaptation", "shuffled labels", "majority class", "word counts"
# What trains no weights for a task, or not for the right answers.
NOT_TRAINED = (BASE, PRIOR, COUNTS, SHUFFLED)

THINGS = f"results/cache/decoder/{COMMONSENSE_FILE}"
EXAMPLES = "results/cache/decoder/{decoder_task}.parquet"
ROW_CHECKS = "results/findings/decoder_rows_{decoder_task}.parquet"
# What the study's tables say, of this run or of the released one; the second holds times, and its name ends so.
ANSWERS, COST_ANSWERS = "results/findings/decoder.parquet", "results/findings/decoder_costs.parquet"
SETTING = "results/runs/decoder/{decoder_task}/{decoder_setting}/rank={decoder_rank}"
REFERENCE = "results/runs/decoder/{decoder_task}/references"
SHUFFLE = "results/runs/decoder/{decoder_task}/shuffled"
COUNTED = "results/runs/decoder/{decoder_task}/counted"
TABLE, COST_TABLE = "results/decoder_cells.parquet", "results/decoder_costs.parquet"
FIGURES = ("figures/decoder_published.svg",)
BENCHMARKS = {
    "train_decoder": "results/benchmarks/train_decoder/{decoder_task}_{decoder_setting}_rank={decoder_rank}.tsv",
    "train_shuffled_answers": "results/benchmarks/train_shuffled_answers/{decoder_task}.tsv",
    "read_decoder": "results/benchmarks/read_decoder/{decoder_task}.tsv",
    "train_counts": "results/benchmarks/train_counts/{decoder_task}.tsv",
    "prepare_decoder": "results/benchmarks/prepare_decoder/{decoder_task}.tsv",
    "check_decoder": "results/benchmarks/check_decoder/{decoder_task}.tsv",
}


def task_content(task: DecoderTaskConfig) -> str | None:
    """Return the digest of a task's own file, None of a task that has none."""
    return None if task.file is None else content_digest([Path(task.file)], Path(task.file).parent)


_NO_PART_OF_A_RUN = {"tasks", "seeds", "search_seeds", "keep", "extensions", "rates", "ranks", "shuffled_seeds"}
_OF_REFERENCES = {"few_shots", "few_shot_examples"}


def reference_config(config: DecoderConfig, task: DecoderTaskConfig) -> dict[str, Any]:
    """Return what reading with the untrained model depends on: settings of the study and of its task."""
    whole = config.model_dump(mode="json", exclude=_NO_PART_OF_A_RUN)
    return {**whole, "tasks": [task.model_dump(mode="json", exclude={"methods"})]}


def run_config(config: DecoderConfig, task: DecoderTaskConfig) -> dict[str, Any]:
    """Return what a training run depends on: the same, without the examples that go before a prompt."""
    whole = reference_config(config, task)
    return {name: value for name, value in whole.items() if name not in _OF_REFERENCES}


def setting_plan(config: DecoderConfig, setting: str) -> dict[str, Any]:
    """Return the seeds of a setting, and how its rate is chosen."""
    names = ("search_seeds", "keep", "extensions")
    plan = {name: getattr(config, name) for name in names}
    return {**plan, "seeds": list(config.seeds), "rates": list(config.rates.of(setting))}


def shuffled_setting(task: DecoderTaskConfig) -> str | None:
    """Return the setting that the control with shuffled answers trains: the first but full."""
    return next((name for name in task.methods if name != "full"), None)


def _settings(config: DecoderConfig) -> list[Job]:
    return [
        Job(SETTING, BENCHMARKS["train_decoder"], _wildcards(task.name, name, rank))
        for task in config.tasks
        for name in task.methods
        for rank in sorted({RANK, *(config.ranks if name == RANK_CURVE else ())})
    ]


def _wildcards(task: str, setting: str, rank: int) -> dict[str, Any]:
    return {"decoder_task": task, "decoder_setting": slug(setting), "decoder_rank": rank}


def shuffled_from(task: DecoderTaskConfig) -> str:
    """Return the runs whose chosen rate the control with shuffled answers takes."""
    return SETTING.format(**_wildcards(task.name, shuffled_setting(task) or "", RANK)) + ".runs.parquet"


def all_jobs(config: DecoderConfig) -> list[Job]:
    """Return every job that leaves runs."""
    found = _settings(config)
    for task in config.tasks:
        name = {"decoder_task": task.name}
        found += [Job(REFERENCE, BENCHMARKS["read_decoder"], name), Job(COUNTED, BENCHMARKS["train_counts"], name)]
        if config.shuffled_seeds and shuffled_setting(task):
            found.append(Job(SHUFFLE, BENCHMARKS["train_shuffled_answers"], name))
    return found


def run_files(config: DecoderConfig, kind: str) -> list[str]:
    """Return the tables of one kind that the jobs write."""
    return [f"{job.stem}.{kind}.parquet" for job in all_jobs(config)]


def outputs(config: StudyConfig) -> Outputs:
    """Return the files that the study's jobs write."""
    own = config.decoder
    tasks = [task.name for task in own.tasks]
    row_checks = [ROW_CHECKS.format(decoder_task=task) for task in tasks]
    return Outputs(
        configurations=tuple(each(own, task) for task in own.tasks for each in (run_config, reference_config)),
        runs=tuple(run_files(own, "runs")),
        curves=tuple(run_files(own, "curves")),
        checks=(*row_checks, ANSWERS, COST_ANSWERS),
        run_costs=tuple(run_files(own, "costs")),
        items=tuple(run_files(own, "items")),
        benchmarks=(
            *(job.benchmark for job in all_jobs(own)),
            *(
                BENCHMARKS[rule].format(decoder_task=task)
                for rule in ("prepare_decoder", "check_decoder")
                for task in tasks
            ),
            *(["results/benchmarks/fetch_decoder/all.tsv"] if is_fetched(own.model) else []),
            "results/benchmarks/fetch_things/all.tsv",
        ),
        # The checks, so that a run of this study alone makes them, too.
        tables=(TABLE, COST_TABLE, *FIGURES, *row_checks),
    )
