"""The adaptation study's questions, answered from the combined tables."""

from __future__ import annotations

from typing import Any

import pandas as pd
import scipy

from peft_atlas.analysis.curves import points
from peft_atlas.analysis.finding import ATLAS, INDISTINGUISHABLE, POINTS, Effect, Finding
from peft_atlas.analysis.power import equivalence_power
from peft_atlas.analysis.statistics import Estimate, mean_interval
from peft_atlas.studies.adaptation.contrasts import (
    AGAINST_FULL,
    ALPHA,
    BOTH,
    FIRST,
    FORGETTING,
    PLACEMENT,
    POOLED_EQUAL_LEARNING,
    POOLED_FORGETTING,
    SECOND,
)
from peft_atlas.studies.adaptation.edges import HIGHEST, LOWEST, at_edge, chosen_ends, common_rates
from peft_atlas.studies.adaptation.jobs import NAME, NO_ADAPTATION
from peft_atlas.studies.adaptation.rank_answers import rank_answers


def adaptation_answers(runs: pd.DataFrame, contrasts: pd.DataFrame, confidence: float) -> list[Finding]:
    """Return what the adaptation study says on rank, alpha, equivalence, the choice of method and forgetting.

    Parameters
    ----------
    runs, contrasts
        Tables of those contracts, of the adaptation study alone.
    confidence
        Confidence level of the intervals; 1 minus it is the level of the tests.
    """
    ranks = runs[(runs["experiment"] == "ranks") & (runs["method"] == "LoRA")]
    edges = at_edge(runs, "methods")
    chosen = runs[(runs["experiment"] == "methods") & runs["selected"].fillna(value=True)]
    return [
        *rank_answers(ranks, confidence),
        _alpha(runs, contrasts, confidence),
        _against_full(contrasts, edges, confidence),
        *_placement(contrasts),
        _choice(chosen, contrasts, edges),
        _forgetting(contrasts),
        _edges(runs),
    ]


def _answer(name: str, question: str, evidence: str, detail: str, effect: Effect | None = None) -> Finding:
    return Finding("answer", f"{NAME}_{name}", NAME, question, ATLAS, "measured", evidence, detail, effect=effect)


def _alpha(runs: pd.DataFrame, contrasts: pd.DataFrame, confidence: float) -> Finding:
    """Return what alpha still changes when the learning rate is tuned for each, against one rate for all."""
    rows = contrasts[contrasts["question"] == ALPHA]
    worse = differing(rows)
    alphas = runs[runs["experiment"] == "alphas"]
    rates = common_rates(alphas)
    rate = rates[len(rates) // 2]
    tuned = points(_alpha_range(alphas[alphas["selected"]], confidence), confidence)
    fixed = points(_alpha_range(alphas[alphas["learning_rate"] == rate], confidence), confidence)
    factors = alphas.groupby("rank")["scaling"]
    span = (factors.max() / factors.min()).max()
    sizes = f", by {_range(worse)} points" if len(worse) else ""
    return _answer(
        "alpha",
        "Does alpha matter once the learning rate is tuned?",
        f"contrasts: study={NAME}, question={ALPHA}",
        f"At one learning rate of {rate:g} for all, factors on the update up to {span:g}-fold apart change validation "
        f"accuracy by {fixed.in_words()}; with the rate tuned for each, by {tuned.in_words()} (best less worst factor, "
        "each picked on other seeds, averaged over ranks; equal factors of both scalings count once). On test "
        f"{len(worse)} of {len(rows)} distinct alphas differ from the one that validation selects{sizes} "
        f"({_adjustment(rows)}; for the others up to {_largest_detectable(rows)} points are detectable with 80 % "
        "power). One target task; another could change it.",
        tuned,
    )


def differing(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the comparisons whose adjusted test rejects."""
    return rows[~rows["indistinguishable"].fillna(value=True).astype(bool)]


def _range(rows: pd.DataFrame) -> str:
    """Return the smallest and the largest size of some differences, in points."""
    sizes = 100 * rows["difference"].abs()
    return f"{sizes.min():.1f} to {sizes.max():.1f}" if len(sizes) > 1 else f"{sizes.iloc[0]:.1f}"


def _adjustment(rows: pd.DataFrame) -> str:
    return str(rows["adjustment"].iloc[0]) if len(rows) else "none"


def _largest_detectable(rows: pd.DataFrame) -> str:
    known = rows["detectable"].dropna()
    return f"{100 * known.max():.1f}" if len(known) else "an unknown number of"


def _alpha_range(cells: pd.DataFrame, confidence: float) -> Estimate:
    """Return validation accuracy at the best factor on the update less that at the worst, averaged over ranks.

    Factors that two scalings give a rank alike belong to the same runs and count once. Best and worst are picked on
    the seeds of the other half, since a range over noisy means is never 0.
    """
    differences = []
    for _, group in cells.groupby("rank", sort=True):
        distinct = group.drop_duplicates(["scaling", "seed"])
        table = distinct.pivot(index="seed", columns="scaling", values="validation_accuracy").astype(float)
        halves = table.iloc[::2], table.iloc[1::2]
        for here, other in (halves, halves[::-1]):
            means = other.mean().dropna()
            if len(means):
                differences.append((here[means.idxmax()] - here[means.idxmin()]).rename("difference"))
    if not differences:
        return Estimate(None, None, None, None, 0)
    return mean_interval(pd.concat(differences).groupby(level=0).mean().to_numpy(), confidence)


def _against_full(contrasts: pd.DataFrame, edges: set[tuple[str, int, int]], confidence: float) -> Finding:
    """Return on which target tasks LoRA is better or worse than full fine-tuning, and what equivalence can say."""
    rows = _of_lora(contrasts, AGAINST_FULL)
    decided, margin = differing(rows), 100 * float(rows["margin"].iloc[0])
    better, worse = decided[decided["difference"] > 0], decided[decided["difference"] < 0]
    neither = rows.drop(decided.index)
    equal = int((rows["p_equivalence"].fillna(1.0) < 1 - confidence).sum())
    counts = f"better than full fine-tuning on {len(better)} and worse on {len(worse)} of {len(rows)} target tasks"
    largest = rows.loc[rows["difference"].abs().idxmax()]
    parts = [
        _said("better on", better, len(rows), edges),
        _said("worse on", worse, len(rows), edges),
        _said(f"{INDISTINGUISHABLE} it on", neither, len(rows), edges, detectable=True),
    ]
    return _answer(
        "equivalence",
        "Is LoRA as accurate as full fine-tuning?",
        f"contrasts: study={NAME}, question={AGAINST_FULL}, method=LoRA",
        f"LoRA (r = {rows['rank'].iloc[0]}), on exactly the layer that a matrix of known rank shifted, is {counts}; "
        "the largest difference is "
        f"{_effect(largest).in_words(unit='points')} ({_target(largest).removesuffix(':')}, {largest['n']} seeds). In "
        f"detail it is {'; '.join(part for part in parts if part)} (intervals are per task, verdicts by "
        f"{_adjustment(rows)}). It is equivalent within ±{margin:g} point on {equal} (two one-sided tests, not "
        f"adjusted; if there were no difference, their power would be {_powers(rows, confidence)}). Adapters that are "
        "not on the shifted layer, or shifts that are not random, could change it.",
        Effect.of_contrast(largest),
    )


def _placement(contrasts: pd.DataFrame) -> list[Finding]:
    """Return how LoRA on both layers, and on the first alone, compares with full fine-tuning by what was shifted."""
    rows = contrasts[contrasts["question"] == PLACEMENT]
    both = rows[rows["setting"] == BOTH].sort_values(["task", "train_examples"])
    if both.empty:
        return []
    decided, margin = differing(both), 100 * float(both["margin"].iloc[0])
    better, worse = decided[decided["difference"] > 0], decided[decided["difference"] < 0]
    kept = int((both["low"].astype(float) > -margin / 100).sum())
    largest = rows[rows["train_examples"] == rows["train_examples"].max()]
    listed = "; ".join(f"{task}: {_by_place(group)}" for task, group in largest.groupby("task", sort=True))
    answer = _answer(
        "placement",
        "Does LoRA need to know which layer the task changes?",
        f"contrasts: study={NAME}, question={PLACEMENT}",
        f"LoRA on both layers is better than full fine-tuning on {len(better)} and worse on {len(worse)} of "
        f"{len(both)} target tasks ({_adjustment(both)}; up to {_largest_detectable(both)} points are detectable with "
        f"80 % power), and not inferior by more than {margin:g} point on {kept}. With as many parameters in one layer "
        f"instead ({int(largest['train_examples'].iloc[0]):,} examples, points against full fine-tuning): {listed}. "
        "Networks of more layers could change it.",
        Effect.of_contrast(both.loc[both["difference"].abs().idxmax()]),
    )
    return [answer]


_PLACES = {FIRST: "in the first layer", SECOND: "in the second", BOTH: "in both"}


def _by_place(rows: pd.DataFrame) -> str:
    """Return the difference of LoRA on each layer and on both from full fine-tuning."""
    lora = rows[rows["method"] == "LoRA"].sort_values("setting")
    return ", ".join(f"{_effect(row).in_words(unit='')} {_PLACES[row.setting]}" for row in lora.itertuples())


def _powers(rows: pd.DataFrame, confidence: float) -> str:
    """Return the lowest and the highest power of the tests of equivalence over the target tasks."""
    found = [power for row in rows.itertuples() if (power := _equivalence_power(row, confidence)) is not None]
    return f"{min(found):.2f} to {max(found):.2f}, depending on the task" if found else "unknown"


def _equivalence_power(row: Any, confidence: float) -> float | None:
    """Return the power of the test of equivalence of one comparison, from the width of its interval."""
    if pd.isna(row.p_value) or row.high == row.low:
        return None
    half = (row.high - row.low) / 2
    sd = half * row.n**0.5 / float(scipy.special.stdtrit(row.n - 1, 0.5 + confidence / 2))
    return equivalence_power(sd, int(row.n), float(row.margin), 1 - confidence)


def _said(how: str, rows: pd.DataFrame, of: int, edges: set[tuple[str, int, int]], *, detectable: bool = False) -> str:
    """Return how many target tasks have a verdict, with each difference; nothing where none has."""
    if rows.empty:
        return ""
    listed = []
    for row in rows.itertuples():
        effect = _effect(row)
        mark = f", {effect.detectable_in_words()}" if detectable else ""
        listed.append(f"{_target(row)} {effect.in_words(unit='points')}{mark}{_edge_mark(row, edges)}")
    return f"{how} {len(rows)} of {of} target tasks ({'; '.join(listed)})"


def _edge_mark(row: Any, edges: set[tuple[str, int, int]]) -> str:
    """Return a remark where LoRA's or full fine-tuning's learning rate is an end of the grid."""
    names = [name for name in (row.method, "full") if (name, row.shift_rank, row.train_examples) in edges]
    return f", rate of {' and '.join(names)} at the end of the grid" if names else ""


def _of_lora(contrasts: pd.DataFrame, question: str) -> pd.DataFrame:
    """Return LoRA's rows of a question, by the rank of the shift and the examples."""
    rows = contrasts[(contrasts["question"] == question) & (contrasts["method"] == "LoRA")]
    return rows.sort_values(["shift_rank", "train_examples"])


def _target(row: Any) -> str:
    return f"rank {row.shift_rank}, {row.train_examples:,} examples:"


def _effect(row: Any) -> Effect:
    """Return a row of contrasts as an effect in percentage points."""
    values = (row.difference, row.low, row.high, row.detectable)
    size, low, high, detectable = (None if pd.isna(value) else 100 * value for value in values)
    return Effect(size, POINTS, low, high, detectable=detectable)


def _choice(methods: pd.DataFrame, contrasts: pd.DataFrame, edges: set[tuple[str, int, int]]) -> Finding:
    """Return the method that validation selects for each target task, with its test accuracy less that of full.

    A method whose learning rate is an end of the grid may be better at another, so it is compared with no other.
    """
    picked, rows = [], contrasts[contrasts["question"] == AGAINST_FULL]
    left_out: set[str] = set()
    for (shift, examples), group in methods.groupby(["shift_rank", "train_examples"], sort=True):
        unsettled = {name for name, *task in edges if tuple(task) == (shift, examples)}
        left_out |= unsettled
        settled = group[~group["method"].isin({*unsettled, NO_ADAPTATION})]
        if settled.empty:
            continue
        best = settled.groupby("method")["validation_accuracy"].mean().idxmax()
        row = rows[(rows["method"] == best) & (rows["shift_rank"] == shift) & (rows["train_examples"] == examples)]
        against = "" if row.empty else f", {_effect(next(row.itertuples())).in_words(unit='points')} against full"
        picked.append((best, f"shift of rank {shift}, {examples:,} examples: {best}{against}"))
    names = [name for name, _ in picked]
    different, full = len(set(names)), names.count("full")
    remark = f" Not compared where their rate is an end of the grid: {', '.join(sorted(left_out))}." if left_out else ""
    return _answer(
        "choice",
        "Which method does validation select?",
        f"runs: study={NAME}, experiment=methods, selected=True",
        f"On {len(names)} target tasks validation selects {different} different methods, full fine-tuning on {full}. "
        f"In detail, {'; '.join(text for _, text in picked)}. Exploratory: intervals are simultaneous over the methods "
        f"of a target task, and the best of many is a little flattered.{remark}",
        Effect(float(different), "different methods chosen", n=len(names)),
    )


def _forgetting(contrasts: pd.DataFrame) -> Finding:
    """Return what LoRA keeps of the source task against full fine-tuning, pooled over the target tasks and by task."""
    rows, pooled = _of_lora(contrasts, FORGETTING), contrasts[contrasts["question"] == POOLED_FORGETTING].iloc[0]
    decided, effect = differing(rows), Effect.of_contrast(pooled)
    more, less = int((decided["difference"] > 0).sum()), int((decided["difference"] < 0).sum())
    listed = "; ".join(f"{_target(row)} {_effect(row).in_words(unit='points')}" for row in rows.itertuples())
    return _answer(
        "forgetting",
        "What is forgotten on the source task?",
        f"contrasts: study={NAME}, question={POOLED_FORGETTING} and {POOLED_EQUAL_LEARNING}; "
        f"contrasts: study={NAME}, question={FORGETTING}, method=LoRA",
        f"On average over the {len(rows)} target tasks LoRA {_keeps(effect)} accuracy on the source task than full "
        f"fine-tuning ({effect.in_words()}, pooled by seed).{_at_equal_learning(contrasts)} By task it keeps more on "
        f"{more} and less on {less} of {len(rows)} ({_adjustment(rows)}): {listed}.",
        effect,
    )


def _at_equal_learning(contrasts: pd.DataFrame) -> str:
    """Return what LoRA keeps where both methods have learnt equally much of the target task."""
    rows = contrasts[contrasts["question"] == POOLED_EQUAL_LEARNING]
    if rows.empty:
        return ""
    effect = Effect.of_contrast(rows.iloc[0])
    return (
        f" At equal learning, each at a rate at which both reach the same validation accuracy on the target, it "
        f"{_keeps(effect)} ({effect.in_words(unit='points')})."
    )


def _keeps(effect: Effect) -> str:
    """Return whether more or less is kept."""
    if not effect.excludes_zero:
        return "keeps neither measurably more nor measurably less"
    return "keeps more" if (effect.size or 0) > 0 else "keeps less"


def _edges(runs: pd.DataFrame) -> Finding:
    """Return how many chosen learning rates are at an end of the grid, where a better one may lie outside."""
    found = chosen_ends(runs)
    counts = {end: int((found["edge"] == end).sum()) for end in (LOWEST, HIGHEST)}
    methods = found[(found["experiment"] == "methods") & found["edge"].notna()]
    listed = ", ".join(
        f"{method} ({', '.join(f'{end} {n}' for end, n in ends.value_counts(sort=False).items())})"
        for method, ends in methods.groupby("method", sort=True)["edge"]
    )
    rates = runs.loc[runs["selected"].notna(), "learning_rate"]
    return _answer(
        "rates",
        "Was the grid of learning rates wide enough?",
        f"runs: study={NAME}, selected=True",
        f"Of {len(found)} cells {counts[LOWEST]} chose the lowest rate, {rates.min():g}, and {counts[HIGHEST]} the "
        f"highest, {rates.max():g}. Among the methods these are {listed or 'none'}; nothing is concluded from them.",
        Effect(float(sum(counts.values())), "cells at an end of the grid", n=len(found)),
    )
