"""`plan`: what a way to fine-tune a model takes, whether it fits on a card, and what evidence there is for settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from peft_atlas.errors import AtlasError
from peft_atlas.planning.architecture import Architecture
from peft_atlas.planning.closed_form import Parts, Step
from peft_atlas.planning.counts import Attachment, Counts, attach, count
from peft_atlas.planning.evidence import Evidence, TimeRatio, evidence_for, time_ratio
from peft_atlas.planning.intervals import Interval, group_of, shipped_interval
from peft_atlas.planning.methods import METHODS, find_method
from peft_atlas.planning.moments import Moment, peak
from peft_atlas.planning.settings import LARGEST_BATCH, LARGEST_SEQUENCE, Settings
from peft_atlas.planning.shapes import find_architecture
from peft_atlas.planning.stacks import RULES, as_laid_out, settled
from peft_atlas.planning.verdict import FITS, verdict

LARGEST_CARD = 10_000
# Models whose table of learned positions limits their sequence.
LEARNED_POSITIONS = frozenset({"gpt2", "bert", "roberta", "opt", "bart"})


@dataclass(frozen=True)
class Plan:
    """What one method at one setting takes.

    Attributes
    ----------
    model, method, rank, targets, settings
        What was planned. ``rank`` is what the method's ``rank_name`` says, as of virtual tokens.
    counts
        Trained parameters, exact, with the base's and both percentages.
    parts, moment
        Bytes by part at the moment at which most is alive, and that moment.
    low_bytes, high_bytes
        The peak with the errors of the same closed form on measured runs: 90 % of their weight lies between.
    card_gb, verdict
        The card's label in GB, and ``fits``, ``does not fit`` or ``cannot tell``; None without a card.
    largest_micro_batch, longest_sequence
        The largest that still ``fits``, all else equal; 0 where not even one does, None without a card.
    file_bytes
        Bytes of the tensors to save: adapter and head, or all weights.
    time
        Seconds of a step relative to full fine-tuning where somebody measured both, else None.
    evidence
        Settings that were run with this method, and what they reached.
    """

    model: str
    method: str
    rank: int
    targets: tuple[str, ...]
    settings: Settings
    counts: Counts
    parts: Parts
    moment: str
    low_bytes: int
    high_bytes: int
    interval: Interval
    card_gb: float | None
    verdict: str | None
    largest_micro_batch: int | None
    longest_sequence: int | None
    file_bytes: int
    time: TimeRatio | None
    evidence: tuple[Evidence, ...]

    @property
    def peak_bytes(self) -> int:
        """Return the predicted peak: the sum of the parts."""
        return self.parts.total


def plan(
    model: str | Path | Architecture,
    method: str = "lora",
    *,
    rank: int | None = None,
    targets: Iterable[str] = (),
    gpu_gb: float | None = None,
    settings: Settings | None = None,
    **changes: Any,
) -> Plan:
    """Return what fine-tuning a model with a method takes; imports neither torch nor pandas.

    Parameters
    ----------
    model
        A ``config.json`` or its folder, a name of the shipped table, or an `Architecture`.
    method, rank, targets
        A method of `peft_atlas.planning.methods`; no rank or targets means its default. Targets are names of matrices
        as in peft, or a kind: query-value, attention, mlp, all-linear.
    gpu_gb
        The card's memory as on its label (GiB).
    settings, changes
        `Settings`, and fields to change in them: ``plan("Llama-3.2-3B", micro_batch=4, sequence=768)``.

    Raises
    ------
    AtlasError
        Something is unknown, missing or impossible; the message is one line.

    Examples
    --------
    >>> plan("Llama-3.2-3B", "lora", rank=32, micro_batch=4, sequence=768, gpu_gb=48).verdict
    'fits'
    """
    chosen = _changed(Settings() if settings is None else settings, changes)
    architecture = model if isinstance(model, Architecture) else find_architecture(str(model))
    step = step_of(architecture, method, rank, tuple(targets), chosen)
    return _planned(step, architecture.name, _card(gpu_gb))


def plan_all(model: str | Path | Architecture, *, methods: Iterable[str] = (), **options: Any) -> tuple[Plan, ...]:
    """Return a plan for each method, by default all that the model can take; options as of `plan`.

    Targets and rank go to every method that has such, and those without keep their defaults.
    """
    names = tuple(methods) or tuple(method.name for method in METHODS)
    architecture = model if isinstance(model, Architecture) else find_architecture(str(model))
    explicit = bool(tuple(methods))
    plans = [_plan_or_none(architecture, name, explicit, options) for name in names]
    return tuple(found for found in plans if found is not None)


def _plan_or_none(architecture: Architecture, name: str, explicit: bool, options: dict[str, Any]) -> Plan | None:
    """Return the plan of one of many methods; one that the model cannot take is left out unless it was asked for."""
    method, given = find_method(name), dict(options)
    if method.acts_on != "linear":
        given.pop("targets", None)
    if method.default_rank != 8 and not explicit:
        given.pop("rank", None)
    try:
        return plan(architecture, name, **given)
    except AtlasError:
        if explicit or name == "lora":
            raise
        return None


def step_of(
    architecture: Architecture, method: str, rank: int | None, targets: tuple[str, ...], settings: Settings
) -> Step:
    """Return one training step of the closed form, and refuse what cannot be."""
    settings = settled(architecture, settings)
    laid = as_laid_out(architecture, settings.stack)
    attachment = attach(laid, find_method(method), rank, targets)
    refuse_impossible(laid, attachment, settings)
    return Step(laid, attachment, count(laid, attachment), settings, RULES[settings.stack])


def refuse_impossible(architecture: Architecture, attachment: Attachment, settings: Settings) -> None:
    """Refuse combinations of model, method and settings that cannot run."""
    kind, name = attachment.method.acts_on, attachment.method.name
    if kind == "everything" and settings.quantization != "none":
        raise AtlasError(
            f"quantization {settings.quantization!r} with method 'full': integers are not trained; allowed: none"
        )
    if kind == "tokens" and (architecture.task == "labels" or architecture.vocabulary == 0):
        raise AtlasError(f"method {name!r} on {architecture.name}: known for models of text that predict every token")
    if kind == "biases" and count(architecture, attachment).adapter == 0:
        raise AtlasError(f"method 'bitfit' on {architecture.name}: it has no biases to train")
    longest, tokens = architecture.max_positions, settings.sequence
    learned = architecture.model_type in LEARNED_POSITIONS
    if learned and longest is not None and tokens > longest:
        raise AtlasError(f"sequence {tokens}: {architecture.name} has {longest} positions; allowed: up to {longest}")


def _changed(settings: Settings, changes: dict[str, Any]) -> Settings:
    unknown = set(changes) - set(settings.__dataclass_fields__)
    if unknown:
        allowed = ", ".join(settings.__dataclass_fields__)
        raise AtlasError(f"setting {sorted(unknown)[0]!r}: not known; known: {allowed}")
    return replace(settings, **changes)


def _card(gpu_gb: float | None) -> float | None:
    if gpu_gb is not None and not 0 < gpu_gb <= LARGEST_CARD:
        raise AtlasError(f"gpu_gb {gpu_gb}; allowed: above 0 and up to {LARGEST_CARD}")
    return gpu_gb


def _planned(step: Step, name: str, card: float | None) -> Plan:
    moment, interval = peak(step), shipped_interval(group_of(step.settings.quantization))
    low, high = (round(moment.parts.total * factor) for factor in (interval.low, interval.high))
    method = step.attachment.method
    saved = step.counts.added or step.counts.base
    return Plan(
        model=name, method=method.name, rank=step.attachment.rank, targets=step.attachment.targets,
        settings=step.settings,
        counts=step.counts, parts=moment.parts, moment=moment.name, low_bytes=low, high_bytes=high, interval=interval,
        card_gb=card, verdict=None if card is None else verdict(low, high, card),
        largest_micro_batch=_largest(step, card, "micro_batch", LARGEST_BATCH),
        longest_sequence=_longest(step, card),
        file_bytes=saved * (step.settings.weight_bytes if step.trains_all else step.settings.adapter_bytes),
        time=time_ratio(method.name), evidence=evidence_for(method.name, name),
    )  # fmt: skip


def _longest(step: Step, card: float | None) -> int | None:
    """Return the longest sequence that fits, at most the model's positions; None where its length is fixed."""
    if step.architecture.tokens is not None:
        return None
    return _largest(step, card, "sequence", step.architecture.max_positions or LARGEST_SEQUENCE)


def _largest(step: Step, card: float | None, field: str, most: int) -> int | None:
    """Return the largest value of a setting at which the step still fits on the card; the peak grows with it."""
    if card is None:
        return None
    interval = shipped_interval(group_of(step.settings.quantization))

    def fits(value: int) -> bool:
        changed: dict[str, Any] = {field: value}
        moment: Moment = peak(replace(step, settings=replace(step.settings, **changed)))
        return verdict(0, moment.parts.total * interval.high, card) == FITS

    return bisect_largest(fits, most)


def bisect_largest(holds: Callable[[int], bool], most: int) -> int:
    """Return the largest number up to ``most`` for which a condition holds that fails for all above; 0 if for none."""
    low, high = 0, 1
    while high <= most and holds(high):
        low, high = high, 2 * high
    high = min(high, most + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
