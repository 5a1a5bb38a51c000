"""Which method published numbers favour, what LoRA costs, and which published statements do not hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from peft_atlas.analysis.finding import ATLAS, POINTS, SEED_NOTEBOOK, Effect, Finding
from peft_atlas.studies.literature.jobs import NAME
from peft_atlas.studies.literature.memory_findings import peak_in_words, step_in_words
from peft_atlas.studies.literature.published_tables import (
    LORA,
    NO_INTERVAL,
    PublishedTables,
    both,
    gigabytes,
)
from peft_atlas.studies.literature.scores import SOURCE


def published_answers(tables: PublishedTables, judged: Sequence[Finding]) -> list[Finding]:
    """Return the answers on the published tables.

    Parameters
    ----------
    tables
        The result tables.
    judged
        Every claim of the run, and the checks of the published tables, which the last answer counts.
    """
    return [_best(tables), _cost(tables), _holds(judged)]


def _best(tables: PublishedTables) -> Finding:
    """Return the method with the highest published accuracy in each family of tasks."""
    families = tables.families
    leads = [_lead(group) for family in families for _, group in tables.groups(family)]
    return Finding(
        "answer",
        "published_best",
        NAME,
        "Which method do the published numbers favour?",
        ATLAS,
        "printed",
        f"published: source={SOURCE}, task=Avg, metric=accuracy_percent",
        f"{' '.join(_chosen(tables, family) for family in families)} {NO_INTERVAL}",
        effect=Effect(min(leads), f"{POINTS}, smallest lead over the next method", n=len(tables.scores)),
    )


def _lead(group: pd.DataFrame) -> float:
    return float(group["accuracy"].iloc[0] - group["accuracy"].iloc[1]) if len(group) > 1 else 0.0


def _chosen(tables: PublishedTables, family: str) -> str:
    """Return the best method of each base model in a sentence."""
    words = []
    for model, group in tables.groups(family):
        best = group.iloc[0]
        words.append(f"{best.name} on {model} ({best['accuracy_printed']} %, {_lead(group):+.1f} over the next)")
    return f"{family}: {both(words)}."


def _cost(tables: PublishedTables) -> Finding:
    """Return what LoRA trains of LLaMA, recomputed, with the bytes that takes."""
    rows = tables.lora_counts()
    counts = [
        f"{r.trainable_params:,} parameters of {r.base_model} ({r.percent_with_adapter:.3f} %)"
        for r in rows.itertuples()
    ]
    memory = tables.training_bytes()
    lora = memory[(memory["method"] == LORA) & memory["base_model"].isin(tables.models)]
    peaks = [peak_in_words(row) for _, row in lora.iterrows()]
    return Finding(
        "answer",
        "published_cost",
        NAME,
        "What does LoRA cost on LLaMA?",
        ATLAS,
        "recomputed",
        "parameters: method=LoRA; memory: method=LoRA, precision=bf16_mixed",
        f"With {both(list(dict.fromkeys(rows['setting'])))} LoRA trains {both(counts)}; weights, gradients and "
        f"optimiser states take {both(list(map(gigabytes, lora['total_bytes'])))} in bf16 mixed precision. With "
        f"activations, a step of {step_in_words(lora)} is predicted to peak at {both(peaks)}.",
        effect=Effect(
            float(rows["percent_with_adapter"].max()), "percent of the model's parameters, the largest", n=len(rows)
        ),
    )


def _holds(judged: Sequence[Finding]) -> Finding:
    """Return how many claims and checks of sources fail, and which claims about publications."""
    checks = [finding for finding in judged if finding.kind == "check"]
    of_sources = [finding for finding in checks if finding.source != ATLAS]
    failing = sum(finding.verdict == "fail" for finding in of_sources)
    claims = [finding for finding in judged if finding.kind == "claim" and finding.source.startswith(SEED_NOTEBOOK)]
    wrong = [finding for finding in claims if finding.verdict == "contradicted"]
    # A claim that was tested on a network of this run says little about the literature.
    published = [f for f in wrong if f.study == NAME and not f.evidence.startswith("findings: kind=answer")]
    listed = "; ".join(finding.statement for finding in published) or "none"
    return Finding(
        "answer",
        "literature_holds",
        NAME,
        "Which published statements do not hold?",
        ATLAS,
        "recomputed",
        f"findings: kind=claim; findings: kind=check, study={NAME}",
        f"Of {len(claims)} testable statements of the notebook that this project set out to check "
        f"{_counted(claims)}. Contradicted by published or recomputed numbers: {listed}."
        f"{_by_own_runs(wrong, published)} {failing} of {len(of_sources)} checks of the published tables and of the "
        "notebook's quotations fail.",
        effect=Effect(float(len(wrong)), "statements contradicted", n=len(claims)),
    )


def _by_own_runs(wrong: Sequence[Finding], published: Sequence[Finding]) -> str:
    """Return how many statements are contradicted on networks of this run alone."""
    others = [finding.statement for finding in wrong if finding not in published]
    return f" On small networks of this run alone: {'; '.join(others)}." if others else ""


def _counted(claims: Sequence[Finding]) -> str:
    """Return how many claims have each verdict."""
    counts = Counter(finding.verdict for finding in claims)
    words = {"supported": "supported", "contradicted": "contradicted", "undecided": "undecided"}
    words["not_testable"] = "not testable with the numbers printed"
    return both([f"{counts[verdict]} are {said}" for verdict, said in words.items() if counts[verdict]])
