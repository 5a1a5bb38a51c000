"""Takeaway 1, time: LoRA's training against full fine-tuning's, measured here and in published runs."""

from __future__ import annotations

import re

from peft_atlas.analysis.finding import Effect, Finding
from peft_atlas.studies.literature.judging import (
    Measured,
    Verdict,
    below_one,
    takeaway_claim,
    would_decide,
)
from peft_atlas.studies.literature.published_tables import PublishedTables

_OF_TIME = re.compile(r"second|minute|hour|time|speed|throughput", re.IGNORECASE)
_STATEMENT = "LoRA trains faster than full fine-tuning"
# The answers that compare the two methods' time: measured here, and over the passes of a published benchmark.
_ANSWERS = ("encoder_cost", "record_time")


def faster_claim(tables: PublishedTables, measured: Measured) -> Finding:
    """Return whether LoRA trains in less time than full fine-tuning, by what was measured here and by published runs.

    The verdict is that of all answers if they agree, otherwise it is undecided; the effect is the first answer's.
    """
    known = [measured[name] for name in _ANSWERS if name in measured]
    if not known:
        return _no_times(tables)
    verdicts = {below_one(answer.effect) for answer in known}
    verdict: Verdict = verdicts.pop() if len(verdicts) == 1 else "undecided"
    elsewhere = [measured[name] for name in ("record_time_pairs",) if name in measured]
    return takeaway_claim(
        1,
        "faster_training",
        _STATEMENT,
        verdict,
        "; ".join(f"findings: kind=answer, id={answer.id}; {answer.evidence}" for answer in (*known, *elsewhere)),
        " ".join(answer.detail or "" for answer in (*known, *elsewhere)),
        effect=known[0].effect,
    )


def _no_times(tables: PublishedTables) -> Finding:
    """Return that nothing seen compares the two methods' time."""
    metrics = sorted(tables.published["metric"].unique())
    times = [metric for metric in metrics if _OF_TIME.search(metric)]
    return takeaway_claim(
        1,
        "faster_training",
        _STATEMENT,
        "undecided",
        "published: metric",
        f"Of the {len(metrics)} metrics transcribed {len(times)} are times ({', '.join(metrics)}), and no answer of "
        f"this run compares the two methods' time of training. {would_decide('both timed on one machine')}",
        effect=Effect(None, n=len(times)),
    )
