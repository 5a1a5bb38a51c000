"""What the adaptation study advises: LoRA or full fine-tuning, and how rank and rate belong together."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from peft_atlas.analysis.curves import tuned_curve
from peft_atlas.analysis.finding import ATLAS, Effect, Finding
from peft_atlas.studies.adaptation.answers import differing
from peft_atlas.studies.adaptation.contrasts import AGAINST_FULL
from peft_atlas.studies.adaptation.jobs import NAME

# What a reader must know of the study to judge its advice.
SCOPE = (
    "A small network, pretrained and then adapted to tasks that differ from its first by a weight change of known rank"
)


def adaptation_advice(runs: pd.DataFrame, contrasts: pd.DataFrame, confidence: float) -> list[Finding]:
    """Return the study's advice, each an imperative with its number, interval and scope.

    Parameters
    ----------
    runs, contrasts
        Tables of those contracts, of the adaptation study alone.
    confidence
        Confidence level of the intervals.
    """
    ranks = runs[(runs["experiment"] == "ranks") & (runs["method"] == "LoRA")]
    return [*_method(contrasts), *_rank(ranks, confidence)]


def _advice(name: str, statement: str, evidence: str, detail: str, effect: Effect) -> Finding:
    return Finding("advice", f"{NAME}_advice_{name}", NAME, statement, ATLAS, "measured", evidence, detail, effect)


def _method(contrasts: pd.DataFrame) -> Iterator[Finding]:
    """Return whether LoRA or full fine-tuning is ahead, or that the task decides."""
    rows = contrasts[(contrasts["question"] == AGAINST_FULL) & (contrasts["method"] == "LoRA")]
    if rows.empty:
        return
    decided = differing(rows)
    ahead, behind = int((decided["difference"] > 0).sum()), int((decided["difference"] < 0).sum())
    if ahead and behind:
        statement = "Let the task decide between LoRA and full fine-tuning."
    elif behind:
        statement = "Prefer full fine-tuning where it fits."
    else:
        statement = "Start with LoRA."
    widest = Effect.of_contrast(rows.loc[rows["difference"].abs().idxmax()])
    yield _advice(
        "method",
        statement,
        f"contrasts: study={NAME}, question={AGAINST_FULL}, method=LoRA",
        f"LoRA was ahead on {ahead} and behind on {behind} of {len(rows)} tasks, the largest difference being "
        f"{widest.in_words()}. {SCOPE}; {int(rows['n'].min())} seeds.",
        widest,
    )


def _rank(ranks: pd.DataFrame, confidence: float) -> Iterator[Finding]:
    """Return how the best rate changes with the rank, and what the rank gives once the rate is tuned at each."""
    if ranks["rank"].nunique() < 2:
        return
    examples = int(ranks["train_examples"].max())
    group = ranks[ranks["train_examples"] == examples]
    curve = tuned_curve(group, "rank", confidence, over=("shift_rank",))
    low, high = curve.grid[0], curve.grid[-1]
    best = float(curve.table.mean().idxmax())
    effect, beyond = curve.step_effect(low, best if best > low else high), curve.step_effect(best, high)
    further = (
        f" and by {beyond.in_words(unit='')} from there to r = {high:g} ({beyond.detectable_in_words()})"
        if low < best < high
        else ""
    )
    rates = _median_rates(group)
    falls = rates[high] < rates[low]
    moved = "falls from" if falls else "rises from" if rates[high] > rates[low] else "stays at"
    to = "" if rates[high] == rates[low] else f" at r = {low:g} to {rates[high]:g} at r = {high:g}"
    yield _advice(
        "rank",
        _imperative(effect, best, falls=falls),
        f"runs: study={NAME}, experiment=ranks, train_examples={examples}, selected=True",
        f"The best mean is at r = {best:g}: with the rate tuned at each rank, accuracy changes by {effect.in_words()} "
        f"from r = {low:g} to r = {best if best > low else high:g}{further}. The best rate {moved} {rates[low]:g}{to} "
        f"(median of {group['shift_rank'].nunique()} tasks). {SCOPE}, {examples:,} examples; {effect.n} seeds.",
        effect,
    )


def _imperative(effect: Effect, best: float, *, falls: bool) -> str:
    """Return what to do with the rank: it helps where the interval of the step to the best one lies above 0."""
    helps = effect.excludes_zero and (effect.size or 0) > 0
    rank = f"Take a rank near {best:g}" if helps else "Leave the rank small"
    return f"{rank}; if you raise it, lower the rate." if falls else f"{rank}."


def _median_rates(group: pd.DataFrame) -> dict[float, float]:
    """Return the median over tasks of the rate that was chosen at each rank."""
    chosen = group[group["selected"].fillna(value=False)].drop_duplicates(["rank", "shift_rank"])
    medians = chosen.groupby("rank")["learning_rate"].median()
    return {float(str(rank)): float(rate) for rank, rate in medians.items()}
