"""Claims on intruder dimensions: whether LoRA has more of them, and whether shrinking them repairs forgetting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from peft_atlas.analysis.contrasts import Comparison, Levels, compare
from peft_atlas.analysis.finding import POINTS, Effect, Finding
from peft_atlas.studies.adaptation.equal_learning import kept_at_equal_learning
from peft_atlas.studies.adaptation.jobs import NO_ADAPTATION
from peft_atlas.studies.laboratory.claims import Source, claim
from peft_atlas.studies.laboratory.contrasts import AGAINST_UPDATE, SHRUNK_SOURCE, SHRUNK_TARGET
from peft_atlas.studies.laboratory.jobs import EXACT, INTRUDERS, NAME, RULES, SCALING, VARIANTS
from peft_atlas.tables.schemas import CONTRASTS

# Nothing is quoted: the statements are the abstract's in our words.
ILLUSION = Source("Shuttleworth et al. (arXiv:2410.21228), abstract, paraphrased", "")
_DIRECTIONS = "intruder dimensions"


def intruder_claims(contrasts: pd.DataFrame, counts: pd.DataFrame, levels: Levels) -> list[Finding]:
    """Return the claims on intruder dimensions, each with its verdict.

    Parameters
    ----------
    contrasts
        The laboratory's table of that contract.
    counts
        Intruders of each network, of the contract ``laboratory_intruders``.
    levels
        Confidence level of the intervals, and the margin within which accuracy is kept.
    """
    return [_more(counts, levels.confidence), _repairs(contrasts, levels.margin), _specific(contrasts)]


def _comparisons(counts: pd.DataFrame) -> Iterator[Comparison]:
    """Yield, for each rank, LoRA's intruders against those of full fine-tuning at equal learning."""
    before, full = (counts[counts["method"] == name] for name in (NO_ADAPTATION, "full"))
    for rank, lora in counts[counts["method"] == "LoRA"].groupby("rank", sort=True):
        left, right = kept_at_equal_learning(lora, full, before, "intruders")
        yield Comparison(
            *("intruders_against_full", NAME, "LoRA", int(str(rank)), None, "full", left, right),
            metric=_DIRECTIONS,
            unit=_DIRECTIONS,
        )


def _more(counts: pd.DataFrame, confidence: float) -> Finding:
    """Return whether LoRA has more intruders than full fine-tuning that has learnt as much."""
    rows = pd.DataFrame(compare(NAME, list(_comparisons(counts)), confidence), columns=CONTRASTS.schema().names)
    effects, verdicts = [_in_directions(row) for _, row in rows.iterrows()], _signs(rows)
    chosen = counts[counts["selected"].fillna(value=True).astype(bool)]
    means = chosen.groupby("method")["intruders"].mean()
    references = ", ".join(
        f"{means[name]:.1f} in {said}"
        for name, said in (("full", "full fine-tuning"), (EXACT, "the weights that solve the task exactly"))
        if name in means
    )
    return claim(
        "intruders_more",
        "LoRA has more intruder dimensions than full fine-tuning that has learnt as much",
        ILLUSION,
        _all(verdicts),
        f"runs: study={NAME}, experiment={SCALING}, setting={RULES['two']}; "
        f"runs: study={NAME}, experiment={VARIANTS}, method=full; studies/laboratory/intruders.py: measure",
        f"LoRA less full fine-tuning, at the validation accuracy that both reach: {_by_rank(effects, rows)} "
        f"({_adjusted(rows, effects)}). {_where(verdicts, rows)}At the chosen rates there are {references}.",
        _least(effects, Effect(None, _DIRECTIONS, n=0)),
    )


def _repairs(contrasts: pd.DataFrame, margin: float) -> Finding:
    """Return whether shrinking the intruders gains source accuracy and keeps target accuracy within the margin."""
    source, target = (_primary(contrasts, question) for question in (SHRUNK_SOURCE, SHRUNK_TARGET))
    gains, losses = ([Effect.of_contrast(row) for _, row in rows.iterrows()] for rows in (source, target))
    gained, kept = _signs(source), [_kept(effect, 100 * margin) for effect in losses]
    verdicts = [_all(both) for both in zip(gained, kept, strict=True)]
    # What decides is the cost where there is a gain.
    decisive = losses if _all(gained) == "supported" != _all(kept) else gains
    factor = "a factor" if source.empty else source["setting"].iloc[0].rpartition(" ")[2]
    return claim(
        "intruders_repair",
        "Shrinking LoRA's intruder dimensions repairs forgetting at no cost to the task",
        ILLUSION,
        _all(verdicts),
        f"contrasts: study={NAME}, question={SHRUNK_SOURCE}; contrasts: study={NAME}, question={SHRUNK_TARGET}",
        f"With the intruders' singular values times {factor}, source accuracy changes by {_by_rank(gains, source)} "
        f"points ({_adjusted(source, gains)}), and target accuracy by {_by_rank(losses, target)} "
        f"({_adjusted(target, losses)}). A loss of target accuracy below {100 * margin:g} point counts as none. "
        f"{_where(verdicts, source)}".rstrip(),
        _least(decisive, Effect(None, POINTS, n=0)),
    )


def _specific(contrasts: pd.DataFrame) -> Finding:
    """Return whether shrinking the intruders keeps more of the source than shrinking the whole update as much."""
    rows = _primary(contrasts, AGAINST_UPDATE)
    update = contrasts[contrasts["setting"].isin(rows["reference"]) & (contrasts["question"] == SHRUNK_TARGET)]
    update = update.sort_values("rank")
    effects, costs = ([Effect.of_contrast(row) for _, row in each.iterrows()] for each in (rows, update))
    verdicts = _signs(rows)
    return claim(
        "intruders_specific",
        "Shrinking the intruder dimensions repairs more than shrinking LoRA's whole update as much",
        None,
        _all(verdicts),
        f"contrasts: study={NAME}, question={AGAINST_UPDATE}; runs: study={NAME}, experiment={INTRUDERS}",
        f"Source accuracy with the intruders shrunk, less that with the update shrunk by the same factor: "
        f"{_by_rank(effects, rows)} points ({_adjusted(rows, effects)}). Shrinking the update changes target accuracy "
        f"by {_by_rank(costs, update)} ({_adjusted(update, costs)}). {_where(verdicts, rows)}The comparison was added "
        "after a first look at such runs.",
        _least(effects, Effect(None, POINTS, n=0)),
    )


def _primary(contrasts: pd.DataFrame, question: str) -> pd.DataFrame:
    rows = contrasts[(contrasts["question"] == question) & (contrasts["role"] == "primary")]
    return rows.sort_values("rank")


def _in_directions(row: pd.Series[float]) -> Effect:
    size, low, high, found = (
        None if pd.isna(row[name]) else float(row[name]) for name in ("difference", "low", "high", "detectable")
    )
    return Effect(size, _DIRECTIONS, low, high, str(row["interval"]), int(row["n"]), found)


def _signs(rows: pd.DataFrame) -> list[str]:
    return [_sign(row) for _, row in rows.iterrows()]


def _sign(row: pd.Series[float]) -> str:
    """Return whether a difference is positive, by the adjusted test and the interval."""
    if pd.isna(row["indistinguishable"]) or bool(row["indistinguishable"]):
        return "undecided"
    return "supported" if row["difference"] > 0 else "contradicted"


def _kept(effect: Effect, limit: float) -> str:
    """Return whether a change is no loss beyond a limit."""
    if effect.low is None or effect.high is None:
        return "undecided"
    return "supported" if effect.low > -limit else "contradicted" if effect.high < -limit else "undecided"


def _all(verdicts: Sequence[str]) -> str:
    """Return the verdict on a statement that is to hold everywhere."""
    if "contradicted" in verdicts:
        return "contradicted"
    return "supported" if verdicts and set(verdicts) == {"supported"} else "undecided"


def _where(verdicts: Sequence[str], rows: pd.DataFrame) -> str:
    """Return at which ranks a statement has which verdict, where these differ."""
    ranks: dict[str, list[str]] = {}
    for verdict, rank in zip(verdicts, rows["rank"], strict=True):
        ranks.setdefault(verdict, []).append(str(rank))
    parts = [f"{verdict} at r = {', '.join(each)}" for verdict, each in sorted(ranks.items(), reverse=True)]
    return f"{'; '.join(parts)}. ".capitalize() if len(parts) > 1 else ""


def _by_rank(effects: Sequence[Effect], rows: pd.DataFrame) -> str:
    parts = [f"{effect.in_words(unit='')} at r = {rank}" for effect, rank in zip(effects, rows["rank"], strict=True)]
    return ", ".join(parts) or "not measured"


def _adjusted(rows: pd.DataFrame, effects: Sequence[Effect]) -> str:
    """Return how tests are adjusted, and what the least sensitive one would have found."""
    found = [effect for effect in effects if effect.detectable is not None]
    adjustment = "no comparison" if rows.empty else str(rows["adjustment"].iloc[0])
    if not found:
        return adjustment
    least = max(found, key=lambda effect: effect.detectable or 0.0).detectable_in_words(unit="")
    return f"{adjustment}; {least.strip()}"


def _least(effects: Sequence[Effect], none: Effect) -> Effect:
    """Return the effect that speaks least for a statement that all of them are positive."""
    return min(effects, key=lambda effect: effect.size or 0.0, default=none)
