"""The tables that are recomputed from architecture: parameter counts, and the memory that training takes."""

from __future__ import annotations

from peft_atlas.accounting.attached import parameter_table
from peft_atlas.step import Step


def parameters_step(step: Step) -> None:
    """Count parameters by closed form and on models of the published shapes."""
    step.write("parameters", parameter_table())
