"""What LoRA's rank changes in the adaptation study, below and beyond the rank of the shift."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from peft_atlas.analysis.curves import SettingCurve, tuned_curve
from peft_atlas.analysis.finding import ATLAS, POINTS, Effect, Finding
from peft_atlas.studies.adaptation.jobs import NAME


@dataclass(frozen=True)
class ShiftCurve:
    """LoRA's accuracy over its rank on the target tasks of one shift.

    Parameters
    ----------
    shift
        Rank of the shift.
    curve
        Accuracy over LoRA's rank, the learning rate tuned at each.
    """

    shift: int
    curve: SettingCurve

    @property
    def below(self) -> Effect | None:
        """Return the change from the smallest rank to the shift's own; None where the sweep lacks either."""
        return self._step(self.curve.grid[0], self.shift)

    @property
    def beyond(self) -> Effect | None:
        """Return the change from the shift's own rank to the largest; None where the sweep lacks either."""
        return self._step(self.shift, self.curve.grid[-1])

    def _step(self, low: float, high: float) -> Effect | None:
        known = {low, high} <= set(self.curve.grid) and low < high
        return self.curve.step_effect(low, high) if known else None


def shift_curves(ranks: pd.DataFrame, confidence: float) -> list[ShiftCurve]:
    """Return the curve of each shift, by the rank of the shift.

    Parameters
    ----------
    ranks
        Runs of LoRA in the rank sweep at one budget, at every learning rate.
    confidence
        Confidence level.
    """
    groups = ranks.groupby("shift_rank", sort=True)
    return [ShiftCurve(int(str(shift)), tuned_curve(group, "rank", confidence)) for shift, group in groups]


Steps = list[tuple[ShiftCurve, Effect]]


def steps_of(curves: Sequence[ShiftCurve]) -> tuple[Steps, Steps]:
    """Return the changes up to each shift's own rank and those beyond it, where the sweep has the ranks."""
    below = [(each, effect) for each in curves if (effect := each.below) is not None]
    return below, [(each, effect) for each in curves if (effect := each.beyond) is not None]


def rank_answers(ranks: pd.DataFrame, confidence: float) -> list[Finding]:
    """Return how accuracy changes with LoRA's rank for each shift, and over all shifts, for each budget.

    Parameters
    ----------
    ranks
        Runs of LoRA in the rank sweep, at every learning rate.
    confidence
        Confidence level.
    """
    budgets = [(int(str(examples)), group) for examples, group in ranks.groupby("train_examples", sort=True)]
    saturation = [_saturation(examples, shift_curves(group, confidence)) for examples, group in budgets]
    return saturation + [_higher_ranks(examples, group, confidence) for examples, group in budgets]


def _answer(name: str, examples: int, question: str, detail: str, effect: Effect) -> Finding:
    evidence = f"runs: study={NAME}, experiment=ranks, train_examples={examples}, selected=True"
    statement, id_ = f"{question}, with {examples:,} examples?", f"{NAME}_{name}_{examples}"
    return Finding("answer", id_, NAME, statement, ATLAS, "measured", evidence, detail, effect)


def _saturation(examples: int, curves: list[ShiftCurve]) -> Finding:
    """Return the changes of accuracy below and beyond each shift's own rank."""
    below, beyond = steps_of(curves)
    largest = curves[-1].curve.grid[-1]
    smallest = curves[-1].curve.grid[0]
    risen = f"From r = {smallest:g} to the shift's own rank k test accuracy changes by {per_shift(below)} points"
    further = f"from r = k to r = {largest:g} by {per_shift(beyond)} points"
    effects = [effect for _, effect in beyond]
    return _answer(
        "saturation",
        examples,
        "Where does LoRA saturate as its rank passes the rank of the shift",
        f"{_reading(beyond)} {risen}; {further}.",
        max(effects, key=lambda effect: abs(effect.size or 0.0), default=Effect(None, POINTS)),
    )


def per_shift(steps: Steps) -> str:
    """Return the change for each shift: ``+1.2 [+0.9, +1.5] (k = 2), ...``."""
    said = [f"{effect.in_words(unit='')} (k = {each.shift})" for each, effect in steps]
    return ", ".join(said) or "an unknown number of"


def _reading(beyond: Steps) -> str:
    """Return how many shifts rise and fall beyond their own rank, and the largest change."""
    effects = [effect for _, effect in beyond]
    risen = sum(effect.excludes_zero and (effect.size or 0) > 0 for effect in effects)
    fallen = sum(effect.excludes_zero and (effect.size or 0) < 0 for effect in effects)
    shift, most = max(beyond, key=lambda step: abs(step[1].size or 0.0), default=(None, None))
    largest = "" if shift is None or most is None else f"most at rank {shift.shift}, {most.in_words(unit='points')}; "
    return (
        f"Beyond the shift's own rank accuracy falls for {fallen} and rises for {risen} of {len(beyond)} shifts "
        f"({largest}one interval per shift, not adjusted)."
    )


def _higher_ranks(examples: int, group: pd.DataFrame, confidence: float) -> Finding:
    """Return what higher ranks change on average over the shifts: a slope where a line fits, else steps."""
    curve = tuned_curve(group, "rank", confidence, over=("shift_rank",))
    p = curve.rising_p()
    test = "" if p is None else f" Page's test of a rise: p = {p:.2g}."
    values = curve.grid
    steps = [(low, high, curve.step_effect(low, high)) for low, high in _middle_steps(values)]
    words = " and by ".join(f"{step.in_words()} from r = {low:g} to {high:g}" for low, high, step in steps)
    shifts = ", ".join(f"{shift:g}" for shift in sorted(group["shift_rank"].unique()))
    return _answer(
        "higher_ranks",
        examples,
        "Do higher ranks help",
        f"On average over shifts of rank {shifts}, accuracy changes by {words or 'an unknown amount'}, "
        f"{curve.condition}.{_line(curve)}{test} The average depends on which shifts the study has.",
        steps[0][2] if steps else Effect(None, POINTS),
    )


def _middle_steps(values: list[float]) -> Iterator[tuple[float, float]]:
    """Yield the lower and the upper half of the values, as pairs of their ends."""
    middle = values[len(values) // 2]
    if len(values) > 1:
        yield from ((low, high) for low, high in ((values[0], middle), (middle, values[-1])) if low < high)


def _line(curve: SettingCurve) -> str:
    """Return the slope per doubling in words, or nothing where a line does not fit."""
    if not curve.is_line():
        return ""
    slope = Effect.of_estimate(curve.slope(), curve.confidence, f"{POINTS} per doubling", 100)
    return f" A straight line fits: {slope.in_words(2, unit='')} {POINTS} per doubling."
