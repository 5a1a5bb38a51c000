"""Run a rule's step: the function of the library that its parameter ``step`` names."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import cast

from peft_atlas.snakemake_support.job_log import job
from peft_atlas.step import Step


def step_function(name: str) -> Callable[[Step], None]:
    """Return the function that a rule names, for example ``studies.notebook.train:train_sweep``."""
    module, _, function = name.partition(":")
    return cast("Callable[[Step], None]", getattr(importlib.import_module(f"peft_atlas.{module}"), function))


def run_step(step: Step, threads: int, log: str) -> None:
    """Run a job: log, lock, one line for a fault that its user can fix, and no more threads than it was given.

    Parameters
    ----------
    step
        The job; its parameter ``step`` names the function.
    threads
        Threads that torch may use, where the step uses torch.
    log
        The job's log file.

    Raises
    ------
    SystemExit
        As `job`.
    """
    with job(log):
        function = step_function(step.params["step"])
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(threads)
        function(step)
