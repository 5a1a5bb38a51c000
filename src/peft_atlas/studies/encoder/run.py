"""One run of the encoder study: a classifier with a method attached, trained, paused and read."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from peft_atlas.errors import AtlasError
from peft_atlas.methods.attach import Attached, attach
from peft_atlas.methods.method import Members, Sizes, StudySetting
from peft_atlas.methods.names import setting_name
from peft_atlas.methods.registry import study_settings
from peft_atlas.methods.storage import adapter_bytes
from peft_atlas.models.bert import BertEncoder, random_bert
from peft_atlas.models.encoder import HEAD, TextClassifier, encoder_sites, load_encoder, parameter_count
from peft_atlas.studies.encoder.config import EncoderConfig
from peft_atlas.studies.encoder.data.examples import Texts
from peft_atlas.studies.encoder.jobs import ALPHA_PER_RANK, NAME, RANDOM_WEIGHTS, RANK
from peft_atlas.studies.encoder.peft_method import PeftSetting
from peft_atlas.training.batches import Ragged
from peft_atlas.training.checkpoint import Checkpoint
from peft_atlas.training.divergence import collapsed_reason
from peft_atlas.training.finetune import Evaluated, FinetunePlan, Finetuning, Labelled
from peft_atlas.training.fingerprint import fingerprint
from peft_atlas.training.population import resolve_device
from peft_atlas.training.precision import resolve_precision
from peft_atlas.training.resource_usage import forget_peak, release_memory
from peft_atlas.training.tuning import TunedRun

if TYPE_CHECKING:
    from peft_atlas.studies.encoder.peft_run import PeftAttached

# Keys of the study's configuration that say which runs there are, not what one computes.
_NOT_OF_A_RUN = {"tasks", "primary", "exploratory", "rates", "ranks", "peft_methods"}


# Columns of the texts that decide its numbers.
_COLUMNS = ("split", "digest", "label", "tokens")


@dataclass(frozen=True)
class Part:
    """What a job trains on: the study's settings, a task with its texts, the model's folder, and where.

    ``checkpoints`` is the folder of the states of runs under way; a job that has none makes one for itself. ``code`` is
    the digest of the library that trains, without which a checkpoint of other code would be read.
    """

    config: EncoderConfig
    task: str
    texts: Texts
    model: Path
    device: str
    checkpoints: Path | None = None
    code: str = ""

    @property
    def precision(self) -> Literal["float32", "bfloat16"]:
        """Return the precision in which matrix products are taken."""
        return resolve_precision(self.config.precision, resolve_device(self.device))

    def rows(self, split: str) -> pd.DataFrame:
        """Return the rows of validation or test that the job reads, the first ones in the order of digests."""
        counts = {"validation": self.config.validation_examples, "test": self.config.test_examples}
        return self.texts.split(split).head(counts[split])

    def labelled(self, rows: pd.DataFrame) -> Labelled:
        """Return rows with their classes on the job's device."""
        device = resolve_device(self.device)
        labels = torch.tensor(self.texts.numbers(rows), device=device)
        return Labelled(Ragged.of(rows["tokens"].tolist(), device), labels)


@dataclass(frozen=True)
class Trial:
    """One run: part of the study, a method with its setting, rate and seed."""

    experiment: str
    setting: StudySetting | PeftSetting
    rate: float
    seed: int

    def run_id(self, task: str) -> str:
        """Return the run's name."""
        named = [] if self.setting.setting is None else [self.setting.setting]
        rank = getattr(self.setting.method, "r", None)
        named += [] if rank is None else [f"rank={rank}"]
        words = (NAME, self.experiment, task, self.setting.label, *named, f"rate={self.rate:g}", f"seed={self.seed}")
        return "/".join(words)


def find_setting(name: str, width: int, rank: int = RANK) -> StudySetting:
    """Return the setting of a name, with adapters of a rank, and alpha in proportion.

    Raises
    ------
    AtlasError
        If no method has such a setting.
    """
    settings = study_settings(encoder_sites(width), Sizes(rank=rank, alpha=ALPHA_PER_RANK * rank))
    named = {setting_name(setting.label, setting.setting): setting for setting in settings}
    if name not in named:
        raise AtlasError(f"setting {name!r}: allowed: {', '.join(named)}")
    return named[name]


def from_random_weights(full: StudySetting) -> StudySetting:
    """Return full fine-tuning under the name of the control that starts from random weights."""
    return replace(full, label=RANDOM_WEIGHTS)


def model_width(part: Part) -> int:
    """Return the width of the model's hidden states."""
    return int(json.loads((part.model / "config.json").read_text(encoding="utf-8"))["hidden_size"])


def plan_of(part: Part, rate: float) -> FinetunePlan:
    """Return how a run of the study is trained at a rate."""
    config, bfloat16 = part.config, part.precision == "bfloat16"
    return FinetunePlan(config.epochs, config.batch_size, rate, config.warmup, bfloat16)


class Run(TunedRun):
    """One run of a trial, which goes on from its checkpoint where there is one."""

    _training: Finetuning

    def __init__(self, part: Part, trial: Trial) -> None:
        self.part, self.trial = part, trial
        release_memory()
        device = resolve_device(part.device)
        classifier = TextClassifier(self._encoder(), len(part.texts.classes), trial.seed)
        classifier.to(device)
        self._before = self._embeddings(classifier)
        forget_peak()
        self.full_params = parameter_count(classifier)
        self.attached, self.bytes = self._attach(classifier)
        train = part.labelled(part.texts.drawn(part.config.train_examples, trial.seed))
        self._train_labels: list[int] = train.labels.tolist()
        self._training = Finetuning(self.attached, train, plan_of(part, trial.rate), trial.seed, self._checkpoint())
        self.test: Evaluated | None = None

    def _attach(self, classifier: TextClassifier) -> tuple[Attached | PeftAttached, int]:
        """Return the classifier with the trial's method attached, and the bytes of the adapter as a file."""
        setting, seed = self.trial.setting, self.trial.seed
        if isinstance(setting, PeftSetting):
            # Importing peft takes seconds, which only its methods wait for.
            from peft_atlas.studies.encoder.peft_attach import attach_peft

            by_peft = attach_peft(classifier, setting, seed)
            return by_peft, by_peft.adapter_bytes()
        attached = attach(classifier, setting.method, Members(seeds=(seed,)), HEAD)
        return attached, adapter_bytes(attached) if attached.adapter_params() else 0

    def _encoder(self) -> torch.nn.Module:
        """Return the pretrained encoder, or one of the same shape with random weights."""
        if isinstance(self.trial.setting, PeftSetting):
            from peft_atlas.studies.encoder.peft_attach import load_for_peft

            return load_for_peft(self.part.model)
        pretrained = load_encoder(self.part.model)
        if self.trial.setting.label != RANDOM_WEIGHTS:
            return pretrained
        if not isinstance(pretrained, BertEncoder):
            raise AtlasError(f"model {self.part.model}: the control with random weights takes model_type = 'bert' only")
        return random_bert(pretrained.shape, self.trial.seed)

    def _validation(self) -> Labelled:
        return self.part.labelled(self.part.rows("validation"))

    def read_test(self) -> Run:
        """Read the test split, once, and return itself; of a diverged run nothing is read."""
        if not self.history.diverged:
            test = self.part.labelled(self.part.rows("test"))
            self.test = self._training.predict(self._training.advanced(test))
        return self

    def collapse(self) -> str | None:
        """Return why the run counts as collapsed, None where it does not."""
        history = self.history
        return collapsed_reason(history.train_loss[-1], self._train_labels, history.predicted_classes)

    def similarity(self) -> float | None:
        """Return the mean cosine of the drift texts' embeddings before and after training."""
        if self.history.diverged or self._before is None:
            return None
        after = self._embeddings(self._training.model)
        assert after is not None
        return float(F.cosine_similarity(self._before, after).mean())

    @torch.no_grad()
    def _embeddings(self, classifier: TextClassifier) -> Tensor | None:
        """Return the embeddings of the drift texts, shape ``(texts, width)``, None where there are none."""
        texts = self.part.texts.split("drift")
        if texts.empty:
            return None
        rows = Ragged.of(texts["tokens"].tolist(), classifier.head.weight.device)
        classifier.eval()
        return torch.cat([classifier.embed(*rows.batch(some)) for some in rows.by_length(64)])

    def _checkpoint(self) -> Checkpoint:
        """Return where this run's state is kept; the name is the digest of all that its numbers depend on."""
        if self.part.checkpoints is None:
            return Checkpoint()
        config = self.part.config.model_dump(mode="json", exclude=_NOT_OF_A_RUN)
        method = str(self.trial.setting.method)
        trained = [self.part.device, self.part.precision, self.part.code]
        facts = [self.trial.run_id(self.part.task), config, method, *trained]
        name = fingerprint(facts, self.part.texts.rows[list(_COLUMNS)], self.part.model)
        path = self.part.checkpoints / f"{name[:24]}.pt"
        return Checkpoint(path, name)
