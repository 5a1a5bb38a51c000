"""Takeaway 6, transformers: LoRA in transformers, and on a choice of modules."""

from __future__ import annotations

from collections.abc import Iterator

from peft_atlas.analysis.evidence import select
from peft_atlas.analysis.finding import Effect, Finding
from peft_atlas.studies.literature.judging import Measured, above_zero, from_measured, takeaway_claim, would_decide
from peft_atlas.studies.literature.published_tables import LORA, PublishedTables, both, of_other_sources


def transformer_claims(tables: PublishedTables, measured: Measured) -> list[Finding]:
    """Return the claims of takeaway 6: LoRA in transformers, and on a choice of modules."""
    rows, modules = of_other_sources(tables.exact), measured.get("encoder_modules")
    models = sorted(rows["base_model"].unique())
    return [
        takeaway_claim(
            6,
            "suited_to_transformers",
            "LoRA is particularly well suited to transformers",
            "undecided",
            "published: method=LoRA, base_model",
            f"Numbers of LoRA were seen for {both(models)}; none is compared with LoRA on a network of another kind. "
            f"{would_decide('transformers and other networks of one size on one task, both adapted with LoRA')}",
            effect=Effect(None, n=len(models)),
        ),
        _selective(tables, modules),
        _selective_gain(tables, modules),
        *_selective_published(measured.get("record_modules")),
    ]


def _selective(tables: PublishedTables, measured: Finding | None) -> Finding:
    """Return whether LoRA was attached to the attention modules alone, counted both ways, and trained there."""
    rows = tables.parameters[(tables.parameters["method"] == LORA)]
    rows = rows[rows["setting"].str.contains("query, key, value") & rows["setting"].str.contains("apart")]
    counts, ways = set(rows["trainable_params"]), sorted(rows["way"])
    # What training there gave is the next claim's effect; that it trains at all is all that this one needs.
    trained = "" if measured is None else " The encoder study trains it there (answer encoder_modules)."
    number = ", ".join(f"{count:,}" for count in sorted(counts))
    return takeaway_claim(
        6,
        "selective_modules",
        "LoRA can be applied to query, key and value alone",
        "supported" if len(ways) > 1 and len(counts) == 1 else "undecided",
        select("parameters", rows, ("method", "base_model")) if len(rows) else "parameters: method=LoRA",
        f"On {both(sorted(rows['base_model'].unique()))} it trains {number} parameters there, counted as "
        f"{both([way.replace('_', ' ') for way in ways])}.{trained}",
        effect=Effect(float(min(counts)) if counts else None, "parameters", n=len(ways)),
    )


def _negated(effect: Effect | None) -> Effect | None:
    if effect is None or effect.size is None or effect.low is None or effect.high is None:
        return None
    return Effect(-effect.size, effect.unit, -effect.high, -effect.low)


def _selective_gain(tables: PublishedTables, measured: Finding | None) -> Finding:
    """Return whether a choice of modules is better than all of them, by what was measured."""
    statement = "Choosing modules improves the trade-off of accuracy and parameters"
    if measured is not None:
        # The answer is LoRA on more modules less LoRA on fewer, so that a choice improves where that is below 0.
        verdict = above_zero(_negated(measured.effect))
        return from_measured(6, "selective_improves", statement, measured, verdict)
    settings = list(dict.fromkeys(tables.lora_counts()["setting"]))
    return takeaway_claim(
        6,
        "selective_improves",
        statement,
        "undecided",
        "parameters: method=LoRA, setting; published: method=LoRA, task=Avg",
        f"All published accuracies of LoRA on LLaMA are documented for one choice of modules ({both(settings)}), "
        "and no answer of this run compares choices. "
        f"{would_decide('several choices with equal parameters, several seeds each')}",
        effect=Effect(None, n=len(settings)),
    )


def _selective_published(answer: Finding | None) -> Iterator[Finding]:
    """Return whether a choice of modules gains accuracy at equal parameters on LLaMA, by published runs of both."""
    if answer is not None:
        statement = "On LLaMA choosing modules improves accuracy at equal parameters: the MLP above query and value"
        yield from_measured(6, "selective_improves_llama", statement, answer, above_zero(answer.effect))
