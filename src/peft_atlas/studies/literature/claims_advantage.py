"""Takeaway 5 and the closing sentence: LoRA against other methods, in accuracy and parameters."""

from __future__ import annotations

import pandas as pd

from peft_atlas.analysis.finding import POINTS, Effect, Finding
from peft_atlas.studies.literature.check_finding import slug
from peft_atlas.studies.literature.judging import Measured, Verdict, decide, takeaway_claim, would_decide
from peft_atlas.studies.literature.published_tables import LORA, NO_INTERVAL, PublishedTables, both, ordinal
from peft_atlas.studies.literature.recomputation import PERCENT
from peft_atlas.studies.literature.scores import SOURCE, other_schedules

LOREFT = "LoReFT"


def advantage_claims(tables: PublishedTables, measured: Measured) -> list[Finding]:
    """Return the claims of takeaway 5: LoRA against other methods, in accuracy and parameters."""
    balances = [_balance(tables, tasks) for tasks in tables.lora_families]
    return [_loreft(tables), *balances, _wide(tables, balances, measured.get("record_images"))]


def _loreft(tables: PublishedTables) -> Finding:
    """Return whether LoReFT has both higher accuracy and fewer parameters than LoRA in some family of tasks."""
    gaps = [
        (tasks, model, *_gap(group, LOREFT))
        for tasks in tables.lora_families
        for model, group in tables.lora_groups(tasks)
        if LOREFT in group.index
    ]
    better = [gap for gap in gaps if gap[2] > 0 and gap[3] > 1]
    found = [f"{gap:+.1f} points at 1/{times:.0f} of the parameters on {model}" for _, model, gap, times in better]
    others = other_schedules(tables.published)
    shorter = both([f"{row.method} has {row.accuracy_printed} on {row.base_model}" for row in others.itertuples()])
    return takeaway_claim(
        5,
        "loreft_more_efficient",
        "LoReFT is more parameter-efficient than LoRA in some tasks",
        decide(bool(better)),
        f"published: source={SOURCE}, task=Avg, method={LOREFT} and {LORA}; "
        f"published: source={SOURCE}, metric={PERCENT}, method={LOREFT} and {LORA}",
        f"{both(list(dict.fromkeys(gap[0] for gap in better)))}: {both(found)}; {shorter}. {NO_INTERVAL}",
        effect=Effect(min((gap[2] for gap in better), default=None), f"{POINTS}, the smaller gain", n=len(gaps)),
    )


def _gap(group: pd.DataFrame, method: str) -> tuple[float, float]:
    """Return a method's accuracy less LoRA's, and how many times fewer parameters it has."""
    gap = group.loc[method, "accuracy"] - group.loc[LORA, "accuracy"]
    return float(gap), float(group.loc[LORA, "percent"] / group.loc[method, "percent"])


def _balance(tables: PublishedTables, tasks: str) -> Finding:
    """Return whether LoRA is on the Pareto front of every base model in a family of tasks."""
    groups = tables.lora_groups(tasks)
    beaten = [
        (model, group, group.loc[LORA, "dominated_by"]) for model, group in groups if group.loc[LORA, "dominated"]
    ]
    margins = {model: margin for model, group in groups if (margin := _margin(group)) is not None}
    if beaten:
        named = both([f"{by} on {model}" for model, _, by in beaten])
        detail = f"Methods that are better in one respect and no worse in the other: {named}."
    else:
        leads = both([f"{margin:+.1f} points over the next on {model}" for model, margin in margins.items()])
        detail = f"No method has no more parameters and as much accuracy: {leads}."
    return takeaway_claim(
        5,
        f"balance_{slug(tasks)}",
        f"LoRA offers a good balance of accuracy and parameters: on {tasks.lower()} no method beats it in both",
        decide(not beaten),
        tables.averages_of(tasks),
        f"{detail} {NO_INTERVAL}",
        effect=Effect(
            min(margins.values(), default=None),
            f"{POINTS}, LoRA less the best method with no more parameters",
            n=sum(len(group) for _, group in groups),
        ),
    )


def _margin(group: pd.DataFrame) -> float | None:
    """Return LoRA's accuracy less that of the best other method with no more parameters, if there is one."""
    others = group[(group["percent"] <= group.loc[LORA, "percent"]) & (group.index != LORA)]
    return float(group.loc[LORA, "accuracy"] - others["accuracy"].max()) if len(others) else None


def _wide(tables: PublishedTables, balances: list[Finding], images: Finding | None) -> Finding:
    """Return whether LoRA's balance holds in every domain seen; one in which a method beats it in all contradicts that.

    Without a counterexample in another modality it stays undecided: a few domains do not show a wide range.
    """
    domains, families = len(tables.application_verdicts), tables.lora_families
    beaten = images is not None and images.effect is not None and (images.effect.size or 0) > 0
    verdict: Verdict = "contradicted" if beaten else "undecided"
    counts = f"{sum(each.verdict == 'contradicted' for each in balances)} of {len(balances)} families of text tasks"
    seen = f"Of the {domains} domains, accuracy and percentage of several methods were seen for {len(families)}: "
    more = f" A method beats LoRA in both in {counts}." + ("" if images is None else f" Images: {images.detail}")
    evidence = [*map(tables.averages_of, families), "application_verdicts"]
    if images is not None:
        evidence.append(images.evidence)
    decided_by = "" if beaten else f" {would_decide('several methods with equal budgets in each of the domains')}"
    return takeaway_claim(
        5,
        "balance_wide",
        "The balance holds across a wide range of applications",
        verdict,
        "; ".join(evidence),
        f"{seen}{both([tasks.lower() for tasks in families])}.{more}{decided_by}",
        effect=Effect(float(len(families) + (images is not None)), "domains with several methods", n=domains),
    )


def closing_claims(tables: PublishedTables) -> list[Finding]:
    """Return the claims of the closing sentence."""
    return [_among_the_best(tables, tasks) for tasks in tables.lora_families]


def _among_the_best(tables: PublishedTables, tasks: str) -> Finding:
    """Return whether LoRA is in the upper half of every base model's ranking by accuracy."""
    places = [(model, _place(group), len(group)) for model, group in tables.lora_groups(tasks)]
    listed = both([f"{ordinal(place)} of {n} on {model}" for model, place, n in places])
    return takeaway_claim(
        "closing sentence",
        f"among_the_best_{slug(tasks)}",
        f"LoRA is one of the most effective methods: in the upper half by accuracy on {tasks.lower()}",
        decide(all(2 * place <= n for _, place, n in places)),
        tables.averages_of(tasks),
        f"It is {listed}. {NO_INTERVAL}",
        effect=Effect(
            float(max(place for _, place, _ in places)), "place by accuracy, the worse", n=sum(n for *_, n in places)
        ),
    )


def _place(group: pd.DataFrame) -> int:
    """Return LoRA's place by accuracy; a method with equal accuracy does not push it down."""
    return 1 + int((group["accuracy"] > group.loc[LORA, "accuracy"]).sum())
