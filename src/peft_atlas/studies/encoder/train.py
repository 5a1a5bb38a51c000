"""The encoder study: every method on a pretrained transformer and labelled text, rates chosen on validation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from peft_atlas.errors import AtlasError
from peft_atlas.methods.attach import attach
from peft_atlas.methods.method import Members, Sizes, StudySetting
from peft_atlas.methods.names import setting_name
from peft_atlas.methods.registry import study_settings
from peft_atlas.methods.storage import adapter_bytes
from peft_atlas.models.bert import BertEncoder, random_bert
from peft_atlas.models.encoder import HEAD, TextClassifier, encoder_sites, load_encoder, parameter_count
from peft_atlas.step import Step
from peft_atlas.studies.encoder.config import EncoderConfig
from peft_atlas.studies.encoder.data.examples import Texts, read_texts
from peft_atlas.studies.encoder.jobs import ALPHA_PER_RANK, NAME, RANDOM_WEIGHTS, RANK
from peft_atlas.tables.schemas import COSTS, CURVES, RUNS
from peft_atlas.training.batches import Ragged
from peft_atlas.training.checkpoint import Checkpoint
from peft_atlas.training.divergence import METRICS, diverged_reason
from peft_atlas.training.finetune import FinetunePlan, Finetuning, Labelled
from peft_atlas.training.history import History
from peft_atlas.training.population import resolve_device
from peft_atlas.training.resource_usage import forget_peak, peak_megabytes

Row = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """What a job trains on: the study's settings, a task with its texts, the model's folder, and where.

    ``checkpoints`` is the folder of the checkpoints of runs under way, None to keep none.
    """

    config: EncoderConfig
    task: str
    texts: Texts
    model: Path
    device: str
    checkpoints: Path | None = None

    def labelled(self, rows: pd.DataFrame) -> Labelled:
        """Return rows with their classes on the job's device."""
        device = resolve_device(self.device)
        labels = torch.tensor(self.texts.numbers(rows), device=device)
        return Labelled(Ragged.of(rows["tokens"].tolist(), device), labels)


@dataclass(frozen=True)
class Trial:
    """One run: part of the study, a method with its setting, rate and seed."""

    experiment: str
    setting: StudySetting
    rate: float
    seed: int

    def run_id(self, task: str) -> str:
        """Return the run's name."""
        named = [] if self.setting.setting is None else [self.setting.setting]
        rank = getattr(self.setting.method, "r", None)
        named += [] if rank is None else [f"rank={rank}"]
        words = (NAME, self.experiment, task, self.setting.label, *named, f"rate={self.rate:g}", f"seed={self.seed}")
        return "/".join(words)


@dataclass(frozen=True)
class Tables:
    """Rows of runs, curves and costs."""

    runs: list[Row]
    curves: list[Row]
    costs: list[Row]

    @staticmethod
    def joined(parts: Iterable[Tables]) -> Tables:
        """Return the rows of several parts."""
        whole = Tables([], [], [])
        for part in parts:
            whole.runs.extend(part.runs)
            whole.curves.extend(part.curves)
            whole.costs.extend(part.costs)
        return whole


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


class Run:
    """One run of a trial: a classifier with its method attached, trained, and what it measured.

    ``before`` are the embeddings of the drift texts by the pretrained encoder, where another run has them.
    """

    def __init__(
        self, part: Part, trial: Trial, encoder: nn.Module | None = None, before: Tensor | None = None
    ) -> None:
        self.part, self.trial = part, trial
        config, device = part.config, resolve_device(part.device)
        classifier = TextClassifier(encoder or load_encoder(part.model), len(part.texts.classes), trial.seed)
        classifier.to(device)
        self.before = self._embeddings(classifier) if before is None else before
        forget_peak()
        self.full_params = parameter_count(classifier)
        self.attached = attach(classifier, trial.setting.method, Members(seeds=(trial.seed,)), HEAD)
        self.bytes = adapter_bytes(self.attached) if self.attached.adapter_params() else 0
        train = part.labelled(part.texts.drawn(config.train_examples, trial.seed))
        plan = plan_of(part, trial.rate)
        self._finetuning = Finetuning(self.attached, train, plan, trial.seed, self._checkpoint())
        self._validation = part.labelled(part.texts.split("validation"))
        self.test: tuple[float, float] | None = None
        self.peak_mb: float = 0.0

    @property
    def history(self) -> History:
        """Return what was measured."""
        return self._finetuning.history

    def train(self) -> Run:
        """Train and return itself."""
        self._finetuning.train(self._validation)
        self._finetuning.checkpoint.remove()
        self.peak_mb = peak_megabytes()
        return self

    def read_test(self) -> Run:
        """Read the test split, once, and return itself; of a diverged run nothing is read."""
        if not self.history.diverged:
            test = self.part.labelled(self.part.texts.split("test"))
            self.test = self._finetuning.evaluate(self._finetuning.advanced(test))
        return self

    def similarity(self) -> float | None:
        """Return the mean cosine of the drift texts' embeddings before and after training."""
        if self.history.diverged or self.before is None:
            return None
        after = self._embeddings(self._finetuning.model)
        assert after is not None
        return float(F.cosine_similarity(self.before, after).mean())

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
        """Return where this run's checkpoints are kept; the name is the digest of all that its numbers depend on."""
        if self.part.checkpoints is None:
            return Checkpoint()
        config = self.part.config.model_dump(mode="json", exclude={"tasks", "seeds", "rates", "ranks"})
        digests = self.part.texts.rows["digest"].tolist()
        facts = [self.trial.run_id(self.part.task), config, str(self.trial.setting.method), digests, torch.__version__]
        fingerprint = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        path = self.part.checkpoints / f"{fingerprint[:24]}.pt"
        return Checkpoint(path, fingerprint)


def plan_of(part: Part, rate: float) -> FinetunePlan:
    """Return how a run of the study is trained at a rate."""
    config, device = part.config, resolve_device(part.device)
    half = config.precision == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported()
    return FinetunePlan(config.epochs, config.batch_size, rate, config.warmup, half)


def search_rates(part: Part, name: str, seed: int, rates: Sequence[float]) -> Tables:
    """Return one run of a setting for each rate; test is read for the one that validation chooses.

    The chosen run is the setting's run of this seed. Of equal validation accuracies the lower loss decides.
    """
    setting = find_setting(name, model_width(part))
    best: Run | None = None
    outcomes: list[Tables] = []
    for rate in rates:
        before = None if best is None else best.before
        run = Run(part, Trial("methods", setting, rate, seed), before=before).train()
        # Only the best so far is kept in memory.
        better, worse = (run, best) if best is None or _validation(run) > _validation(best) else (best, run)
        outcomes += [] if worse is None else [_tables(worse, selected=False)]
        best = better
    assert best is not None
    outcomes.append(_tables(best.read_test(), selected=True))
    return Tables.joined(outcomes)


def _validation(run: Run) -> tuple[float, float]:
    """Return what runs are compared by: the last validation accuracy, and the negative loss."""
    history = run.history
    if history.diverged:
        return float("-inf"), float("-inf")
    return history.validation_accuracy[-1], -history.validation_loss[-1]


def train_setting(part: Part, name: str, seed: int, rate: float) -> Tables:
    """Return the run of a setting and seed at the rate that was chosen for it; test is read once."""
    trial = Trial("methods", find_setting(name, model_width(part)), rate, seed)
    return _tables(Run(part, trial).train().read_test(), selected=True)


def train_ranks(part: Part, name: str, seed: int, rate: float) -> Tables:
    """Return the runs of a setting at the other ranks of the rank curve, at the rate chosen for its own rank."""
    ranks = [rank for rank in part.config.ranks if rank != RANK]
    trials = [Trial("ranks", find_setting(name, model_width(part), rank), rate, seed) for rank in ranks]
    outcomes: list[Tables] = []
    before: Tensor | None = None
    for trial in trials:
        run = Run(part, trial, before=before).train().read_test()
        outcomes, before = [*outcomes, _tables(run, selected=None)], run.before
    return Tables.joined(outcomes)


def train_random(part: Part, name: str, seed: int, rate: float) -> Tables:
    """Return full fine-tuning of the same network from random weights, at the rate chosen for ``name``, full."""
    pretrained = load_encoder(part.model)
    if not isinstance(pretrained, BertEncoder):
        raise AtlasError(f"model {part.model}: the control with random weights is built for model_type = 'bert' only")
    full = find_setting(name, pretrained.width)
    trial = Trial("controls", replace(full, label=RANDOM_WEIGHTS), rate, seed)
    return _tables(Run(part, trial, random_bert(pretrained.shape, seed)).train().read_test(), selected=None)


def selected_rate(runs: pd.DataFrame) -> float:
    """Return the rate that a search chose.

    Raises
    ------
    AtlasError
        If every rate diverged.
    """
    chosen = runs[runs["selected"].fillna(value=False)]
    if chosen["status"].ne("ok").any():
        raise AtlasError(f"rates of {runs['method'].iloc[0]}: every one diverged; allowed: a grid with lower rates")
    return float(chosen["learning_rate"].iloc[0])


def model_width(part: Part) -> int:
    """Return the width of the model's hidden states."""
    return int(json.loads((part.model / "config.json").read_text(encoding="utf-8"))["hidden_size"])


def _tables(run: Run, *, selected: bool | None) -> Tables:
    """Return a run's rows."""
    identity = _identity(run, selected)
    ended = not run.history.diverged
    test_loss, test_accuracy = run.test or (None, None)
    points = []
    for epoch in range(run.part.config.epochs):
        last = epoch == run.part.config.epochs - 1
        test = {"test_loss": test_loss, "test_accuracy": test_accuracy} if last else {}
        points.append({**CURVES.blank(), **identity, "epoch": epoch + 1, **_measured(run.history, epoch), **test})
    outcome = {name: points[-1][name] for name in METRICS} if ended else {}
    status = {"status": "ok" if ended else "diverged", "reason": None if ended else diverged_reason()}
    row = {
        **RUNS.blank(),
        **identity,
        **status,
        **outcome,
        "validation_examples": len(run.part.texts.split("validation")),
        "test_examples": None if run.test is None else len(run.part.texts.split("test")),
        "head_params": run.attached.head_params(),
        "total_params": parameter_count(run.attached.model),
        "embedding_similarity": run.similarity() if run.test is not None else None,
        "adapter_bytes": run.bytes,
        "device": resolve_device(run.part.device).type,
        "torch_version": torch.__version__,
    }
    return Tables([row], points, [_cost(run, identity["run_id"])])


def _measured(history: History, epoch: int) -> Row:
    """Return what an epoch measured; nothing of one that was not reached."""
    values: dict[str, Sequence[float]] = {
        "train_loss": history.train_loss,
        "validation_loss": history.validation_loss,
        "validation_accuracy": history.validation_accuracy,
    }
    return {name: numbers[epoch] if epoch < len(numbers) else None for name, numbers in values.items()}


def _cost(run: Run, run_id: str) -> Row:
    """Return what a run cost."""
    history, config = run.history, run.part.config
    seen = config.epochs * config.train_examples
    return {
        **COSTS.blank(),
        "rule": "finetune",
        "job": run_id,
        "run_id": run_id,
        "cpu_seconds": history.train_cpu_seconds,
        "train_seconds": history.train_seconds,
        "evaluation_seconds": history.evaluation_seconds,
        "examples_per_second": None if history.diverged else seen / history.train_seconds,
        "peak_memory_mb": run.peak_mb,
    }


def _identity(run: Run, selected: bool | None) -> Row:
    """Return the columns that name a run and its cell."""
    part, trial = run.part, run.trial
    method = trial.setting.method
    rank, alpha = getattr(method, "r", None), getattr(method, "lora_alpha", None)
    trainable = run.attached.adapter_params() + run.attached.head_params()
    return {
        "run_id": trial.run_id(part.task),
        "study": NAME,
        "experiment": trial.experiment,
        "task": part.task,
        "model": part.config.model,
        "method": trial.setting.label,
        "rank": rank,
        "alpha": alpha,
        "scaling": alpha / rank if alpha is not None and rank is not None else None,
        "setting": trial.setting.setting,
        "train_examples": part.config.train_examples,
        "dropout": getattr(method, "lora_dropout", None),
        "learning_rate": trial.rate,
        "selected": selected,
        "epochs": part.config.epochs,
        "trainable_params": trainable,
        "params_percent": 100 * trainable / run.full_params,
        "seed": trial.seed,
    }


def _part_of(step: Step, checkpoints: Path | None = Path("results/checkpoints")) -> Part:
    """Return what a job trains on."""
    config, texts = EncoderConfig.model_validate(step.params["config"]), read_texts(step.path("examples"))
    return Part(config, step.params["task"], texts, step.path("model").parent, step.params["device"], checkpoints)


def _write(step: Step, tables: Tables) -> None:
    step.write("runs", tables.runs)
    step.write("curves", tables.curves)
    step.write("costs", tables.costs)


def tune_step(step: Step) -> None:
    """Train a method at every rate of its grid and choose one."""
    params = step.params
    _write(step, search_rates(_part_of(step), params["setting"], params["seed"], params["rates"]))


def method_step(step: Step) -> None:
    """Train a method with one seed at the chosen rate."""
    _write(step, _at_chosen_rate(step, train_setting))


def ranks_step(step: Step) -> None:
    """Train the other ranks of a method with one seed."""
    _write(step, _at_chosen_rate(step, train_ranks))


def random_init_step(step: Step) -> None:
    """Train from random weights with one seed."""
    _write(step, _at_chosen_rate(step, train_random))


def _at_chosen_rate(step: Step, train: Callable[[Part, str, int, float], Tables]) -> Tables:
    """Train at the rate that the search chose."""
    rate = selected_rate(step.read("search", "runs"))
    return train(_part_of(step), step.params["setting"], step.params["seed"], rate)
