"""Disputed claims, each with its quotation, a test that was fixed beforehand, and a verdict by rule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from peft_atlas.analysis.contrasts import Levels
from peft_atlas.analysis.curves import lack_of_fit_p
from peft_atlas.analysis.finding import ATLAS, POINTS, Effect, Finding
from peft_atlas.analysis.power import detectable_difference
from peft_atlas.analysis.statistics import Estimate, mean_interval, slope_interval
from peft_atlas.studies.laboratory.best_rates import best_rates, log_rates
from peft_atlas.studies.laboratory.contrasts import BATCH_GAP, CAPACITY_GAP, VARIANT
from peft_atlas.studies.laboratory.jobs import NAME, RULES, SCALING, VARIANTS

SCOPE = "Measured on a network of two layers and a synthetic task; it decides nothing for large models."
# Less than a factor of 2 from rank 4 to 512, as an exponent of the rank.
FLAT = float(np.log(2) / np.log(512 / 4))
# "A factor of 10" within a factor of 2.
TENFOLD, WITHIN = 10.0, 2.0
_EXPONENT = "exponent of the rank"


@dataclass(frozen=True)
class Source:
    """Where a claim is made, and its words; no words where it is paraphrased."""

    name: str
    quotation: str


REGRET = "LoRA Without Regret (Thinking Machines 2025, read in a public copy)"
FACTOR_TWO = Source(REGRET, "The optimal LR changes by a factor of less than 2 between rank=4 and rank=512.")
GUIDE = Source(
    "tinker-cookbook, skills/research/references/hyperparams.md",
    "LR is independent of LoRA rank (validated empirically)",
)
FALLING = Source(
    "Lee et al. (arXiv:2602.04998), practical-heuristics/README.md",
    "the optimal learning rate generally decreases as the rank increases, with r=4 requiring a 5.6x larger learning "
    "rate than r=256",
)
TEN = Source(
    REGRET, "We find that the optimal learning rate for FullFT is lower by a factor of 10 than for high-rank LoRAs."
)
BATCHES = Source(REGRET, "In some settings, LoRA is less tolerant of large batch sizes than FullFT.")
EXCEEDED = Source(REGRET, "For datasets that exceed LoRA capacity, LoRA underperforms FullFT.")
SIMILAR = Source(
    "Lee et al. (arXiv:2602.04998), README.md",
    "Different methods reach a similar performance level once the learning rate is properly tuned.",
)
ATTENTION = Source(
    REGRET,
    "Attention-only LoRA underperforms even when we match the number of trainable parameters by using higher rank",
)


@dataclass(frozen=True)
class Rates:
    """Best rates by rule, rank and seed (`best_rates`); the rules with a cell at an end of its grid; confidence."""

    table: pd.DataFrame
    at_edge: frozenset[str]
    confidence: float

    def verdict(self, rule: str, verdict: str) -> str:
        """Return a verdict on a rule, which is open where a best rate may lie outside the grid."""
        return "undecided" if RULES[rule] in self.at_edge else verdict

    def remark(self, rule: str) -> str:
        """Return what a claim says of that."""
        said = " A best rate is at the end of its grid, so nothing is concluded."
        return said if RULES[rule] in self.at_edge else ""


def _rules_at_an_edge(scaling: pd.DataFrame) -> frozenset[str]:
    chosen = scaling[scaling["selected"].fillna(value=False)]
    return frozenset(chosen.loc[chosen["edge"].fillna(value=False).astype(bool), "setting"])


def laboratory_claims(runs: pd.DataFrame, contrasts: pd.DataFrame, levels: Levels) -> list[Finding]:
    """Return the answer on the best rate and every claim with its verdict.

    Parameters
    ----------
    runs, contrasts
        Tables of those contracts, of the laboratory alone.
    levels
        Confidence level of the intervals, and the margin within which accuracies are equivalent.
    """
    scaling = runs[runs["experiment"] == SCALING]
    rates = Rates(best_rates(scaling), _rules_at_an_edge(scaling), levels.confidence)
    full = best_rates(runs[(runs["experiment"] == VARIANTS) & (runs["method"] == "full")])
    return [
        _answer(rates),
        _flat("best_rate_factor_two", FACTOR_TWO, rates, "fixed", 4),
        _flat("best_rate_independent", GUIDE, rates, "fixed", 1),
        _falls(rates),
        _flat("best_rate_root", None, rates, "root", 1),
        _tenfold(rates, full.set_index("seed")["best_rate"].astype(float)),
        _gaps("large_batch", BATCHES, contrasts, BATCH_GAP),
        _gaps("capacity", EXCEEDED, contrasts, CAPACITY_GAP),
        _similar(runs, contrasts, levels),
        _attention(),
    ]


def claim(
    name: str, statement: str, source: Source | None, verdict: str, evidence: str, detail: str, effect: Effect | None
) -> Finding:
    """Return a claim of the laboratory, whose sentence begins with the source's words and ends with the scope."""
    said = f"“{source.quotation}” " if source and source.quotation else ""
    where = source.name if source else ATLAS
    text = f"{said}{detail} {SCOPE}"
    return Finding("claim", f"{NAME}_{name}", NAME, statement, where, verdict, evidence, text, effect=effect)


def exponent(table: pd.DataFrame, rule: str, confidence: float, lowest: int = 1) -> Estimate:
    """Return by which power of the rank the best rate moves under a rule, fitted seed by seed.

    Parameters
    ----------
    table
        Best rates, as `best_rates` returns them.
    rule
        Key of `RULES`.
    confidence
        Confidence level.
    lowest
        The smallest rank that counts.
    """
    wide = log_rates(table, RULES[rule])
    wide = wide[[rank for rank in wide.columns if rank >= lowest]]
    return slope_interval(np.log10(np.asarray(wide.columns, np.float64)), wide.to_numpy(float), confidence)


def _effect(estimate: Estimate, unit: str, confidence: float, scale: float = 1.0) -> Effect:
    found = detectable_difference(estimate.sd, estimate.n, 1 - confidence)
    return Effect.of_estimate(estimate, confidence, unit, scale, found)


def _said(effect: Effect) -> str:
    return f"{effect.in_words(2, unit='')} ({effect.detectable_in_words(2, unit='')})".replace(" )", ")")


def _evidence(experiment: str) -> str:
    return f"runs: study={NAME}, experiment={experiment}"


def _answer(rates: Rates) -> Finding:
    """Return by which power of the rank the best rate moves under each rule."""
    table, confidence = rates.table, rates.confidence
    effects = {rule: _effect(exponent(table, rule, confidence), _EXPONENT, confidence) for rule in RULES}
    words = "; ".join(f"{RULES[rule]}: {effect.in_words(2, unit='')}" for rule, effect in effects.items())
    ranks = sorted(int(rank) for rank in table["rank"].dropna().unique())
    edges = f" At the end of its grid is a rate with {', '.join(sorted(rates.at_edge))}." if rates.at_edge else ""
    return Finding(
        "answer",
        f"{NAME}_best_rate",
        NAME,
        "How does LoRA's best learning rate move with its rank?",
        ATLAS,
        "measured",
        _evidence(SCALING),
        f"From r = {ranks[0]} to {ranks[-1]} the best rate moves as a power of the rank, with the exponent, by rule "
        f"for alpha: {words} (0 means that one rate fits all ranks, -0.5 that a fourfold rank halves it).{edges} "
        f"{SCOPE}",
        effects["two"],
    )


def _flat(name: str, source: Source | None, rates: Rates, rule: str, lowest: int) -> Finding:
    """Return whether the best rate moves less with the rank than a factor of 2 from rank 4 to 512."""
    confidence, wide = rates.confidence, log_rates(rates.table, RULES[rule])
    effect = _effect(exponent(rates.table, rule, confidence, lowest), _EXPONENT, confidence)
    ranks = [rank for rank in wide.columns if rank >= lowest]
    p = lack_of_fit_p(np.log10(np.asarray(ranks, np.float64)), wide[ranks].to_numpy(float))
    bends = p is not None and p < 1 - confidence
    bent = f" A power law does not fit (p = {p:.2g}), so this is an average." if bends else ""
    return claim(
        name,
        f"With {RULES[rule]} one learning rate fits all ranks" + (f" from {lowest} on" if lowest > 1 else ""),
        source,
        rates.verdict(rule, within(effect.low, effect.high, FLAT)),
        _evidence(SCALING),
        f"The best rate moves with the rank to the power {_said(effect)}; within ±{FLAT:.2f}, a factor of 2 from rank "
        f"4 to 512, it counts as independent.{bent}{rates.remark(rule)}",
        effect,
    )


def within(low: float | None, high: float | None, limit: float) -> str:
    """Return whether an interval says that an effect is smaller than a limit, or larger, or neither."""
    if low is None or high is None:
        return "undecided"
    if -limit < low and high < limit:
        return "supported"
    return "contradicted" if low > limit or high < -limit else "undecided"


def negative(low: float | None, high: float | None) -> str:
    """Return whether an interval says that an effect is negative, or positive, or neither."""
    if low is None or high is None:
        return "undecided"
    return "supported" if high < 0 else "contradicted" if low > 0 else "undecided"


def _falls(rates: Rates) -> Finding:
    """Return whether the best rate falls with the rank where alpha is the rank."""
    effect = _effect(exponent(rates.table, "one", rates.confidence), _EXPONENT, rates.confidence)
    theirs = -np.log(5.6) / np.log(256 / 4)
    return claim(
        "best_rate_falls",
        "With alpha = r the best learning rate falls as the rank rises",
        FALLING,
        rates.verdict("one", negative(effect.low, effect.high)),
        _evidence(SCALING),
        f"The best rate moves with the rank to the power {_said(effect)}; theirs is {theirs:.2f}.{rates.remark('one')}",
        effect,
    )


def _tenfold(rates: Rates, full: pd.Series[float]) -> Finding:
    """Return whether LoRA's best rate, with a fixed alpha, is about ten times that of full fine-tuning."""
    confidence = rates.confidence
    ratios = {rule: _ratio(log_rates(rates.table, RULES[rule]), full, confidence) for rule in RULES}
    powers = {rule: [None if v is None else 10**v for v in (e.mean, e.low, e.high)] for rule, e in ratios.items()}
    mean, low, high = powers["fixed"]
    listed = ", ".join(f"{RULES[rule]}: {_times(values)}" for rule, values in powers.items())
    ends = [None if value is None else float(np.log(value / TENFOLD)) for value in (low, high)]
    return claim(
        "ten_times",
        "LoRA's best learning rate is about ten times that of full fine-tuning",
        TEN,
        rates.verdict("fixed", within(ends[0], ends[1], float(np.log(WITHIN)))),
        _evidence(f"{SCALING} and {VARIANTS}"),
        f"LoRA's best rate over that of full fine-tuning, at the larger half of the ranks: {listed}. Judged with alpha "
        f"fixed, as in the source; {TENFOLD / WITHIN:g} to {TENFOLD * WITHIN:g} counts as about "
        f"ten.{rates.remark('fixed')}",
        Effect(mean, "times", low, high, f"{100 * confidence:g} % Student t over seeds, of logarithms", len(full)),
    )


def _ratio(logs: pd.DataFrame, full: pd.Series[float], confidence: float) -> Estimate:
    """Return the mean logarithm of the ratio of the rates at the larger half of the ranks."""
    high = logs[logs.columns[len(logs.columns) // 2 :]]
    return mean_interval((high.mean(axis=1, skipna=False) - np.log10(full)).to_numpy(float), confidence)


def _times(values: list[float | None]) -> str:
    mean, low, high = values
    if mean is None:
        return "not measured"
    return f"{mean:.1f}" + (f" [{low:.1f}, {high:.1f}]" if low is not None and high is not None else "")


def _gaps(name: str, source: Source, contrasts: pd.DataFrame, question: str) -> Finding:
    """Return whether LoRA falls further behind full fine-tuning, for the smallest rank, with more of something."""
    rows = contrasts[contrasts["question"] == question].sort_values("rank")
    evidence = f"contrasts: study={NAME}, question={question}"
    statement = {
        BATCH_GAP: "LoRA loses more accuracy than full fine-tuning as batches grow",
        CAPACITY_GAP: "LoRA of a small rank falls behind full fine-tuning as examples grow",
    }[question]
    if rows.empty:
        return claim(name, statement, source, "undecided", evidence, "Not measured.", Effect(None, POINTS, n=0))
    effects = [Effect.of_contrast(row) for _, row in rows.iterrows()]
    first, row = effects[0], rows.iloc[0]
    words = ", ".join(
        f"{effect.in_words(unit='')} at r = {rank}" for effect, rank in zip(effects, rows["rank"], strict=True)
    )
    decided = not bool(row["indistinguishable"]) if not pd.isna(row["indistinguishable"]) else False
    verdict = negative(first.low, first.high) if decided else "undecided"
    more = f"{row['train_examples']:,} examples" if question == CAPACITY_GAP else row["task"].rpartition(", ")[2]
    return claim(
        name,
        statement,
        source,
        verdict,
        evidence,
        f"LoRA less full fine-tuning changes by {words} points with {more} against {row['reference']}, all rates "
        f"tuned ({row['adjustment']}; {first.detectable_in_words()}).",
        first,
    )


def _similar(runs: pd.DataFrame, contrasts: pd.DataFrame, levels: Levels) -> Finding:
    """Return whether variants of LoRA are within the margin of LoRA once each has a rate of its own."""
    rows = contrasts[contrasts["question"] == VARIANT]
    limit, ends = 100 * levels.margin, [Effect.of_contrast(row) for _, row in rows.iterrows()]
    verdicts = [within(effect.low, effect.high, limit) for effect in ends]
    verdict = "undecided"
    if verdicts and all(each == "supported" for each in verdicts):
        verdict = "supported"
    elif "contradicted" in verdicts:
        verdict = "contradicted"
    names = [row.method if pd.isna(row.setting) else f"{row.method} ({row.setting})" for row in rows.itertuples()]
    words = ", ".join(f"{name} {effect.in_words(unit='')}" for name, effect in zip(names, ends, strict=True))
    return claim(
        "variants_similar",
        "With the learning rate tuned, variants of LoRA reach a similar accuracy",
        SIMILAR,
        verdict,
        f"contrasts: study={NAME}, question={VARIANT}",
        f"Less LoRA, in points: {words or 'not measured'} (simultaneous intervals; similar means within ±{limit:g} "
        f"point). {_shared_rate(runs)}",
        max(ends, key=lambda effect: abs(effect.size or 0.0), default=Effect(None, POINTS, n=0)),
    )


def _shared_rate(runs: pd.DataFrame) -> str:
    """Return how far the variants lie apart on validation at LoRA's rate, and each at its own."""
    rows = runs[(runs["experiment"] == VARIANTS) & (runs["method"] != "full")]
    chosen = rows[rows["selected"].fillna(value=False)]
    plain = chosen[(chosen["method"] == "LoRA") & (chosen["setting"] == RULES["two"])]
    if plain.empty:
        return ""
    rate = float(plain["learning_rate"].iloc[0])
    own, shared = (
        group.groupby(["method", "setting"], dropna=False)["validation_accuracy"].mean()
        for group in (chosen, rows[rows["learning_rate"] == rate])
    )
    return (
        f"On validation the means of the variants span {100 * (own.max() - own.min()):.1f} points at their own rates "
        f"and {100 * (shared.max() - shared.min()):.1f} where all use LoRA's rate, {rate:g}."
    )


def _attention() -> Finding:
    """Return that a network without attention cannot test a claim on attention."""
    return claim(
        "attention_only",
        "LoRA on attention alone is worse than on all modules at equal parameters",
        ATTENTION,
        "not_testable",
        "studies/adaptation/cells.py: equal_ranks",
        "The network has no attention. What it can test is one layer against the other at equal parameters, which is "
        "reported with the adaptation study (placement).",
        None,
    )
