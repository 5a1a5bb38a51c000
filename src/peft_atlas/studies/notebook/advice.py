"""What the notebook study advises: the rank of LoRA on a small network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from peft_atlas.analysis.finding import ATLAS, Finding
from peft_atlas.studies.notebook.jobs import NAME


def notebook_advice(answers: Sequence[Finding]) -> Iterator[Finding]:
    """Yield the study's advice, which rests on its answer about ranks.

    Parameters
    ----------
    answers
        The study's answers.
    """
    trend = next((answer for answer in answers if answer.id == "notebook_rank_trend"), None)
    if trend is None or trend.effect is None or trend.effect.size is None:
        return
    helps = trend.effect.excludes_zero and trend.effect.size > 0
    yield Finding(
        "advice",
        "notebook_advice_rank",
        NAME,
        "Do not take the smallest rank." if helps else "Leave the rank small.",
        ATLAS,
        "measured",
        "findings: kind=answer, id=notebook_rank_trend",
        f"{(trend.detail or '').partition(' Between')[0]} A network of two layers, on a synthetic task.",
        trend.effect,
    )
