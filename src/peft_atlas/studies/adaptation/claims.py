"""The notebook's claims on fine-tuning, which only a pretrained base can test, judged by the adaptation study."""

from __future__ import annotations

import pandas as pd

from peft_atlas.analysis.finding import POINTS, SEED_NOTEBOOK, Effect, Finding
from peft_atlas.studies.adaptation.answers import differing
from peft_atlas.studies.adaptation.contrasts import AGAINST_FULL, ALPHA, POOLED_EQUAL_LEARNING, POOLED_FORGETTING
from peft_atlas.studies.adaptation.jobs import NAME
from peft_atlas.studies.adaptation.rank_answers import per_shift, shift_curves, steps_of

FORGETS_LESS = "LoRA Learns Less and Forgets Less (Biderman et al. 2024, arXiv:2405.09673), title"
SCOPE = (
    "Measured on a small network, where adapters are attached to the very layer that was shifted; it decides nothing "
    "for large models."
)


def adaptation_claims(runs: pd.DataFrame, contrasts: pd.DataFrame, confidence: float) -> list[Finding]:
    """Return the claims that the adaptation study can judge, each with its verdict.

    Parameters
    ----------
    runs, contrasts
        Tables of those contracts, of the adaptation study alone.
    confidence
        Confidence level of the intervals; 1 minus it is the level of the tests.
    """
    ranks = runs[(runs["experiment"] == "ranks") & (runs["method"] == "LoRA")]
    lora = contrasts[(contrasts["question"] == AGAINST_FULL) & (contrasts["method"] == "LoRA")]
    return [
        _intrinsic_rank(ranks, float(lora["margin"].iloc[0]), confidence),
        _comparable(lora),
        _alpha_matters(contrasts[contrasts["question"] == ALPHA], confidence),
        *_forgets_less(contrasts),
    ]


def _claim(
    name: str, statement: str, verdict: str, evidence: str, detail: str, effect: Effect, source: str = SEED_NOTEBOOK
) -> Finding:
    text = f"{detail} {SCOPE}"
    return Finding("claim", f"{NAME}_{name}", NAME, statement, source, verdict, evidence, text, effect=effect)


def _intrinsic_rank(ranks: pd.DataFrame, margin: float, confidence: float) -> Finding:
    """Return whether ranks below the shift's cost accuracy and ranks beyond it bring less than the margin.

    Supported where both hold for every shift, so that no adjustment is needed; contradicted where some rank below
    costs nothing for certain, or the largest rank brings more than the margin for certain.
    """
    examples = int(ranks["train_examples"].max())
    curves = shift_curves(ranks[ranks["train_examples"] == examples], confidence)
    below, beyond = steps_of(curves)
    rising = [each.shift for each, effect in beyond if effect.low is not None and effect.low > 0]
    remains = f" A rise remains for k = {', '.join(map(str, rising))}." if rising else ""
    return _claim(
        "intrinsic_rank",
        "Section 1: an update of low rank suffices where the change that is needed has low rank",
        _suffices([effect for _, effect in below], [effect for _, effect in beyond], 100 * margin),
        f"runs: study={NAME}, experiment=ranks, train_examples={examples}, selected=True",
        f"With {examples:,} examples the change from the smallest r to the shift's rank k is {per_shift(below)} "
        f"points, that from r = k to the largest r {per_shift(beyond)} points; a gain beyond r = k counts "
        f"where it exceeds {100 * margin:g} point.{remains}",
        max((effect for _, effect in beyond), key=lambda e: e.size or 0.0, default=Effect(None, POINTS, n=0)),
    )


def _suffices(below: list[Effect], beyond: list[Effect], margin: float) -> str:
    """Return the verdict on steps up to the shift's rank and beyond it, in points."""
    ends = [(effect.low, effect.high) for effect in beyond]
    if not below or not beyond or any(low is None or high is None for low, high in ends):
        return "undecided"
    if any(low is not None and low > margin for low, _ in ends):
        return "contradicted"
    if any(effect.high is not None and effect.high < 0 for effect in below):
        return "contradicted"
    costs = all(effect.low is not None and effect.low > 0 for effect in below)
    enough = all(high is not None and high < margin for _, high in ends)
    return "supported" if costs and enough else "undecided"


def _comparable(rows: pd.DataFrame) -> Finding:
    """Return whether LoRA is not inferior to full fine-tuning, within the margin, on most target tasks."""
    decided, margin = differing(rows), float(rows["margin"].iloc[0])
    good = int((rows["low"].astype(float) > -margin).sum())
    behind = int(((decided["difference"] < 0) & (decided["low"] <= -margin)).sum())
    verdict = "undecided"
    if 2 * good > len(rows):
        verdict = "supported"
    elif 2 * behind > len(rows):
        verdict = "contradicted"
    return _claim(
        "comparable_to_full",
        "Takeaway 2: LoRA performs comparably to full fine-tuning in many cases",
        verdict,
        f"contrasts: study={NAME}, question={AGAINST_FULL}, method=LoRA",
        f"On {good} of {len(rows)} target tasks the interval excludes a loss of more than {100 * margin:g} point, on "
        f"{behind} LoRA is worse ({rows['adjustment'].iloc[0]}), and {len(rows) - good - behind} are open; most of the "
        "tasks would have to agree.",
        Effect.of_contrast(rows.loc[rows["difference"].idxmin()]),
    )


def _forgets_less(contrasts: pd.DataFrame) -> list[Finding]:
    """Return whether LoRA keeps more of the source than full fine-tuning where both have learnt equally much."""
    rows = contrasts[contrasts["question"].isin((POOLED_FORGETTING, POOLED_EQUAL_LEARNING))].set_index("question")
    if POOLED_EQUAL_LEARNING not in rows.index:
        return []
    equal, best = (Effect.of_contrast(rows.loc[name]) for name in (POOLED_EQUAL_LEARNING, POOLED_FORGETTING))
    verdict = "undecided"
    if equal.excludes_zero:
        verdict = "supported" if (equal.size or 0) > 0 else "contradicted"
    claim = _claim(
        "forgets_less",
        "LoRA forgets less of the source task than full fine-tuning that has learnt as much",
        verdict,
        f"contrasts: study={NAME}, question={POOLED_EQUAL_LEARNING} and {POOLED_FORGETTING}",
        f"At equal validation accuracy on the target LoRA's accuracy on the source task less that of full fine-tuning "
        f"is {equal.in_words()} ({equal.detectable_in_words()}), and {best.in_words(unit='')} where each has the rate "
        "that is best for the target. The source task has nothing in common with the target but the network.",
        equal,
        FORGETS_LESS,
    )
    return [claim]


def _alpha_matters(rows: pd.DataFrame, confidence: float) -> Finding:
    """Return whether some alpha is worse than the selected one although its own learning rate was tuned.

    That no test rejects is no evidence of equality: contradicted only where every alpha is equivalent.
    """
    decided = differing(rows)
    worse = decided[decided["difference"] < 0]
    equal = rows["p_equivalence"].fillna(1.0) < 1 - confidence
    verdict = "supported" if len(worse) else "undecided"
    if not len(worse) and len(rows) and equal.all():
        verdict = "contradicted"
    largest = rows.loc[rows["difference"].abs().idxmax()]
    effect = Effect.of_contrast(largest)
    return _claim(
        "alpha_matters_when_tuned",
        "Takeaway 3: LoRA's accuracy depends on alpha, the learning rate being tuned for each",
        verdict,
        f"contrasts: study={NAME}, question={ALPHA}",
        f"{len(worse)} of {len(rows)} distinct alphas are worse on test than the selected one "
        f"({largest['adjustment']}), the worst by {effect.in_words(unit='points')}; {int(equal.sum())} are equivalent "
        f"within {100 * largest['margin']:g} point. One target task.",
        effect,
    )
