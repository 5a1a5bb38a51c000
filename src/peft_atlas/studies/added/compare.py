"""Runs that a user has added against full fine-tuning among them, and against a published benchmark's own runs.

An interval comes from seeds where both sides have several, or from the benchmark's reruns at one seed. A difference of
single runs whose noise nobody knows has none, and is not called anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from peft_atlas.analysis.finding import POINTS, Effect
from peft_atlas.analysis.power import detectable_difference
from peft_atlas.analysis.statistics import paired_difference
from peft_atlas.errors import AtlasError
from peft_atlas.studies.added.data import FULL, Cell, tasks

# What a run of the benchmark is compared with.
_PUBLISHED = {
    "full-finetuning/llama-3.2-3B-lr_0.00001": "full fine-tuning",
    "lora/llama-3.2-3B-rank32": "LoRA",
    "full-finetuning/flux2-klein-default": "full fine-tuning",
    "lora/flux2-klein-default": "LoRA",
}
_RERUNS = "95 % Student t over reruns at one seed"


@dataclass(frozen=True)
class Compared:
    """A cell less its reference, in percentage points.

    Parameters
    ----------
    task, model
        What both were run on.
    cell
        The compared cell.
    reference
        What it is compared with, in words.
    effect
        The difference; without interval where its noise is not known.
    evidence
        Rows of the reference, as findings name rows.
    full
        Whether the reference is full fine-tuning.
    remark
        What limits the comparison; empty if nothing does.
    """

    task: str
    model: str
    cell: Cell
    reference: str
    effect: Effect
    evidence: str
    full: bool = True
    remark: str = ""


def comparisons(added: pd.DataFrame, published: pd.DataFrame, confidence: float) -> list[Compared]:
    """Return every comparison of the runs that were added.

    Parameters
    ----------
    added, published
        Tables of the contracts ``added_runs`` and ``benchmark_runs``.
    confidence
        Confidence level of intervals over seeds.
    """
    found = []
    for task, model, cells in tasks(added):
        whole = [cell for cell in cells if cell.method == FULL]
        if len(whole) > 1:
            names = ", ".join(cell.name for cell in whole)
            raise AtlasError(f"added runs of {task}: full fine-tuning at {len(whole)} settings ({names}); allowed: one")
        reference = whole[0] if whole else None
        if reference is not None:
            others = [cell for cell in cells if cell is not reference]
            found += [_own(task, model, cell, reference, confidence) for cell in others]
        for cell in cells:
            found += _against_benchmark(task, model, cell, published)
    return found


def _own(task: str, model: str, cell: Cell, full: Cell, confidence: float) -> Compared:
    """Return a cell's difference from full fine-tuning: by seed where two or more are shared, else of the means."""
    left, right = cell.points, full.points
    shared = left.index.intersection(right.index)
    words = f"full fine-tuning of the same task ({full.name})"
    rows = f"added_runs: task={task}, method={FULL}"
    if len(shared) < 2:
        effect = Effect(float(left.mean() - right.mean()), POINTS, n=min(len(left), len(right)))
        remark = "Fewer than two seeds are shared, so the difference has no interval."
        return Compared(task, model, cell, words, effect, rows, remark=remark)
    estimate = paired_difference(left[shared], right[shared], confidence)
    found = detectable_difference(estimate.sd, estimate.n, 1 - confidence)
    # In points, of which no two accuracies differ by more than 100.
    detectable = None if found is None else min(found, 100.0)
    effect = Effect.of_estimate(estimate, confidence, POINTS, 1.0, detectable)
    return Compared(task, model, cell, words, effect, rows)


def _against_benchmark(task: str, model: str, cell: Cell, published: pd.DataFrame) -> Iterator[Compared]:
    """Yield a cell less the newest published runs of the benchmark whose task it has."""
    rows = published[(published["benchmark"] == task) & (published["base_model"] == model)]
    rows = rows[rows["in_newest_commit"].astype(bool) & rows["pull_request"].isna()]
    for experiment, words in _PUBLISHED.items():
        same = rows[rows["experiment"] == experiment]
        if len(same):
            yield _published(task, model, cell, same.sort_values("run_date").iloc[-1], words, published)


def _published(
    task: str, model: str, cell: Cell, row: pd.Series[object], words: str, published: pd.DataFrame
) -> Compared:
    reference = f"{words} as published ({row['experiment']}, {str(row['run_date'])[:10]})"
    size = float(cell.points.mean()) - 100 * float(str(row["score"]))
    software = cell.runs["software"].dropna()
    known = len(software) and f"transformers {row['transformers']}," in software.iloc[0]
    remark = "Another seed could differ by more."
    if not known:
        remark += (
            " It is not known whether the software was the same; versions alone have changed this benchmark's scores."
        )
    noise = _noise(published, task)
    effect = Effect(size, POINTS, n=len(cell.runs))
    if noise is None:
        remark = f"Single runs, whose noise is not known, so the difference has no interval. {remark}"
    else:
        half, detectable = noise
        effect = Effect(size, POINTS, size - half, size + half, _RERUNS, len(cell.runs), detectable)
    evidence = f"benchmark_runs: benchmark={task}, experiment={row['experiment']}, run_date={row['run_date']}"
    return Compared(task, model, cell, reference, effect, evidence, row["peft_type"] == "FULL", remark)


def _noise(published: pd.DataFrame, task: str) -> tuple[float, float] | None:
    """Return half of the interval of a difference of two runs, and what it would detect; None without reruns."""
    from peft_atlas.studies.record.audit import largest_noise, noises
    from peft_atlas.studies.record.passes import MATH, math_runs

    rows = math_runs(published) if task == MATH else published.iloc[:0]
    if not len(rows) or not noises(rows):
        return None
    noise = largest_noise(rows)
    return noise.half_width(), noise.detectable()
