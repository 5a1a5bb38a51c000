"""All runs and learning curves in one table each."""

from __future__ import annotations

from peft_atlas.step import Step


def combine_step(step: Step) -> None:
    """Combine the runs and the learning curves of all jobs."""
    for name in ("runs", "curves"):
        step.write(name, step.read_all(name))
