"""The rules by which a claim gets its verdict, the same for every claim of a kind.

========================  =========================================================================================
what is claimed           supported; contradicted; otherwise undecided
========================  =========================================================================================
an effect above 0         the interval lies above 0; below 0
a ratio below 1           the interval lies below 1; above 1
reaches, is comparable    the interval excludes a loss of more than the margin; lies below it (non-inferiority)
a trend                   the exact test rejects; ``not_testable`` where only a perfect order would let it reject
single runs               neither: numbers of one run each have no interval, whatever their difference
========================  =========================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from math import factorial
from typing import Literal

from peft_atlas.analysis.finding import SEED_NOTEBOOK, Effect, Finding
from peft_atlas.studies.literature.jobs import NAME

Measured = Mapping[str, Finding]
Verdict = Literal["supported", "contradicted", "undecided", "not_testable"]
# What is said of numbers that come from a single run each.
SINGLE_RUNS = "One run each, without an interval."


def would_decide(experiment: str) -> str:
    """Return what is said of an undecided claim: the experiment that would decide it."""
    return f"What would decide it: {experiment}."


def takeaway_claim(
    number: int | str,
    name: str,
    statement: str,
    verdict: Verdict,
    evidence: str,
    detail: str,
    effect: Effect | None = None,
) -> Finding:
    """Return a claim of section 8 of the seed notebook: one of its takeaways, by number, or another place in it."""
    where = f"takeaway {number}" if isinstance(number, int) else number
    source = f"{SEED_NOTEBOOK}, section 8, {where}"
    return Finding("claim", name, NAME, statement, source, verdict, evidence, detail, effect=effect)


def decide(holds: bool) -> Verdict:
    """Return the verdict of a statement that can be checked exactly."""
    return "supported" if holds else "contradicted"


def above_zero(effect: Effect | None) -> Verdict:
    """Return what an interval says of an effect that is claimed to be positive."""
    return _beyond(effect, 0.0)


def below_one(effect: Effect | None) -> Verdict:
    """Return what an interval says of a ratio that is claimed to be below 1."""
    if effect is None or effect.low is None or effect.high is None:
        return "undecided"
    return _beyond(Effect(None, low=-effect.high, high=-effect.low), -1.0)


def not_inferior(effect: Effect | None, margin: float | None) -> Verdict:
    """Return what an interval says of a result that is claimed to reach another's.

    Parameters
    ----------
    effect
        Difference from the other result, above 0 where it is better.
    margin
        Largest loss that does not matter, in the unit of the effect; None where none was set.
    """
    return "undecided" if margin is None else _beyond(effect, -margin)


def _beyond(effect: Effect | None, bound: float) -> Verdict:
    """Return whether an interval lies above a bound, below it, or contains it."""
    if effect is None or effect.low is None or effect.high is None or effect.low <= bound <= effect.high:
        return "undecided"
    return decide(effect.low > bound)


def trend(tau: float, p: float, n: int, level: float) -> Verdict:
    """Return what Kendall's exact test says of a rising trend over n single results."""
    if p < level:
        return decide(tau > 0)
    return "not_testable" if only_perfect_order_rejects(n, level) else "undecided"


def only_perfect_order_rejects(n: int, level: float) -> bool:
    """Return whether Kendall's exact two-sided test needs every pair in order to reach a level.

    Of the n! orders one has no inversion and n - 1 have one, and so has each with all pairs reversed.
    """
    return 2 * (1 + (n - 1)) / factorial(n) >= level


def from_measured(
    number: int, name: str, statement: str, answer: Finding | None, verdict: Verdict, caveat: str = ""
) -> Finding:
    """Return a claim that rests on an answer of a measured study, undecided where that study was not run."""
    if answer is None:
        missing = "The study that would measure it is not part of this run, or gives no answer to it."
        return takeaway_claim(number, name, statement, "undecided", "findings: kind=answer", missing, Effect(None, n=0))
    evidence = f"findings: kind=answer, id={answer.id}; {answer.evidence}"
    detail = f"{answer.detail or ''} {caveat}".strip()
    return takeaway_claim(number, name, statement, verdict, evidence, detail, answer.effect)


def measured_effect(answer: Finding | None) -> Effect | None:
    """Return the effect of a measured answer, if there is one."""
    return None if answer is None else answer.effect
