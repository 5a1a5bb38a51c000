"""The bytes that training takes, by base model, method and precision, as a result table."""

from __future__ import annotations

from peft_atlas.accounting.memory import memory_table
from peft_atlas.step import Step


def memory_step(step: Step) -> None:
    """Compute the bytes."""
    step.write("memory", memory_table())
