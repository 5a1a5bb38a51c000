"""Settings that somebody ran and what they reached, and how long a step took relative to full fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from peft_atlas.planning.shapes import rows

SHOWN = 3


@dataclass(frozen=True)
class Evidence:
    """One setting of one source: rate, rank, matrices, and the score it reached; ``origin`` finds the row again."""

    method: str
    model: str
    rank: str
    targets: str
    learning_rate: float
    score_name: str
    score: float
    kind: str
    source: str
    origin: str


@dataclass(frozen=True)
class TimeRatio:
    """Seconds of training steps in units of those of full fine-tuning, in the same benchmark on the same card."""

    low: float
    high: float
    runs: int
    source: str


def evidence_for(method: str, model: str) -> tuple[Evidence, ...]:
    """Return settings of a method: those on the same model first, then those with the best scores of one benchmark."""
    found = [row for row in rows("evidence.csv") if row["method"] == method]
    own = [row for row in found if _same(row["model"], model)]
    others = sorted((row for row in found if row["step_seconds"]), key=lambda row: -float(row["score"]))
    chosen = list(dict.fromkeys(row["line"] + row["path"] for row in [*own, *others]))[:SHOWN]
    by_place = {row["line"] + row["path"]: row for row in found}
    return tuple(_evidence(by_place[place]) for place in chosen)


def _same(one: str, other: str) -> bool:
    first, second = (name.rsplit("/", 1)[-1].lower().removesuffix("-instruct") for name in (one, other))
    return first == second


def _evidence(row: Mapping[str, str]) -> Evidence:
    return Evidence(
        method=row["method"], model=row["model"], rank=row["rank"], targets=row["targets"],
        learning_rate=float(row["learning_rate"]), score_name=row["score_name"], score=float(row["score"]),
        kind=row["kind"], source=row["source"],
        origin=f"{row['repository']} {row['commit']} {row['path']} {row['line']}",
    )  # fmt: skip


def time_ratio(method: str) -> TimeRatio | None:
    """Return step seconds relative to full fine-tuning in peft's benchmark (Llama-3.2-3B, L40S), None without a run."""
    timed = [row for row in rows("evidence.csv") if row["step_seconds"]]
    whole = [float(row["step_seconds"]) for row in timed if row["method"] == "full"]
    own = [float(row["step_seconds"]) for row in timed if row["method"] == method]
    if not whole or not own:
        return None
    return TimeRatio(min(own) / whole[0], max(own) / whole[0], len(own), timed[0]["source"])
