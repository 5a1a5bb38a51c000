"""Measured training peaks as runs that can be predicted, and what their source leaves unsaid; imports no pandas.

All but those of `benchmarks/gpu_memory.py` are published by others.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from peft_atlas.planning.closed_form import Step
from peft_atlas.planning.counts import attach, count
from peft_atlas.planning.methods import find_method
from peft_atlas.planning.moments import (
    Moment,
    adapter_weight_bytes,
    frozen_bytes,
    gradient_bytes,
    optimizer_bytes,
    peak,
)
from peft_atlas.planning.settings import Settings
from peft_atlas.planning.shapes import find_architecture, rows
from peft_atlas.planning.stacks import RULES, as_laid_out, settled, without_observed

OUT_OF_MEMORY = "OOM"
# The sources that a rule of `peft_atlas.planning.stacks` was read off, so that it is taken back for a test on them.
OBSERVED_ON = frozenset({"litgpt resource tables"})


@dataclass(frozen=True)
class Run:
    """One measured run: settings, what it peaked at (GB of 10^9 bytes), and where that comes from.

    ``excluded`` says why it cannot be predicted, and is empty where it can. ``assumed`` says which setting the source
    leaves open and how it was set. ``measured_gb`` is None where the peak is not known or the run ran out of memory.
    """

    record: str
    source: str
    model: str
    method: str
    rank: int | None
    targets: tuple[str, ...]
    settings: Settings | None
    gpu_gb: float | None
    outcome: str
    measured_gb: float | None
    measure: str
    assumed: str
    excluded: str
    origin: str

    @property
    def out_of_memory(self) -> bool:
        """Return whether the run did not fit on its card."""
        return self.outcome == OUT_OF_MEMORY


def measured_runs(path: Path | None = None) -> tuple[Run, ...]:
    """Return every run of the shipped tables, the published ones and our own, or of another with the same columns."""
    if path is None:
        return _shipped()
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(_run(row) for row in csv.DictReader(file))


@cache
def _shipped() -> tuple[Run, ...]:
    return tuple(_run(row) for name in ("measured.csv", "measured_here.csv") for row in rows(name))


def _run(row: Mapping[str, str]) -> Run:
    return Run(
        record=row["record"], source=row["source"], model=row["model"], method=row["method"],
        rank=int(row["rank"]) if row["rank"] else None, targets=tuple(filter(None, row["targets"].split("|"))),
        settings=None if row["excluded"] else _settings(row),
        gpu_gb=float(row["gpu_gb"]) if row["gpu_gb"] else None, outcome=row["outcome"],
        measured_gb=float(row["measured_gb"]) if row["measured_gb"] else None, measure=row["measure"],
        assumed=row["assumed"], excluded=row["excluded"],
        origin=f"{row['repository']} {row['commit']} {row['path']} {row['line']}".strip(),
    )  # fmt: skip


def _settings(row: Mapping[str, str]) -> Settings:
    return Settings(
        micro_batch=int(row["micro_batch"]), sequence=int(row["sequence"]), precision=row["precision"],
        quantization=row["quantization"], adapter_dtype=row["adapter_dtype"], autocast=row["autocast"] == "yes",
        optimizer=row["optimizer"], checkpointing=row["checkpointing"] == "yes",
        accumulation=int(row["accumulation"]), fused_step=row["fused_step"] == "yes",
        chunked_loss=row["chunked_loss"] == "yes", dropout=float(row["dropout"] or 0), stack=row["stack"],
    )  # fmt: skip


def step_of(run: Run, *, observed: bool = True) -> Step:
    """Return a run that is not excluded as a step of the closed form.

    ``observed`` = False takes back the rules that were read off measured peaks.
    """
    assert run.settings is not None, run.excluded
    stack = run.settings.stack
    found = find_architecture(run.model)
    architecture, settings = as_laid_out(found, stack), settled(found, run.settings)
    attachment = attach(architecture, find_method(run.method), run.rank, run.targets)
    rules = RULES[stack] if observed else without_observed(RULES[stack])
    return Step(architecture, attachment, count(architecture, attachment), settings, rules)


def predict(run: Run, *, observed: bool = True) -> Moment:
    """Return the predicted peak of a run that is not excluded; ``observed`` as in `step_of`."""
    return peak(step_of(run, observed=observed))


def stated_floor(run: Run) -> int:
    """Return the bytes that weights, gradients and moments take by the settings that the source states."""
    step = step_of(run)
    gradients = 0 if step.settings.fused_step else gradient_bytes(step)
    return frozen_bytes(step) + adapter_weight_bytes(step) + gradients + optimizer_bytes(step)
