"""What the published and recomputed tables advise: a shortlist, the memory, and how far to trust them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from peft_atlas.analysis.finding import ATLAS, POINTS, Effect, Finding
from peft_atlas.planning.verdict import DOES_NOT_FIT, FITS, verdict
from peft_atlas.studies.literature.jobs import NAME
from peft_atlas.studies.literature.memory_findings import peak_in_words, step_in_words
from peft_atlas.studies.literature.published_tables import FULL, LORA, NO_INTERVAL, PublishedTables, both
from peft_atlas.studies.literature.scores import SOURCE

# Sizes of common graphics cards, in GB.
CARDS = (24, 40, 80)


def published_advice(tables: PublishedTables, judged: Sequence[Finding]) -> list[Finding]:
    """Return the advice that rests on published and recomputed numbers.

    Parameters
    ----------
    tables
        The result tables.
    judged
        Every claim of the run, and the checks of the published tables.
    """
    return [*_method(tables), *_memory(tables), *_literature(tables, judged)]


def _advice(name: str, statement: str, verdict: str, evidence: str, detail: str, effect: Effect) -> Finding:
    return Finding("advice", f"published_advice_{name}", NAME, statement, ATLAS, verdict, evidence, detail, effect)


def _method(tables: PublishedTables) -> Iterator[Finding]:
    """Return the leaders of the published averages: one for all families of tasks, or one for each."""
    leaders, leads, words = [], [], []
    for family in tables.families:
        for model, group in tables.groups(family)[:1]:
            lead = float(group["accuracy"].iloc[0] - group["accuracy"].iloc[1]) if len(group) > 1 else 0.0
            leaders.append(str(group.index[0]))
            leads.append(lead)
            words.append(f"{group.index[0]} on {family.lower()} of {model} ({lead:+.1f} points over the next)")
    if not leaders:
        return
    names = list(dict.fromkeys(leaders))
    statement = f"Shortlist {names[0]}." if len(names) == 1 else f"Let the task choose between {both(names)}."
    yield _advice(
        "method",
        statement,
        "printed",
        f"published: source={SOURCE}, task=Avg, metric=accuracy_percent",
        f"Highest published average: {both(words)}. {NO_INTERVAL}",
        Effect(min(leads), f"{POINTS}, smallest lead over the next method", n=len(tables.scores)),
    )


def _memory(tables: PublishedTables) -> Iterator[Finding]:
    """Return the largest model that LoRA brings onto the smallest card on which full fine-tuning does not fit.

    Peaks with activations are judged as the planner judges them, at the one setting of the table of memory.
    """
    rows = tables.training_bytes()
    rows = rows[rows["method"].isin([LORA, FULL]) & rows["peak_bytes"].notna()]
    # Of several configurations of LoRA the one that needs most.
    peaks = rows.sort_values("peak_bytes").groupby(["base_model", "method"], sort=False).last().unstack()
    found = [
        (size, float(row["peak_bytes", LORA]), str(model))
        for size in CARDS
        for model, row in peaks.dropna().iterrows()
        if _fit(row, LORA, size) == FITS and _fit(row, FULL, size) == DOES_NOT_FIT
    ]
    if not found:
        return
    size, peak, model = max(each for each in found if each[0] == min(found)[0])
    lora, full = (peaks.loc[model].xs(method, level="method") for method in (LORA, FULL))
    yield _advice(
        "memory",
        f"Use LoRA to train {model} on a card of {size} GB.",
        "recomputed",
        f"memory: base_model={model}, method={LORA} and {FULL}, precision=bf16_mixed",
        f"At {step_in_words(rows)} the predicted peak is {peak_in_words(lora.rename(model))} with LoRA and "
        f"{peak_in_words(full.rename(model))} in full fine-tuning (bf16 mixed precision, AdamW; 90 % intervals from "
        "measured runs). Another batch or length: ask the planner.",
        Effect(peak / 1e9, "GB", n=2),
    )


def _fit(row: pd.Series[Any], method: str, size: int) -> str:
    """Return whether a method's peak fits on a card."""
    return verdict(float(row["peak_low_bytes", method]), float(row["peak_high_bytes", method]), size)


def _literature(tables: PublishedTables, judged: Sequence[Finding]) -> Iterator[Finding]:
    """Return how many statements, checks and values of the literature do not hold."""
    claims = [finding for finding in judged if finding.kind == "claim"]
    wrong = sum(finding.verdict == "contradicted" for finding in claims)
    checks = [finding for finding in judged if finding.kind == "check" and finding.source != ATLAS]
    failed = sum(finding.verdict == "fail" for finding in checks)
    conflicts = tables.conflicts["verdict"].value_counts() if len(tables.conflicts) else pd.Series(dtype=int)
    doubtful = wrong + failed + int(conflicts.get("open", 0))
    statement = "Check a published number before you build on it." if doubtful else "Build on the published numbers."
    yield _advice(
        "literature",
        statement,
        "recomputed",
        f"findings: kind=claim; findings: kind=check, study={NAME}; conflicts",
        f"Of {len(claims)} testable statements {wrong} are contradicted, and {failed} of {len(checks)} checks of "
        f"printed tables fail. {int(conflicts.sum())} values are printed in more than one way; for "
        f"{int(conflicts.get('open', 0))} of them nothing decides which is right. Exact counts, without interval.",
        Effect(float(wrong), "statements contradicted", n=len(claims)),
    )
