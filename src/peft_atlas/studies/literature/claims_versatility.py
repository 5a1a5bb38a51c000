"""Takeaway 4, versatility: domains of application."""

from __future__ import annotations

from peft_atlas.analysis.evidence import select
from peft_atlas.analysis.finding import Effect, Finding
from peft_atlas.studies.literature.check_finding import slug
from peft_atlas.studies.literature.families import COMMONSENSE
from peft_atlas.studies.literature.judging import decide, takeaway_claim, would_decide
from peft_atlas.studies.literature.published_tables import LORA, PublishedTables, both, of_other_sources
from peft_atlas.studies.literature.recomputation import PERCENT
from peft_atlas.studies.literature.scores import SEED

# Takeaway 4 names these; the spelling is that of the published tables.
NAMED_DOMAINS = (COMMONSENSE, "Medical Imaging", "Protein Models", "Speech Synthesis")
_RESULT = "a result of LoRA there, with or without another method to compare with"


def versatility_claims(tables: PublishedTables) -> list[Finding]:
    """Return the claims of takeaway 4: domains of application, and LoRA's overhead in them."""
    return [*(_applied(tables, domain) for domain in NAMED_DOMAINS), _overhead(tables)]


def _applied(tables: PublishedTables, domain: str) -> Finding:
    """Return whether a source other than the seed notebook prints a number of LoRA in a domain.

    A name without a number shows that LoRA was implemented there, not that it was applied with a result.
    """
    lora = of_other_sources(tables.published)
    rows = lora[lora["task"].str.startswith(domain) | (lora["family"] == domain)]
    numbers = int(rows["value"].notna().sum())
    if numbers:
        detail = f"{numbers} numbers of LoRA are printed by {both(sorted(rows['source'].unique()))}."
    elif len(rows):
        sources, notes = both(sorted(rows["source"].unique())), both(list(rows["note"]))
        detail = f"Implemented, not shown: named without a number by {sources}: {notes}. {would_decide(_RESULT)}"
    else:
        detail = f"No source that was seen uses LoRA there. {would_decide(_RESULT)}"
    return takeaway_claim(
        4,
        f"applied_{slug(domain)}",
        f"LoRA has been applied to {domain.lower()}",
        "supported" if numbers else "undecided",
        select("published", rows, ("method", "table", "task", "source")) if len(rows) else f"published: task={domain}",
        detail,
        effect=Effect(None, n=len(rows)),
    )


def _overhead(tables: PublishedTables) -> Finding:
    """Return whether recomputed percentages of LoRA lie in the range that the seed notebook gives."""
    seed = tables.exact[(tables.exact["table"] == "applications") & (tables.exact["source"] == SEED)]["value"]
    known = _recomputed_percentages(tables)
    inside = [name for name, value in known if seed.min() <= value <= seed.max()]
    listed = ", ".join(f"{name} {value:.3g} %" for name, value in sorted(known, key=lambda pair: pair[1]))
    return takeaway_claim(
        4,
        "overhead_consistent",
        f"LoRA's overhead is consistently {seed.min():g} to {seed.max():g} % across domains",
        decide(len(inside) == len(known)),
        f"parameters: method=LoRA; published: metric={PERCENT}, seen=recomputed; application_verdicts: status",
        f"{len(inside)} of {len(known)} recomputed percentages lie there: {listed}. The range follows from the choice "
        "of rank and modules; it is not a property of LoRA.",
        effect=Effect(float(len(inside)), "percentages within the range", n=len(known)),
    )


def _recomputed_percentages(tables: PublishedTables) -> list[tuple[str, float]]:
    """Return each recomputed percentage of LoRA, with a name of what it is a percentage of."""
    counted = tables.counts[tables.counts["method"] == LORA].drop_duplicates("base_model")
    here = [(str(row.base_model), float(row.percent_with_adapter)) for row in counted.itertuples()]
    others = of_other_sources(tables.exact)
    others = others[(others["metric"] == PERCENT) & (others["seen"] == "recomputed")]
    return here + [(f"{row.task}, r = {row.rank}", float(row.value)) for row in others.itertuples()]
