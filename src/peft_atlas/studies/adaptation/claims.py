"""The notebook's claims on fine-tuning, which only a pretrained base can test, judged by the adaptation study."""

from __future__ import annotations

import pandas as pd

from peft_atlas.analysis.finding import POINTS, SEED_NOTEBOOK, Effect, Finding
from peft_atlas.studies.adaptation.answers import slopes
from peft_atlas.studies.adaptation.contrasts import AGAINST_FULL, ALPHA

SCOPE = "Measured on a small network whose target is a shift of known rank; it decides nothing for large models."


def adaptation_claims(runs: pd.DataFrame, contrasts: pd.DataFrame, confidence: float) -> list[Finding]:
    """Return the claims that the adaptation study can judge, each with its verdict.

    Parameters
    ----------
    runs, contrasts
        Tables of those contracts, of the adaptation study alone.
    confidence
        Confidence level of the intervals; 1 minus it is the level of the tests.
    """
    chosen = runs[runs["selected"].fillna(value=True)]
    ranks = chosen[(chosen["experiment"] == "ranks") & (chosen["method"] == "LoRA")]
    return [
        _intrinsic_rank(ranks, confidence),
        _comparable(contrasts, confidence),
        _alpha_matters(contrasts),
    ]


def _claim(
    name: str, statement: str, verdict: str, evidence: str, detail: str, effect: Effect | None = None
) -> Finding:
    id_, text = f"adaptation_{name}", f"{detail} {SCOPE}"
    return Finding("claim", id_, "adaptation", statement, SEED_NOTEBOOK, verdict, evidence, text, effect=effect)


def _intrinsic_rank(ranks: pd.DataFrame, confidence: float) -> Finding:
    """Return whether a rank beyond that of the needed update brings nothing more, while one below it costs."""
    examples = int(ranks["train_examples"].max())
    rows = ranks[ranks["train_examples"] == examples]
    up, past = (slopes(rows, confidence, beyond=beyond) for beyond in (False, True))
    verdict = "undecided"
    if up.low is not None and up.high is not None and past.low is not None:
        if up.low > 0:
            verdict = "contradicted" if past.low > 0 else "supported"
        elif up.high < 0:
            verdict = "contradicted"
    effects = [Effect.of_estimate(side, confidence, f"{POINTS} a doubling", 100) for side in (up, past)]
    words = [e.in_words(2) for e in effects]
    return _claim(
        "intrinsic_rank",
        "Section 1: an update of low rank suffices where the change that is needed has low rank",
        verdict,
        f"runs: study=adaptation, experiment=ranks, train_examples={examples}, selected=True",
        f"With {examples:,} examples a doubling of r up to the shift's rank changes test accuracy by {words[0]}, one "
        f"beyond it by {words[1]}.",
        effect=effects[1],
    )


def _comparable(contrasts: pd.DataFrame, confidence: float) -> Finding:
    """Return whether LoRA is as accurate as full fine-tuning, or more, on most target tasks."""
    rows = contrasts[(contrasts["question"] == AGAINST_FULL) & (contrasts["method"] == "LoRA")]
    equal = rows["p_equivalence"].fillna(1.0) < 1 - confidence
    told = ~rows["indistinguishable"].fillna(value=True).astype(bool)
    better, worse = told & (rows["difference"] > 0), told & (rows["difference"] < 0)
    comparable, behind = int((equal | better).sum()), int((worse & ~equal).sum())
    verdict = "undecided"
    if 2 * comparable > len(rows):
        verdict = "supported"
    elif 2 * behind > len(rows):
        verdict = "contradicted"
    return _claim(
        "comparable_to_full",
        "Takeaway 2: LoRA performs comparably to full fine-tuning in many cases",
        verdict,
        "contrasts: study=adaptation, question=method_against_full, method=LoRA",
        f"On {comparable} of {len(rows)} target tasks it is equivalent or better, on {behind} worse, and "
        f"{len(rows) - comparable - behind} cannot be told.",
        effect=Effect.of_contrast(rows.loc[rows["difference"].idxmin()]),
    )


def _alpha_matters(contrasts: pd.DataFrame) -> Finding:
    """Return whether some alpha is worse than the selected one although its own learning rate was tuned."""
    rows = contrasts[contrasts["question"] == ALPHA]
    told = rows[~rows["indistinguishable"].fillna(value=True).astype(bool)]
    known = rows[rows["indistinguishable"].notna()]
    verdict = "undecided" if known.empty else ("supported" if len(told) else "contradicted")
    largest = rows.loc[rows["difference"].abs().idxmax()]
    return _claim(
        "alpha_matters_when_tuned",
        "Takeaway 3: LoRA's accuracy depends on alpha, the learning rate being tuned for each",
        verdict,
        "contrasts: study=adaptation, question=alpha_against_selected",
        f"{len(told)} of {len(rows)} alphas can be told from the selected one on test ({largest['adjustment']}).",
        effect=Effect.of_contrast(largest),
    )
