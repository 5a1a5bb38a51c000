"""One run of the decoder study: a language model with a method attached, trained, paused and read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import pandas as pd
import torch

from peft_atlas.errors import AtlasError
from peft_atlas.methods.attach import attach
from peft_atlas.methods.method import Members, Sizes, StudySetting
from peft_atlas.methods.names import setting_name
from peft_atlas.methods.registry import study_settings
from peft_atlas.methods.storage import adapter_bytes
from peft_atlas.models.decoder import folder_sites, load_decoder, parameter_counts
from peft_atlas.models.llama import Llama
from peft_atlas.rng import generator
from peft_atlas.studies.decoder.config import DecoderConfig, DecoderTaskConfig
from peft_atlas.studies.decoder.data.examples import Rows
from peft_atlas.studies.decoder.jobs import ALPHA_PER_RANK, NAME, RANK
from peft_atlas.training.checkpoint import Checkpoint
from peft_atlas.training.finetune import FinetunePlan
from peft_atlas.training.fingerprint import fingerprint
from peft_atlas.training.language_model import LanguageTuning, Prompted, choice_scores, score, text_loss
from peft_atlas.training.population import resolve_device
from peft_atlas.training.precision import resolve_precision
from peft_atlas.training.resource_usage import forget_peak, release_memory, timed
from peft_atlas.training.tuning import TunedRun


@dataclass(frozen=True)
class Part:
    """What a job trains on: the study's settings, a task with its rows, the model's folder, and where.

    ``checkpoints`` is the folder of the states of runs under way. ``code`` is the digest of the library that trains,
    without which a checkpoint of other code would be read.
    """

    config: DecoderConfig
    task: DecoderTaskConfig
    rows: Rows
    model: Path
    device: str
    checkpoints: Path | None = None
    code: str = ""

    @property
    def precision(self) -> Literal["float32", "bfloat16"]:
        """Return the precision in which matrix products are taken."""
        return resolve_precision(self.config.precision, resolve_device(self.device))

    @property
    def bfloat16(self) -> bool:
        """Return whether that is bfloat16."""
        return self.precision == "bfloat16"


@dataclass(frozen=True)
class Trial:
    """One run: part of the study, a method with its setting, rate and seed, and whether its answers are shuffled."""

    experiment: str
    setting: StudySetting
    rate: float
    seed: int
    shuffled: bool = False

    def run_id(self, task: str) -> str:
        """Return the run's name."""
        named = [] if self.setting.setting is None else [self.setting.setting]
        rank = getattr(self.setting.method, "r", None)
        named += [] if rank is None else [f"rank={rank}"]
        words = (NAME, self.experiment, task, self.setting.label, *named, f"rate={self.rate:g}", f"seed={self.seed}")
        return "/".join(words)


@dataclass(frozen=True)
class Answered:
    """What a model makes of test rows, an entry per row: whether it answers rightly, and its loss in nats per token.

    ``loss`` is that of all tokens of the right answers. What has no probabilities of tokens has no loss.
    """

    correct: tuple[bool, ...]
    losses: tuple[float | None, ...]
    loss: float | None

    @property
    def accuracy(self) -> float:
        """Return the fraction of rows that are answered rightly."""
        return sum(self.correct) / len(self.correct)


def find_setting(name: str, model: Path, rank: int = RANK) -> StudySetting:
    """Return the setting of a name for a model, with adapters of a rank, and alpha in proportion.

    Raises
    ------
    AtlasError
        If no method has such a setting.
    """
    found = study_settings(folder_sites(model), Sizes(rank=rank, alpha=ALPHA_PER_RANK * rank))
    settings = [replace(each, setting=_in_words(each.setting)) for each in found]
    named = {setting_name(setting.label, setting.setting): setting for setting in settings}
    if name not in named:
        raise AtlasError(f"setting {name!r}: allowed: {', '.join(named)}")
    return named[name]


def _in_words(setting: str | None) -> str | None:
    """Return a setting with the names that the projections have in all studies."""
    for name, word in (("q_proj", "query"), ("k_proj", "key"), ("v_proj", "value")):
        setting = None if setting is None else setting.replace(name, word)
    return setting


def prompted(rows: pd.DataFrame, answers: Sequence[Sequence[int]] | None = None) -> Prompted:
    """Return prompts with their answers, or with others."""
    own = rows["answer_tokens"] if answers is None else answers
    return Prompted([list(ids) for ids in rows["prompt_tokens"]], [list(ids) for ids in own])


def answered(model: Llama, rows: pd.DataFrame, before: Sequence[int] = (), bfloat16: bool = False) -> Answered:
    """Return what a model answers: the choice with the highest summed log-likelihood, or the whole answer exactly.

    An open answer counts as right where each of its tokens is the likeliest one after those before it, which is what
    writing it greedily gives.

    Parameters
    ----------
    model
        The language model.
    rows
        Rows of the contract ``decoder_examples``.
    before
        Tokens that are put before every prompt, such as examples.
    bfloat16
        Whether matrix products are taken in bfloat16.
    """
    prompts = [[*before, *ids] for ids in rows["prompt_tokens"]]
    answers = [list(ids) for ids in rows["answer_tokens"]]
    lengths = [len(ids) for ids in answers]
    if rows["choice_tokens"].isna().any():
        found = score(model, Prompted(prompts, answers), bfloat16)
        correct = [bool(right) for right in found.exact]
        sums = [float(value) for value in found.log_likelihood]
    else:
        choices = [[list(map(int, ids)) for ids in each] for each in rows["choice_tokens"]]
        scores = [[float(value) for value in each] for each in choice_scores(model, prompts, choices, bfloat16)]
        places = [each.index(answer) for each, answer in zip(choices, answers, strict=True)]
        correct = [each.index(max(each)) == place for each, place in zip(scores, places, strict=True)]
        sums = [each[place] for each, place in zip(scores, places, strict=True)]
    losses = tuple(-value / length for value, length in zip(sums, lengths, strict=True))
    return Answered(tuple(correct), losses, -sum(sums) / sum(lengths))


@cache
def plain_loss_before(model: Path, device: str, texts: tuple[tuple[int, ...], ...], bfloat16: bool) -> float:
    """Return the loss of the untrained model on plain texts, in nats per token; a job's runs share it."""
    return text_loss(load_decoder(model).to(resolve_device(device)), [list(ids) for ids in texts], bfloat16)


class Run(TunedRun):
    """One run of a trial, which goes on from its checkpoint where there is one."""

    def __init__(self, part: Part, trial: Trial) -> None:
        self.part, self.trial = part, trial
        self.text_loss_before = plain_loss_before(part.model, part.device, _hashable(part.rows.plain), part.bfloat16)
        release_memory()
        model = load_decoder(part.model).to(resolve_device(part.device))
        forget_peak()
        self.full_params, _ = parameter_counts(model)
        self.attached = attach(model, trial.setting.method, Members(seeds=(trial.seed,)))
        self.bytes = adapter_bytes(self.attached) if self.attached.adapter_params() else 0
        plan = FinetunePlan(part.task.epochs, part.config.batch_size, trial.rate, part.config.warmup, part.bfloat16)
        self._training = LanguageTuning(self.attached, self._training_rows(), plan, trial.seed, self._checkpoint())
        self.test: Answered | None = None
        self.text_loss: float | None = None

    def _training_rows(self) -> Prompted:
        """Return the rows of the seed, their answers permuted where the trial shuffles them."""
        rows = self.part.rows.drawn(self.part.task.train_examples, self.trial.seed)
        if not self.trial.shuffled:
            return prompted(rows)
        order = torch.randperm(len(rows), generator=generator(self.trial.seed, "shuffled"))
        return prompted(rows, [rows["answer_tokens"].iloc[place] for place in order.tolist()])

    @property
    def model(self) -> Llama:
        """Return the language model with the method attached."""
        model = self.attached.model
        assert isinstance(model, Llama)
        return model

    def _validation(self) -> Prompted:
        return prompted(self.validation_rows())

    def read_test(self) -> Run:
        """Read the test rows and the plain texts, once, and return itself; of a diverged run nothing is read."""
        if not self.history.diverged:
            with timed() as spent:
                self.test = answered(self.model, self.test_rows(), bfloat16=self.part.bfloat16)
                self.text_loss = text_loss(self.model, self.part.rows.plain, self.part.bfloat16)
            self.history.evaluation_seconds += spent.seconds
        return self

    def validation_rows(self) -> pd.DataFrame:
        """Return the rows that rates are chosen on."""
        return self.part.rows.split("validation")

    def test_rows(self) -> pd.DataFrame:
        """Return the rows that are read once, after training."""
        return self.part.rows.split("test")

    def _checkpoint(self) -> Checkpoint:
        """Return where this run's state is kept; the name is the digest of all that its numbers depend on."""
        part = self.part
        if part.checkpoints is None:
            return Checkpoint()
        method = str(self.trial.setting.method)
        settings = [part.config.model_dump(mode="json"), part.task.model_dump(mode="json")]
        facts = [self.trial.run_id(part.task.name), self.trial.shuffled, settings, method, part.device]
        facts += [part.precision, part.code]
        name = fingerprint(facts, part.rows.frame, part.model)
        return Checkpoint(part.checkpoints / f"{name[:24]}.pt", name)


def _hashable(texts: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(map(int, ids)) for ids in texts)
