"""How far results move where a processor rounds otherwise: the same runs without its vector instructions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import torch

from peft_atlas.analysis.finding import ATLAS, Effect, Finding, as_rows
from peft_atlas.step import Step
from peft_atlas.studies.notebook.config import NotebookConfig
from peft_atlas.studies.notebook.train import Block, train_sweep

# Settings with which torch, MKL and oneDNN compute as on the plainest processor they support.
PLAIN_PROCESSOR = {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE", "ONEDNN_MAX_CPU_ISA": "SSE41"}
# Of one run: cross-entropy in nats, and accuracy as a fraction or, where a split is small, as examples of it.
LOSS_TOLERANCE = 0.01
ACCURACY_TOLERANCE = 0.01
EXAMPLES_TOLERANCE = 2
_LOSSES = ("train_loss", "validation_loss", "test_loss")
_ACCURACIES = ("validation_accuracy", "test_accuracy")

Metrics = list[list[float | None]]


def rounding_check(config: NotebookConfig, seeds: Sequence[int]) -> Finding:
    """Return how far the sweep's runs of some seeds move on a plain processor, against the stated tolerance.

    A diverged run has no metrics, and must diverge there too.
    """
    here = measure(config, seeds)
    there = _measure_plainly(config, seeds)
    losses = _largest(here, there, range(len(_LOSSES)))
    accuracies = _largest(here, there, range(len(_LOSSES), len(_LOSSES) + len(_ACCURACIES)))
    smallest = min(config.data.validation_examples, config.data.test_examples)
    allowed = max(ACCURACY_TOLERANCE, EXAMPLES_TOLERANCE / smallest)
    equal = sum(left == right for left, right in zip(here, there, strict=True))
    return Finding(
        "check",
        "rounding",
        "notebook",
        "On a processor that rounds otherwise a run's losses stay within "
        f"{LOSS_TOLERANCE:g} nats and its accuracies within {allowed:.2g}",
        ATLAS,
        "pass" if losses <= LOSS_TOLERANCE and accuracies <= allowed else "fail",
        f"studies/notebook/rounding_check.py: sweep, seeds {', '.join(map(str, seeds))}",
        f"{len(here)} runs were trained twice here, with and without vector instructions: {equal} are equal bit for "
        f"bit; the largest difference is {losses:.2g} nats in a loss and {accuracies:.2g} in an accuracy.",
        effect=Effect(accuracies, "largest absolute difference in accuracy", n=len(here)),
    )


def measure(config: NotebookConfig, seeds: Sequence[int]) -> Metrics:
    """Return losses and accuracies of the sweep's runs, one row per run, trained on the CPU of this process."""
    runs, _ = train_sweep(Block(config, "held_out", tuple(seeds), "cpu"))
    return [[run[name] for name in (*_LOSSES, *_ACCURACIES)] for run in runs]


def _measure_plainly(config: NotebookConfig, seeds: Sequence[int]) -> Metrics:
    """Return what `measure` does in a process that may not use vector instructions."""
    request = json.dumps({"config": config.model_dump(mode="json"), "seeds": list(seeds)})
    done = subprocess.run(
        [sys.executable, "-m", __name__],
        input=request,
        env={**os.environ, **PLAIN_PROCESSOR},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def _largest(here: Metrics, there: Metrics, columns: Sequence[int]) -> float:
    """Return the largest absolute difference in some columns; infinite where one has a number and the other none."""
    left = np.array(here, dtype=np.float64)[:, list(columns)]
    right = np.array(there, dtype=np.float64)[:, list(columns)]
    if not np.array_equal(np.isnan(left), np.isnan(right)):
        return float("inf")
    return float(np.nanmax(np.abs(left - right), initial=0.0))


def _answer() -> None:
    """Read a request from standard input, measure, and write the answer to standard output."""
    request = json.load(sys.stdin)
    torch.set_num_threads(1)
    json.dump(measure(NotebookConfig.model_validate(request["config"]), request["seeds"]), sys.stdout)


if __name__ == "__main__":
    _answer()


def rounding_step(step: Step) -> None:
    """Run the check of rounding."""
    config = NotebookConfig.model_validate(step.params["config"])
    step.write("findings", as_rows([rounding_check(config, step.params["seeds"])]))
