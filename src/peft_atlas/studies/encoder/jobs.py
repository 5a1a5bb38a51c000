"""The encoder study's jobs: their files, and the part of the configuration that each depends on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peft_atlas.studies.encoder.packaged import PACKAGED_MODEL
from peft_atlas.studies.study import Outputs

if TYPE_CHECKING:
    from peft_atlas.config import StudyConfig
    from peft_atlas.studies.encoder.config import EncoderConfig

NAME = "encoder"
# The settings whose rank is varied, the rank that all settings have otherwise, and alpha over rank.
RANK_CURVE = ("LoRA (query, key, value)", "DoRA")
RANK, ALPHA_PER_RANK = 8, 2.0
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
TEXT_CHECKS = "results/findings/encoder_texts_{text_task}.parquet"
CHECKS = "results/findings/encoder_checks.parquet"
SEARCH = "results/runs/encoder/methods/{text_task}/{setting}/search"
METHOD = "results/runs/encoder/methods/{text_task}/{setting}/seed={seed}"
RANKS = "results/runs/encoder/ranks/{text_task}/{setting}/seed={seed}"
RANDOM = "results/runs/encoder/controls/{text_task}/random_weights/seed={seed}"
WITHOUT_MODEL = "results/runs/encoder/controls/{text_task}/without_model"
_MODEL_FILES = ("config.json", "model.safetensors", "tokenizer.json")


def slug(name: str) -> str:
    """Return a name as a part of a file name: small letters, digits and underscores."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower().replace("+", " plus ")).strip("_")


@dataclass(frozen=True)
class Trained:
    """One training job: the rule that runs it, and its wildcards."""

    rule: str
    pattern: str
    wildcards: dict[str, Any]

    @property
    def stem(self) -> str:
        """Return its outputs without their endings."""
        return self.pattern.format(**self.wildcards)

    @property
    def benchmark(self) -> str:
        """Return its benchmark file."""
        return BENCHMARKS[self.rule].format(**self.wildcards)


BENCHMARKS = {
    "tune_learning_rate": "results/benchmarks/tune_learning_rate/{text_task}_{setting}.tsv",
    "train_method": "results/benchmarks/train_method/{text_task}_{setting}_seed={seed}.tsv",
    "train_ranks": "results/benchmarks/train_ranks/{text_task}_{setting}_seed={seed}.tsv",
    "train_random_init": "results/benchmarks/train_random_init/{text_task}_seed={seed}.tsv",
}


def model_folder(config: EncoderConfig) -> str:
    """Return where the pretrained model is read: a folder is read where it is, any other model is fetched."""
    return config.model if Path(config.model).is_dir() else f"results/cache/models/{slug(config.model)}"


def is_fetched(config: EncoderConfig) -> bool:
    """Return whether the pretrained model has to be fetched."""
    return model_folder(config) != config.model


def model_files(config: EncoderConfig) -> list[str]:
    """Return the files of the pretrained model."""
    return [f"{model_folder(config)}/{name}" for name in _MODEL_FILES]


def training_config(config: EncoderConfig) -> dict[str, Any]:
    """Return what every training job depends on."""
    return config.model_dump(mode="json", exclude={"tasks", "seeds", "rates", "ranks"})


def ranks_config(config: EncoderConfig) -> dict[str, Any]:
    """Return what the jobs of the rank curve depend on."""
    return config.model_dump(mode="json", exclude={"tasks", "seeds", "rates"})


def checked_settings(config: EncoderConfig) -> list[str]:
    """Return the settings that are repeated with peft, which the main task must train."""
    return [name for name in CROSS_CHECKED if name in config.tasks[0].methods]


def has_checks(config: EncoderConfig) -> bool:
    """Return whether there is a comparison with peft, which is made on the packaged model."""
    return config.model == PACKAGED_MODEL and bool(checked_settings(config))


def checked_runs(config: EncoderConfig) -> list[str]:
    """Return the runs that the comparison with peft looks at."""
    main = config.tasks[0].name
    settings = {slug(name) for name in checked_settings(config)}
    jobs = [*_searches(config), *_methods(config)]
    of_main = [job for job in jobs if job.wildcards["text_task"] == main and job.wildcards["setting"] in settings]
    return [f"{job.stem}.runs.parquet" for job in of_main]


def _searches(config: EncoderConfig) -> list[Trained]:
    """Return the jobs that choose a learning rate."""
    return [
        Trained("tune_learning_rate", SEARCH, {"text_task": task.name, "setting": slug(name)})
        for task in config.tasks
        for name in task.methods
    ]


def _methods(config: EncoderConfig) -> list[Trained]:
    """Return the jobs that train a method with another seed than the one that chose the rate."""
    return [
        Trained("train_method", METHOD, {**search.wildcards, "seed": seed})
        for search in _searches(config)
        for seed in config.seeds[1:]
    ]


def _rank_curve(config: EncoderConfig) -> list[Trained]:
    """Return the jobs of the rank curve, which need the rate that was chosen for their setting."""
    main = config.tasks[0]
    return [
        Trained("train_ranks", RANKS, {"text_task": main.name, "setting": slug(name), "seed": seed})
        for name in RANK_CURVE
        for seed in config.seeds
        if name in main.methods and set(config.ranks) - {RANK}
    ]


def _random_inits(config: EncoderConfig) -> list[Trained]:
    """Return the jobs of the control that starts from random weights."""
    wildcards = [{"text_task": config.tasks[0].name, "seed": seed} for seed in config.seeds]
    return [Trained("train_random_init", RANDOM, each) for each in wildcards if config.model == PACKAGED_MODEL]


def trained(config: EncoderConfig) -> list[Trained]:
    """Return every training job."""
    return [*_searches(config), *_methods(config), *_rank_curve(config), *_random_inits(config)]


def outputs(config: StudyConfig) -> Outputs:
    """Return the files that the study's jobs write."""
    own = config.encoder
    jobs, tasks = trained(own), [task.name for task in own.tasks]
    stems = [*(job.stem for job in jobs), *(WITHOUT_MODEL.format(text_task=task) for task in tasks)]
    needed = {"fetch_texts": True, "fetch_model": is_fetched(own), "check_encoder": has_checks(own)}
    per_task = [f"{rule}/{task}" for rule in ("prepare_text", "train_controls") for task in tasks]
    return Outputs(
        runs=tuple(f"{stem}.runs.parquet" for stem in stems),
        curves=tuple(f"{stem}.curves.parquet" for stem in stems),
        checks=(*(TEXT_CHECKS.format(text_task=task) for task in tasks), *((CHECKS,) if has_checks(own) else ())),
        run_costs=tuple(f"{job.stem}.costs.parquet" for job in jobs),
        benchmarks=(
            *(job.benchmark for job in jobs),
            *(f"results/benchmarks/{name}.tsv" for name in per_task),
            *(f"results/benchmarks/{rule}/all.tsv" for rule, needs in needed.items() if needs),
        ),
    )
