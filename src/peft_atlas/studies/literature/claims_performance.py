"""Takeaway 2, performance: accuracy of LoRA against full fine-tuning."""

from __future__ import annotations

from peft_atlas.analysis.finding import Effect, Finding
from peft_atlas.studies.literature.families import AVERAGE
from peft_atlas.studies.literature.judging import (
    SINGLE_RUNS,
    Measured,
    from_measured,
    measured_effect,
    not_inferior,
    takeaway_claim,
    would_decide,
)
from peft_atlas.studies.literature.published_tables import FULL, PublishedTables, both

_SEEDS = "both with several seeds in one software version, each with a tuned rate"


def performance_claims(tables: PublishedTables, measured: Measured, margin: float | None) -> list[Finding]:
    """Return the claims of takeaway 2: accuracy against full fine-tuning."""
    gain = measured.get("notebook_gain")
    return [
        _against_full_published(tables, measured.get("record_against_full"), margin),
        _against_full_protein(tables),
        from_measured(
            2,
            "no_worse_than_full_notebook",
            "On the notebook's network LoRA reaches the full model's accuracy",
            gain,
            not_inferior(measured_effect(gain), margin),
            f"{_judged(margin)} The frozen base there is random, so this is not fine-tuning.",
        ),
    ]


def _judged(margin: float | None) -> str:
    """Return how the difference was judged."""
    within = "" if margin is None else f" within {margin:g} point"
    return f"Judged as non-inferiority{within}."


def _against_full_published(tables: PublishedTables, answer: Finding | None, margin: float | None) -> Finding:
    """Return whether LoRA reaches full fine-tuning on LLaMA, by published runs of both in one benchmark."""
    statement = "On LLaMA LoRA is comparable to full fine-tuning"
    if answer is not None:
        verdict = not_inferior(answer.effect, margin)
        more = f" {would_decide(_SEEDS)}" if verdict == "undecided" else ""
        return from_measured(2, "comparable_llama", statement, answer, verdict, f"{_judged(margin)}{more}")
    rows = tables.exact[(tables.exact["task"] == AVERAGE) & (tables.exact["metric"] == "accuracy_percent")]
    full = rows[rows["method"].str.contains(FULL, case=False)]
    return takeaway_claim(
        2,
        "comparable_llama",
        statement,
        "undecided",
        "published: task=Avg, metric=accuracy_percent, method",
        f"{len(full)} of the {len(rows)} published averages are of full fine-tuning, so there is nothing to compare "
        f"LoRA with. {would_decide(_SEEDS)}",
        effect=Effect(None, n=len(full)),
    )


def _against_full_protein(tables: PublishedTables) -> Finding:
    pairs = tables.full_pairs()
    listed = [f"{row.gap:+.3f} on {row.task} ({row.printed} for {row.printed_full})" for row in pairs.itertuples()]
    return takeaway_claim(
        2,
        "comparable_protein",
        "On protein tasks LoRA is comparable to full fine-tuning",
        "undecided",
        "published: table=applications, method=LoRA and full fine-tuning",
        f"Validation AUPR of LoRA less full fine-tuning: {both(listed)}. {SINGLE_RUNS} "
        "They are from logs, not from a paper, and the claim gives no margin. "
        f"{would_decide('several seeds of both on the test sets, with a margin set beforehand')}",
        effect=Effect(float(pairs["gap"].min()), "validation AUPR, the lowest", n=len(pairs)),
    )
