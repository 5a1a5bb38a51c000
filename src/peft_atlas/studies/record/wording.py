"""How the findings on the record name their sources, and the forms of finding that they share."""

from __future__ import annotations

from peft_atlas.analysis.finding import Effect, Finding
from peft_atlas.studies.record.jobs import NAME

PEFT = "peft's method comparison"
LEE = "Lee et al. (arXiv:2602.04998)"
TINKER = "tinker-cookbook"
REGRET = "LoRA Without Regret (2025)"
ONE_SEED = "One seed (0), so another seed could differ by more."


def check(name: str, statement: str, source: str, holds: bool, evidence: str, detail: str, effect: Effect) -> Finding:
    """Return a check of what a source says or of what its readers rely on."""
    verdict = "pass" if holds else "fail"
    return Finding("check", f"record_{name}", NAME, statement, source, verdict, evidence, detail, effect)


def answer(name: str, question: str, source: str, evidence: str, detail: str, effect: Effect) -> Finding:
    """Return an answer that published runs give."""
    return Finding("answer", f"record_{name}", NAME, question, source, "recomputed", evidence, detail, effect)


def claim(name: str, statement: str, source: str, verdict: str, evidence: str, detail: str, effect: Effect) -> Finding:
    """Return a claim of a source with its verdict."""
    return Finding("claim", f"record_{name}", NAME, statement, source, verdict, evidence, detail, effect)


def listed(parts: list[str]) -> str:
    """Return parts joined as in a sentence."""
    return " and ".join(part for part in (", ".join(parts[:-1]), parts[-1]) if part) if parts else "none"
