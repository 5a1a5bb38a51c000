"""What the runs that a user has added show: a finding per comparison."""

from __future__ import annotations

from peft_atlas.analysis.finding import INDISTINGUISHABLE, Finding
from peft_atlas.studies.added.compare import Compared, comparisons
from peft_atlas.studies.added.jobs import NAME
from peft_atlas.studies.findings import Given


def findings(given: Given) -> list[Finding]:
    """Return an answer per comparison, in the order of tasks and names."""
    found = comparisons(given.tables["added_runs"], given.tables["benchmark_runs"], given.confidence)
    return [_finding(place, compared) for place, compared in enumerate(found)]


def _finding(place: int, compared: Compared) -> Finding:
    sources = ", ".join(sorted(compared.cell.runs["source"].unique()))
    return Finding(
        "answer",
        f"added_{place:03d}",
        NAME,
        f"How does {compared.cell.name} compare with {compared.reference}?",
        sources,
        "measured",
        f"added_runs: task={compared.task}, method={compared.cell.method}; {compared.evidence}",
        detail(compared),
        compared.effect,
    )


def detail(compared: Compared) -> str:
    """Return a comparison as sentences, with what it could have detected where it found nothing."""
    effect, n = compared.effect, len(compared.cell.runs)
    runs = "one run" if n == 1 else f"{n} runs"
    verdict = ""
    if effect.low is not None and not effect.excludes_zero:
        verdict = f", {INDISTINGUISHABLE} it ({effect.detectable_in_words()})"
    text = f"On {compared.task} ({compared.model}), {runs}: {effect.in_words()}{verdict}."
    return f"{text} {compared.remark}".strip()
