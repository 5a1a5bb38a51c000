"""The notebook's six takeaways and its closing sentence, split into statements that the tables can test.

A statement is supported or contradicted by rows, or cannot be decided from what was seen; the quotations stand in
`peft_atlas.studies.literature.quotations`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Literal

import pandas as pd
import scipy

from peft_atlas.analysis.evidence import select
from peft_atlas.analysis.finding import POINTS, SEED_NOTEBOOK, Effect, Finding
from peft_atlas.studies.literature.checks import slug
from peft_atlas.studies.literature.jobs import NAME
from peft_atlas.studies.literature.printed_rows import AVERAGE
from peft_atlas.studies.literature.published_tables import (
    FULL,
    LORA,
    NO_INTERVAL,
    PublishedTables,
    both,
    gigabytes,
    ordinal,
)
from peft_atlas.studies.literature.quotations import quotation_claims
from peft_atlas.studies.literature.recomputation import PERCENT
from peft_atlas.studies.literature.scores import COMMONSENSE, SEED, SOURCE, family, other_schedules

Measured = Mapping[str, Finding]
Verdict = Literal["supported", "contradicted", "undecided"]
ONE_PERCENT = 1.0
LOREFT = "LoReFT"
# Level of the one test that is done on printed numbers.
_LEVEL = 0.05
# Takeaway 4 names these; the spelling is that of the published tables.
NAMED_DOMAINS = (COMMONSENSE, "Medical Imaging", "Protein Models", "Speech Synthesis")
_OF_TIME = re.compile(r"second|minute|hour|time|speed|throughput", re.IGNORECASE)
_OWN_WORDS = ("quoted_by_seed", "memory")


def claims(tables: PublishedTables, measured: Measured) -> list[Finding]:
    """Return every statement of section 8 and of the quotations with its verdict.

    Parameters
    ----------
    tables
        The result tables.
    measured
        The answers of the notebook study by id; where one is missing, its claims are undecided.
    """
    return [
        *_efficiency(tables, measured),
        *_trade_off(tables, measured),
        *_sensitivity(tables, measured),
        *_versatility(tables),
        *_advantage(tables),
        *_transformers(tables),
        *_closing(tables),
        *quotation_claims(tables),
    ]


def _claim(
    number: int | str,
    name: str,
    statement: str,
    verdict: Verdict,
    evidence: str,
    detail: str,
    effect: Effect | None = None,
) -> Finding:
    where = f"takeaway {number}" if isinstance(number, int) else number
    return Finding(
        "claim",
        name,
        NAME,
        statement,
        f"{SEED_NOTEBOOK}, section 8, {where}",
        verdict,
        evidence,
        detail,
        effect=effect,
    )


def _decide(holds: bool) -> Verdict:
    return "supported" if holds else "contradicted"


def _direction(effect: Effect | None) -> Verdict:
    """Return what an interval says of a positive effect; without one, nothing is decided."""
    if effect is None or effect.low is None or effect.high is None or effect.low <= 0 <= effect.high:
        return "undecided"
    return _decide(effect.low > 0)


def _from_measured(number: int, name: str, statement: str, answer: Finding | None, caveat: str = "") -> Finding:
    """Return a claim of a positive effect that rests on a measured answer, judged by its interval."""
    if answer is None:
        missing = "No measured answer to it is among the findings given."
        return _claim(number, name, statement, "undecided", "findings: kind=answer", missing, effect=Effect(None, n=0))
    return _claim(
        number,
        name,
        statement,
        _direction(answer.effect),
        f"findings: kind=answer, id={answer.id}; {answer.evidence}",
        f"{answer.detail or ''} {caveat}".strip(),
        effect=answer.effect,
    )


# --- 1: parameter efficiency ---------------------------------------------------------------------------------------


def _efficiency(tables: PublishedTables, measured: Measured) -> list[Finding]:
    return [
        _below_one_percent(tables),
        *_below_one_percent_here(measured),
        _less_memory(tables),
        _faster(tables),
    ]


def _below_one_percent(tables: PublishedTables) -> Finding:
    rows = tables.counts[tables.counts["method"] == LORA]
    models = list(dict.fromkeys(rows["base_model"]))
    told = both([f"{row.percent_with_adapter:.3f} % of {row.base_model} ({row.setting})" for row in rows.itertuples()])
    others = _of_others(tables)
    others = others[
        (others["metric"] == PERCENT) & ~others["base_model"].isin(models) & (others["value"] >= ONE_PERCENT)
    ]
    elsewhere = both([f"{row.printed} % on {row.task} ({row.note})" for row in others.itertuples()])
    return _claim(
        1,
        "below_one_percent",
        f"LoRA trains less than 1 % of the parameters of {both(models)}",
        _decide(bool((rows["percent_with_adapter"] < ONE_PERCENT).all())),
        "parameters: method=LoRA, percent_with_adapter",
        f"Recomputed in the configurations that are documented: {told}. Not below 1 % elsewhere: {elsewhere}.",
        effect=Effect(
            float(rows["percent_with_adapter"].max()), "percent of the model's parameters, the largest", n=len(rows)
        ),
    )


def _below_one_percent_here(measured: Measured) -> Iterator[Finding]:
    answer = measured.get("notebook_cost")
    if answer is None or answer.effect is None or answer.effect.size is None:
        return
    yield _claim(
        1,
        "below_one_percent_notebook",
        "LoRA trains less than 1 % of the parameters of the notebook's own network",
        _decide(answer.effect.size < ONE_PERCENT),
        f"findings: kind=answer, id={answer.id}; {answer.evidence}",
        answer.detail or "",
        effect=answer.effect,
    )


def _less_memory(tables: PublishedTables) -> Finding:
    pairs = _memory_pairs(tables)
    told = [f"{gigabytes(full)} against {gigabytes(lora)} on {model}" for model, full, lora in pairs]
    return _claim(
        1,
        "less_memory",
        "LoRA needs less memory to train than full fine-tuning",
        _decide(all(lora < full for _, full, lora in pairs)),
        "memory: method=full and LoRA, precision=bf16_mixed, total_bytes",
        f"Weights, gradients and optimiser states in bf16 mixed precision: {both(told)}. Activations are left out.",
        effect=Effect(min(full / lora for _, full, lora in pairs), "times less, the smallest", n=len(pairs)),
    )


def _memory_pairs(tables: PublishedTables) -> list[tuple[str, float, float]]:
    """Return, for each base model, the bytes of full fine-tuning and of LoRA in bf16 mixed precision."""
    rows = tables.training_bytes()
    totals = rows.set_index(["base_model", "method"])["total_bytes"]
    models = rows.loc[rows["method"] == LORA, "base_model"]
    return [(model, float(totals[model, FULL]), float(totals[model, LORA])) for model in models]


def _faster(tables: PublishedTables) -> Finding:
    metrics = sorted(tables.published["metric"].unique())
    times = [metric for metric in metrics if _OF_TIME.search(metric)]
    return _claim(
        1,
        "faster_training",
        "LoRA trains faster than full fine-tuning",
        "undecided",
        "published: metric",
        f"Of the {len(metrics)} metrics transcribed {len(times)} are times ({', '.join(metrics)}), and the costs table "
        "has times of jobs, in which methods train together.",
        effect=Effect(None, n=len(times)),
    )


# --- 2: performance ------------------------------------------------------------------------------------------------


def _trade_off(tables: PublishedTables, measured: Measured) -> list[Finding]:
    return [
        _against_full_published(tables),
        _against_full_protein(tables),
        _from_measured(
            2,
            "no_worse_than_full_notebook",
            "On the notebook's network LoRA reaches the full model's accuracy",
            measured.get("notebook_gain"),
            "The frozen base there is random, so this is not fine-tuning.",
        ),
    ]


def _against_full_published(tables: PublishedTables) -> Finding:
    rows = tables.exact[(tables.exact["task"] == AVERAGE) & (tables.exact["metric"] == "accuracy_percent")]
    full = rows[rows["method"].str.contains(FULL, case=False)]
    return _claim(
        2,
        "comparable_llama",
        "On LLaMA LoRA is comparable to full fine-tuning",
        "undecided",
        "published: task=Avg, metric=accuracy_percent, method",
        f"{len(full)} of the {len(rows)} published averages are of full fine-tuning: there is nothing to compare with.",
        effect=Effect(None, n=len(full)),
    )


def _against_full_protein(tables: PublishedTables) -> Finding:
    pairs = tables.full_pairs()
    told = [f"{row.gap:+.3f} on {row.task} ({row.printed} for {row.printed_full})" for row in pairs.itertuples()]
    return _claim(
        2,
        "comparable_protein",
        "On protein tasks LoRA is comparable to full fine-tuning",
        "undecided",
        "published: table=applications, method=LoRA and full fine-tuning",
        f"Validation AUPR of LoRA less full fine-tuning: {both(told)}. One run each, from logs, not a paper: "
        "two runs give no interval, and the claim gives no margin.",
        effect=Effect(float(pairs["gap"].min()), "validation AUPR, the lowest", n=len(pairs)),
    )


# --- 3: sensitivity ------------------------------------------------------------------------------------------------


def _sensitivity(tables: PublishedTables, measured: Measured) -> list[Finding]:
    return [
        _from_measured(3, "rank_matters", "LoRA's accuracy depends on the rank", measured.get("notebook_rank")),
        _from_measured(3, "alpha_matters", "LoRA's accuracy depends on alpha", measured.get("notebook_alpha")),
        _from_measured(
            3,
            "higher_rank_measured",
            "Higher ranks give higher accuracy on the notebook's network",
            measured.get("notebook_rank_trend"),
        ),
        *_rank_sweep(tables),
        _rank_costs(tables),
    ]


def _rank_sweep(tables: PublishedTables) -> Iterator[Finding]:
    """Return, for each published sweep over ranks, whether accuracy rises with every step, and whether it does at all.

    The takeaway says "generally", which both readings of it are tried on.
    """
    rows = tables.exact[(tables.exact["task"] == AVERAGE) & tables.exact["rank"].notna()]
    for (source, model, method), sweep in rows.groupby(["source", "base_model", "method"], sort=False):
        ordered = sweep.sort_values("rank")
        if len(ordered) < 3:
            continue
        yield _one_sweep(str(source), str(model), str(method), ordered)
        yield _one_trend(str(source), str(model), str(method), ordered)


def _one_sweep(source: str, model: str, method: str, sweep: pd.DataFrame) -> Finding:
    steps = sweep["value"].diff().dropna()
    best, last = sweep.loc[sweep["value"].idxmax()], sweep.iloc[-1]
    told = ", ".join(f"{row.printed} at {row.rank}" for row in sweep.itertuples())
    rates = ", ".join(dict.fromkeys(sweep["note"].dropna()))
    return _claim(
        3,
        f"higher_rank_{slug(method)}_{slug(model)}",
        f"With every higher rank {method} is more accurate on {model}, in the sweep that {source} prints",
        _decide(bool((steps > 0).all())),
        select("published", sweep, ("source", "base_model", "method", "task", "rank")),
        f"{told}: {int((steps > 0).sum())} of {len(steps)} steps rise; the best is rank {best['rank']}, and rank "
        f"{last['rank']} is {last['value'] - best['value']:+.1f} points from it. {NO_INTERVAL} ({rates})",
        effect=Effect(float(last["value"] - best["value"]), f"{POINTS}, highest rank less best", n=len(sweep)),
    )


def _one_trend(source: str, model: str, method: str, sweep: pd.DataFrame) -> Finding:
    """Return whether accuracy and rank go together over a sweep, by Kendall's tau with its exact test."""
    test = scipy.stats.kendalltau(sweep["rank"].astype(float), sweep["value"])
    tau, p = float(test.statistic), float(test.pvalue)
    return _claim(
        3,
        f"rank_trend_{slug(method)}_{slug(model)}",
        f"Higher ranks go with higher accuracy of {method} on {model}, over the whole sweep that {source} prints",
        _decide(tau > 0) if p < _LEVEL else "undecided",
        select("published", sweep, ("source", "base_model", "method", "task", "rank")),
        f"Kendall's tau of rank and accuracy is {tau:+.2f} over {len(sweep)} ranks, a single run each (two-sided "
        f"p = {p:.2g}); {_LEVEL:g} is the level. {NO_INTERVAL}",
        effect=Effect(tau, "Kendall's tau", n=len(sweep)),
    )


def _rank_costs(tables: PublishedTables) -> Finding:
    """Return whether percentages printed at two ranks, all else equal, grow with the rank."""
    rows = tables.exact[(tables.exact["metric"] == PERCENT) & tables.exact["rank"].notna()]
    keys = ["source", "base_model", "method", "task"]
    pairs = rows.merge(rows, on=keys, suffixes=("", "_higher"))
    pairs = pairs[pairs["rank"] < pairs["rank_higher"]]
    told = [
        f"{row.printed} % at rank {row.rank}, {row.printed_higher} % at {row.rank_higher}" for row in pairs.itertuples()
    ]
    growth = pairs["value_higher"] / pairs["value"]
    return _claim(
        3,
        "higher_rank_costs",
        "Higher ranks cost more parameters",
        _decide(bool((growth > 1).all())) if len(pairs) else "undecided",
        select("published", pairs, ("source", "task", "metric")) + ", rank"
        if len(pairs)
        else f"published: metric={PERCENT}",
        f"{both(told)}: LoRA's count is a multiple of the rank.",
        effect=Effect(float(growth.min()) if len(pairs) else None, "times", n=len(pairs)),
    )


# --- 4: versatility ------------------------------------------------------------------------------------------------


def _versatility(tables: PublishedTables) -> list[Finding]:
    return [*(_applied(tables, domain) for domain in NAMED_DOMAINS), _overhead(tables)]


def _applied(tables: PublishedTables, domain: str) -> Finding:
    """Return whether a source other than the seed prints a number of LoRA in a domain."""
    lora = _seen_of_others(tables.published)
    keys = zip(lora["table"], lora["task"], strict=True)
    rows = lora[[task.startswith(domain) or family(table, task) == domain for table, task in keys]]
    if rows["value"].notna().any():
        detail = (
            f"{rows['value'].notna().sum()} numbers of LoRA are printed by {both(sorted(rows['source'].unique()))}."
        )
    elif len(rows):
        detail = f"Named without a number by {both(sorted(rows['source'].unique()))}: {both(list(rows['note']))}."
    else:
        detail = "No source seen gives LoRA there."
    return _claim(
        4,
        f"applied_{slug(domain)}",
        f"LoRA has been applied to {domain.lower()}",
        "supported" if len(rows) else "undecided",
        select("published", rows, ("method", "table", "task", "source")) if len(rows) else f"published: task={domain}",
        detail,
        effect=Effect(None, n=len(rows)),
    )


def _of_others(tables: PublishedTables) -> pd.DataFrame:
    """Return the numbers of LoRA that were seen in, or follow from, a source other than the seed."""
    return _seen_of_others(tables.exact)


def _seen_of_others(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of LoRA that were seen in, or follow from, a source other than the seed."""
    return rows[(rows["method"] == LORA) & (rows["source"] != SEED) & ~rows["seen"].isin(_OWN_WORDS)]


def _overhead(tables: PublishedTables) -> Finding:
    """Return whether recomputed percentages of LoRA lie in the range that the seed gives."""
    seed = tables.exact[(tables.exact["table"] == "applications") & (tables.exact["source"] == SEED)]["value"]
    known = _recomputed_percentages(tables)
    inside = [name for name, value in known if seed.min() <= value <= seed.max()]
    told = ", ".join(f"{name} {value:.3g} %" for name, value in sorted(known, key=lambda pair: pair[1]))
    return _claim(
        4,
        "overhead_consistent",
        f"LoRA's overhead is consistently {seed.min():g} to {seed.max():g} % across domains",
        _decide(len(inside) == len(known)),
        f"parameters: method=LoRA; published: metric={PERCENT}, seen=recomputed; application_verdicts: status",
        f"{len(inside)} of {len(known)} recomputed percentages lie there: {told}. The range is a choice of rank and "
        "modules, not a property of LoRA.",
        effect=Effect(float(len(inside)), "percentages within the range", n=len(known)),
    )


def _recomputed_percentages(tables: PublishedTables) -> list[tuple[str, float]]:
    """Return what each recomputed percentage of LoRA is of, and the percentage."""
    counted = tables.counts[tables.counts["method"] == LORA].drop_duplicates("base_model")
    here = [(str(row.base_model), float(row.percent_with_adapter)) for row in counted.itertuples()]
    others = _of_others(tables)
    others = others[(others["metric"] == PERCENT) & (others["seen"] == "recomputed")]
    return here + [(f"{row.task}, r = {row.rank}", float(row.value)) for row in others.itertuples()]


# --- 5: advantage --------------------------------------------------------------------------------------------------


def _advantage(tables: PublishedTables) -> list[Finding]:
    return [_loreft(tables), *(_balance(tables, tasks) for tasks in tables.lora_families), _wide(tables)]


def _loreft(tables: PublishedTables) -> Finding:
    """Return whether LoReFT has both higher accuracy and fewer parameters than LoRA in some family of tasks."""
    gaps = [
        (tasks, model, *_gap(group, LOREFT))
        for tasks in tables.lora_families
        for model, group in tables.lora_groups(tasks)
        if LOREFT in group.index
    ]
    better = [gap for gap in gaps if gap[2] > 0 and gap[3] > 1]
    told = both([f"{gap:+.1f} points at 1/{times:.0f} of the parameters on {model}" for _, model, gap, times in better])
    others = other_schedules(tables.published)
    shorter = both([f"{row.method} has {row.accuracy_printed} on {row.base_model}" for row in others.itertuples()])
    return _claim(
        5,
        "loreft_more_efficient",
        "LoReFT is more parameter-efficient than LoRA in some tasks",
        _decide(bool(better)),
        f"published: source={SOURCE}, task=Avg, method={LOREFT} and {LORA}; "
        f"published: source={SOURCE}, metric={PERCENT}, method={LOREFT} and {LORA}",
        f"{both(list(dict.fromkeys(gap[0] for gap in better)))}: {told}; {shorter}. {NO_INTERVAL}",
        effect=Effect(min((gap[2] for gap in better), default=None), f"{POINTS}, the smaller gain", n=len(gaps)),
    )


def _gap(group: pd.DataFrame, method: str) -> tuple[float, float]:
    """Return a method's accuracy less LoRA's, and how many times fewer parameters it has."""
    gap = group.loc[method, "accuracy"] - group.loc[LORA, "accuracy"]
    return float(gap), float(group.loc[LORA, "percent"] / group.loc[method, "percent"])


def _balance(tables: PublishedTables, tasks: str) -> Finding:
    """Return whether LoRA stands on the Pareto front of every base model in a family of tasks."""
    groups = tables.lora_groups(tasks)
    beaten = [
        (model, group, group.loc[LORA, "dominated_by"]) for model, group in groups if group.loc[LORA, "dominated"]
    ]
    margins = {model: margin for model, group in groups if (margin := _margin(group)) is not None}
    if beaten:
        told = both([f"{by} on {model}" for model, _, by in beaten])
        detail = f"Methods that are better in one and no worse in the other: {told}."
    else:
        told = both([f"{margin:+.1f} points over the next on {model}" for model, margin in margins.items()])
        detail = f"No method has no more parameters and as much accuracy: {told}."
    return _claim(
        5,
        f"balance_{slug(tasks)}",
        f"LoRA offers a good balance of accuracy and parameters: on {tasks.lower()} no method beats it in both",
        _decide(not beaten),
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


def _wide(tables: PublishedTables) -> Finding:
    domains = len(tables.application_verdicts)
    families = tables.lora_families
    return _claim(
        5,
        "balance_wide",
        "The balance holds across a wide range of applications",
        "undecided",
        "; ".join([*map(tables.averages_of, families), "application_verdicts"]),
        f"Of the {domains} domains, accuracy and percentage of several methods were seen for {len(families)}: "
        f"{both([tasks.lower() for tasks in families])}.",
        effect=Effect(float(len(families)), "domains with several methods", n=domains),
    )


# --- 6: transformers -----------------------------------------------------------------------------------------------


def _transformers(tables: PublishedTables) -> list[Finding]:
    rows = _of_others(tables)
    models = sorted(rows["base_model"].unique())
    return [
        _claim(
            6,
            "suited_to_transformers",
            "LoRA is particularly well suited to transformers",
            "undecided",
            "published: method=LoRA, base_model",
            f"Numbers of LoRA were seen for {both(models)}; none stands beside LoRA on a network of another kind.",
            effect=Effect(None, n=len(models)),
        ),
        _selective(tables),
        _selective_gain(tables),
    ]


def _selective(tables: PublishedTables) -> Finding:
    """Return whether LoRA was attached to the attention modules alone, and counted both ways."""
    rows = tables.parameters[(tables.parameters["method"] == LORA)]
    rows = rows[rows["setting"].str.contains("query, key, value") & rows["setting"].str.contains("apart")]
    counts, ways = set(rows["trainable_params"]), sorted(rows["way"])
    told = ", ".join(f"{count:,}" for count in sorted(counts))
    return _claim(
        6,
        "selective_modules",
        "LoRA can be applied to query, key and value alone",
        "supported" if len(ways) > 1 and len(counts) == 1 else "undecided",
        select("parameters", rows, ("method", "base_model")) if len(rows) else "parameters: method=LoRA",
        f"On {both(sorted(rows['base_model'].unique()))} it trains {told} parameters there, counted as "
        f"{both([way.replace('_', ' ') for way in ways])}.",
        effect=Effect(float(min(counts)) if counts else None, "parameters", n=len(ways)),
    )


def _selective_gain(tables: PublishedTables) -> Finding:
    settings = list(dict.fromkeys(tables.lora_counts()["setting"]))
    return _claim(
        6,
        "selective_improves",
        "Choosing modules improves the trade-off of accuracy and parameters",
        "undecided",
        "parameters: method=LoRA, setting; published: method=LoRA, task=Avg",
        f"All published accuracies of LoRA on LLaMA are documented for one choice of modules ({both(settings)}).",
        effect=Effect(None, n=len(settings)),
    )


# --- the closing sentence ------------------------------------------------------------------------------------------


def _closing(tables: PublishedTables) -> list[Finding]:
    return [_among_the_best(tables, tasks) for tasks in tables.lora_families]


def _among_the_best(tables: PublishedTables, tasks: str) -> Finding:
    """Return whether LoRA stands in the upper half of every base model's ranking by accuracy."""
    places = [(model, _place(group), len(group)) for model, group in tables.lora_groups(tasks)]
    told = both([f"{ordinal(place)} of {n} on {model}" for model, place, n in places])
    return _claim(
        "closing sentence",
        f"among_the_best_{slug(tasks)}",
        f"LoRA is one of the most effective methods: in the upper half by accuracy on {tasks.lower()}",
        _decide(all(2 * place <= n for _, place, n in places)),
        tables.averages_of(tasks),
        f"It is {told}. {NO_INTERVAL}",
        effect=Effect(
            float(max(place for _, place, _ in places)), "place by accuracy, the worse", n=sum(n for *_, n in places)
        ),
    )


def _place(group: pd.DataFrame) -> int:
    """Return LoRA's place by accuracy; a method with equal accuracy does not push it down."""
    return 1 + int((group["accuracy"] > group.loc[LORA, "accuracy"]).sum())
