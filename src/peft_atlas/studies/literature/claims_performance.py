"""Takeaway 2, performance: accuracy of LoRA against full fine-tuning."""

from __future__ import annotations

from peft_atlas.analysis.finding import Effect, Finding
from peft_atlas.studies.literature.judging import (
    SINGLE_RUNS,
    Measured,
    from_measured,
    measured_effect,
    not_inferior,
    takeaway_claim,
)
from peft_atlas.studies.literature.printed_rows import AVERAGE
from peft_atlas.studies.literature.published_tables import FULL, PublishedTables, both


def performance_claims(tables: PublishedTables, measured: Measured, margin: float | None) -> list[Finding]:
    """Return the claims of takeaway 2: accuracy against full fine-tuning."""
    gain = measured.get("notebook_gain")
    return [
        _against_full_published(tables),
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
    within = "" if margin is None else f" within {margin:g} point"
    return f"Judged as non-inferiority{within}."


def _against_full_published(tables: PublishedTables) -> Finding:
    rows = tables.exact[(tables.exact["task"] == AVERAGE) & (tables.exact["metric"] == "accuracy_percent")]
    full = rows[rows["method"].str.contains(FULL, case=False)]
    return takeaway_claim(
        2,
        "comparable_llama",
        "On LLaMA LoRA is comparable to full fine-tuning",
        "undecided",
        "published: task=Avg, metric=accuracy_percent, method",
        f"{len(full)} of the {len(rows)} published averages are of full fine-tuning, so there is nothing to compare "
        "LoRA with.",
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
        "They are from logs, not from a paper, and the claim gives no margin.",
        effect=Effect(float(pairs["gap"].min()), "validation AUPR, the lowest", n=len(pairs)),
    )
