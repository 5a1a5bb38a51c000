"""The encoder study's jobs: their files, and the part of the configuration that each depends on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from peft_atlas.files import slug
from peft_atlas.snakemake_support.content import content_digest
from peft_atlas.snakemake_support.model_location import is_fetched
from peft_atlas.studies.encoder.data.dataset import folder_files
from peft_atlas.studies.encoder.packaged import PACKAGED_MODEL
from peft_atlas.studies.study import Job, Outputs

if TYPE_CHECKING:
    from peft_atlas.config import StudyConfig
    from peft_atlas.studies.encoder.config import BudgetConfig, EncoderConfig, TextTaskConfig

NAME = "encoder"
# The setting whose rank is varied, the rank that all settings have otherwise, and alpha over rank.
RANK_CURVE = "LoRA (query, key, value)"
RANK, ALPHA_PER_RANK = 8, 2.0
# Parts of the study, as the column `experiment` names them; a larger budget is named by its examples.
METHODS, RANKS, CONTROLS_PART = "methods", "ranks", "controls"
# Settings that are compared with peft: one of each kind that it has.
CROSS_CHECKED = ("LoRA (query, key, value)", "DoRA", "PrefT", "(IA)3")
RANDOM_WEIGHTS = "random encoder"
MAJORITY, TFIDF = "majority class", "TF-IDF + logistic regression"
CONTROLS = (MAJORITY, TFIDF, RANDOM_WEIGHTS)


TEXTS = (
    *(f"results/cache/texts/{name}.txt" for name in ("question_labels", "movie", "nyt", "tweets", "amazon")),
    "results/cache/texts/sms-spam.csv",
)
EXAMPLES = "results/cache/tasks/{text_task}.parquet"
ACCOUNT = "results/cache/tasks/{text_task}.account.json"
TEXT_CHECKS = "results/findings/encoder_texts_{text_task}.parquet"
CHECKS = "results/findings/encoder_checks.parquet"
# Its name ends as those of all tables with times do.
COST_ANSWERS = "results/findings/encoder_costs.parquet"
SETTING = "results/runs/encoder/methods/{text_task}/{setting}"
RANKED = "results/runs/encoder/ranks/{text_task}/rank={rank}"
BUDGET = "results/runs/encoder/budgets/{text_task}/examples={examples}/{setting}"
RANDOM = "results/runs/encoder/controls/{text_task}/random_weights"
WITHOUT_MODEL = "results/runs/encoder/controls/{text_task}/without_model"


BENCHMARKS = {
    "train_primary": "results/benchmarks/train_primary/{text_task}_{setting}.tsv",
    "train_setting": "results/benchmarks/train_setting/{text_task}_{setting}.tsv",
    "train_rank": "results/benchmarks/train_rank/{text_task}_rank={rank}.tsv",
    "train_budget": "results/benchmarks/train_budget/{text_task}_{setting}_examples={examples}.tsv",
    "train_random_init": "results/benchmarks/train_random_init/{text_task}.tsv",
}


def task_content(task: TextTaskConfig) -> str | None:
    """Return the digest of a task's own file or folder, None of packaged texts and of the hub's data sets."""
    if task.file is not None:
        return content_digest([Path(task.file)], Path(task.file).parent)
    files = [] if task.dataset is None else folder_files(task.dataset)
    return content_digest(files, Path(task.dataset)) if task.dataset is not None and files else None


def budget_name(train_examples: int) -> str:
    """Return the part of the study that a larger budget makes."""
    return f"{train_examples} examples"


_NO_PART_OF_TRAINING = {
    "peft_methods",
    "tasks",
    "primary",
    "exploratory",
    "larger_budgets",
    "rates",
    "extensions",
    "ranks",
}


def training_config(config: EncoderConfig, setting: str = "full", budget: BudgetConfig | None = None) -> dict[str, Any]:
    """Return what a training job depends on: of the exploratory settings fewer rows are read."""
    # Said, since the default has a larger budget, which may be this job's own.
    whole = {**config.model_dump(mode="json", exclude=_NO_PART_OF_TRAINING), "larger_budgets": []}
    if budget is not None:
        return {**whole, "train_examples": budget.train_examples, "epochs": budget.epochs}
    return whole if is_primary(config, setting) else {**whole, **_fewer_rows(config)}


def _fewer_rows(config: EncoderConfig) -> dict[str, int]:
    """Return the rows that exploratory settings are read on, never more than the primary ones are."""
    names = ("validation_examples", "test_examples")
    return {name: min(getattr(config, name), getattr(config.exploratory, name)) for name in names}


def is_primary(config: EncoderConfig, setting: str) -> bool:
    """Return whether the prespecified question is about a setting."""
    return setting in compared(config)


def setting_plan(config: EncoderConfig, setting: str) -> dict[str, Any]:
    """Return the seeds of a setting, and how its rate is chosen."""
    own = config.primary if is_primary(config, setting) else config.exploratory
    keep = None if is_primary(config, setting) else config.exploratory.keep
    return _plan(config, own.seeds, own.search_seeds, keep)


def budget_plan(config: EncoderConfig, budget: BudgetConfig) -> dict[str, Any]:
    """Return the seeds of a larger budget, and how its rates are chosen."""
    return _plan(config, budget.seeds, config.exploratory.search_seeds, config.exploratory.keep)


def _plan(config: EncoderConfig, seeds: tuple[int, ...], search_seeds: int, keep: int | None) -> dict[str, Any]:
    return {"seeds": list(seeds), "search_seeds": search_seeds, "keep": keep, "extensions": config.extensions}


def budget_of(config: EncoderConfig, train_examples: int) -> BudgetConfig:
    """Return the larger budget with so many examples."""
    return next(budget for budget in config.larger_budgets if budget.train_examples == train_examples)


def most_examples(config: EncoderConfig) -> int:
    """Return the training examples of the largest budget, which the pool must hold."""
    return max([config.train_examples, *(budget.train_examples for budget in config.larger_budgets)])


def primary_settings(config: EncoderConfig, task: TextTaskConfig) -> list[str]:
    """Return full fine-tuning and the primary method, none where the task does not train both."""
    both = compared(config)
    return both if set(both) <= set(task.methods) else []


def compared(config: EncoderConfig) -> list[str]:
    """Return the two settings that the prespecified question compares."""
    return ["full", config.primary.method]


def methods_of(config: EncoderConfig, task: TextTaskConfig) -> list[str]:
    """Return the names of all that is trained on a task: its own settings and, on the first, the methods of peft."""
    own = [each.name for each in config.peft_methods] if task is config.tasks[0] else []
    return [*task.methods, *own]


def peft_settings(config: EncoderConfig, name: str) -> dict[str, Any] | None:
    """Return what `peft` is asked for under a name; None where the method is one of this package."""
    return next((each.peft for each in config.peft_methods if each.name == name), None)


def rates_of(config: EncoderConfig, name: str) -> tuple[float, ...]:
    """Return the grid of learning rates of a setting, or of a method of peft."""
    given = next((each.rates for each in config.peft_methods if each.name == name), None)
    return given or config.rates.of(name)


def checked_settings(config: EncoderConfig) -> list[str]:
    """Return the settings that are repeated with peft, which the main task must train."""
    return [name for name in CROSS_CHECKED if name in config.tasks[0].methods]


def has_checks(config: EncoderConfig) -> bool:
    """Return whether there is a comparison with peft, which is made on the packaged model."""
    return config.model == PACKAGED_MODEL and bool(checked_settings(config))


def checked_runs(config: EncoderConfig) -> list[str]:
    """Return the runs that the comparison with peft looks at."""
    main = config.tasks[0].name
    return [f"{SETTING.format(text_task=main, setting=slug(name))}.runs.parquet" for name in checked_settings(config)]


def _settings(config: EncoderConfig) -> list[Job]:
    """Return the jobs that tune and train a setting."""
    return [_setting_job(config, task, name) for task in config.tasks for name in methods_of(config, task)]


def _setting_job(config: EncoderConfig, task: TextTaskConfig, name: str) -> Job:
    rule = "train_primary" if is_primary(config, name) else "train_setting"
    return Job(SETTING, BENCHMARKS[rule], {"text_task": task.name, "setting": slug(name)})


def _rank_curve(config: EncoderConfig) -> list[Job]:
    """Return the jobs of the other ranks of the rank curve, each with a rate of its own."""
    main = config.tasks[0]
    others = [rank for rank in config.ranks if rank != RANK] if RANK_CURVE in main.methods else []
    return [Job(RANKED, BENCHMARKS["train_rank"], {"text_task": main.name, "rank": rank}) for rank in others]


def _larger_budgets(config: EncoderConfig) -> list[Job]:
    """Return the jobs of the larger budgets."""
    main = config.tasks[0]
    return [
        Job(
            BUDGET,
            BENCHMARKS["train_budget"],
            {"text_task": main.name, "setting": slug(name), "examples": budget.train_examples},
        )
        for budget in config.larger_budgets
        for name in primary_settings(config, main)
    ]


def _random_inits(config: EncoderConfig) -> list[Job]:
    """Return the job of the control that starts from random weights."""
    job = Job(RANDOM, BENCHMARKS["train_random_init"], {"text_task": config.tasks[0].name})
    return [job] if config.model == PACKAGED_MODEL else []


def trained(config: EncoderConfig) -> list[Job]:
    """Return every training job."""
    return [*_settings(config), *_rank_curve(config), *_larger_budgets(config), *_random_inits(config)]


def run_files(config: EncoderConfig, kind: str) -> list[str]:
    """Return the tables of one kind that the training jobs write."""
    return [f"{job.stem}.{kind}.parquet" for job in trained(config)]


def outputs(config: StudyConfig) -> Outputs:
    """Return the files that the study's jobs write."""
    own = config.encoder
    jobs, tasks = trained(own), [task.name for task in own.tasks]
    stems = [*(job.stem for job in jobs), *(WITHOUT_MODEL.format(text_task=task) for task in tasks)]
    needed = {
        "fetch_texts": True,
        "compare_costs": True,
        "fetch_model": is_fetched(own.model),
        "check_encoder": has_checks(own),
    }
    settings = {"full", RANK_CURVE, *(name for task in own.tasks for name in methods_of(own, task))}
    configurations = [training_config(own, name) for name in sorted(settings)]
    configurations += [training_config(own, "full", budget) for budget in own.larger_budgets]
    text_checks = tuple(TEXT_CHECKS.format(text_task=task) for task in tasks)
    per_task = [f"{rule}/{task}" for rule in ("prepare_text", "check_text", "train_controls") for task in tasks]
    return Outputs(
        configurations=tuple(configurations),
        runs=tuple(f"{stem}.runs.parquet" for stem in stems),
        curves=tuple(f"{stem}.curves.parquet" for stem in stems),
        checks=(
            *text_checks,
            *((CHECKS,) if has_checks(own) else ()),
            COST_ANSWERS,
        ),
        run_costs=tuple(run_files(own, "costs")),
        items=tuple(run_files(own, "items")),
        benchmarks=(
            *(job.benchmark for job in jobs),
            *(f"results/benchmarks/{name}.tsv" for name in per_task),
            *(f"results/benchmarks/{rule}/all.tsv" for rule, needs in needed.items() if needs),
        ),
        # So that a run of this study alone checks its texts, too.
        tables=text_checks,
    )
