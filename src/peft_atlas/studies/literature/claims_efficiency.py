"""Takeaway 1, parameter efficiency: parameters, memory and time of LoRA against full fine-tuning."""

from __future__ import annotations

from collections.abc import Iterator

from peft_atlas.analysis.finding import Effect, Finding
from peft_atlas.studies.literature.claims_speed import faster_claim
from peft_atlas.studies.literature.judging import Measured, decide, takeaway_claim
from peft_atlas.studies.literature.memory_findings import Saving, predicted_saving, step_in_words
from peft_atlas.studies.literature.published_tables import (
    FULL,
    LORA,
    PublishedTables,
    both,
    of_other_sources,
)
from peft_atlas.studies.literature.recomputation import PERCENT

ONE_PERCENT = 1.0


def efficiency_claims(tables: PublishedTables, measured: Measured) -> list[Finding]:
    """Return the claims of takeaway 1: parameters, memory and time."""
    return [
        _below_one_percent(tables),
        *_below_one_percent_here(measured),
        _less_memory(tables, measured.get("encoder_memory")),
        faster_claim(tables, measured),
    ]


def _below_one_percent(tables: PublishedTables) -> Finding:
    rows = tables.counts[tables.counts["method"] == LORA]
    models = list(dict.fromkeys(rows["base_model"]))
    counted = both(
        [f"{row.percent_with_adapter:.3f} % of {row.base_model} ({row.setting})" for row in rows.itertuples()]
    )
    others = of_other_sources(tables.exact)
    others = others[
        (others["metric"] == PERCENT) & ~others["base_model"].isin(models) & (others["value"] >= ONE_PERCENT)
    ]
    elsewhere = both([f"{row.printed} % on {row.task} ({row.note})" for row in others.itertuples()])
    return takeaway_claim(
        1,
        "below_one_percent",
        f"LoRA trains less than 1 % of the parameters of {both(models)}",
        decide(bool((rows["percent_with_adapter"] < ONE_PERCENT).all())),
        "parameters: method=LoRA, percent_with_adapter",
        f"Recomputed in the configurations that are documented: {counted}. Not below 1 % elsewhere: {elsewhere}.",
        effect=Effect(
            float(rows["percent_with_adapter"].max()), "percent of the model's parameters, the largest", n=len(rows)
        ),
    )


def _below_one_percent_here(measured: Measured) -> Iterator[Finding]:
    answer = measured.get("notebook_cost")
    if answer is None or answer.effect is None or answer.effect.size is None:
        return
    yield takeaway_claim(
        1,
        "below_one_percent_notebook",
        "LoRA trains less than 1 % of the parameters of the notebook's own network",
        decide(answer.effect.size < ONE_PERCENT),
        f"findings: kind=answer, id={answer.id}; {answer.evidence}",
        answer.detail or "",
        effect=answer.effect,
    )


def _less_memory(tables: PublishedTables, measured: Finding | None) -> Finding:
    """Return whether LoRA needs less memory, by what was measured on one GPU, and by what is predicted."""
    pairs, saving = _memory_pairs(tables), Saving.of(tables.predictions)
    at_most = max(full / lora for _, full, lora in pairs)
    training = tables.training_bytes()
    seen = f" Measured: {measured.detail}" if measured is not None and measured.detail else ""
    also = f"; findings: kind=answer, id={measured.id}" if measured is not None else ""
    return takeaway_claim(
        1,
        "less_memory",
        "LoRA needs less memory to train than full fine-tuning, in every setting that was measured with both",
        decide(saving.always),
        f"predictions: method=lora, measured_gb, full_gb; memory: method=full and LoRA, precision=bf16_mixed, "
        f"peak_bytes{also}",
        f"{saving.in_words} Predicted for bf16 mixed precision at {step_in_words(training)}, activations included: "
        f"{'; '.join(predicted_saving(training))}. Without activations, which both need, it would be up to "
        f"{at_most:.1f} times less.{seen}",
        effect=saving.effect,
    )


def _memory_pairs(tables: PublishedTables) -> list[tuple[str, float, float]]:
    """Return, for each base model, the bytes of full fine-tuning and of LoRA in bf16 mixed precision."""
    rows = tables.training_bytes()
    totals = rows.set_index(["base_model", "method"])["total_bytes"]
    models = rows.loc[rows["method"] == LORA, "base_model"]
    return [(model, float(totals[model, FULL]), float(totals[model, LORA])) for model in models]
