"""The place of the planner in the report, which answers whether a model fits a card."""

from __future__ import annotations

from peft_atlas.report.content import Block, Code, Paragraph, Section
from peft_atlas.report.material import Material

COMMANDS = (
    "peft-atlas plan Llama-3.2-3B --gpu 24 --batch 4 --sequence 768   # every method on this card\n"
    "peft-atlas plan path/to/config.json --gpu 24                     # any model with a config.json"
)


def fit_section(material: Material) -> Section:
    """Return the section "Will it fit?". The panel of the planner belongs here, in place of the command."""
    blocks: list[Block] = [
        Paragraph(
            "The planner computes weights, gradients, optimiser states and activations of a model, method, batch and "
            "length, and says whether they fit your card. It needs no run, only the model's name or config.json."
        ),
        Code(COMMANDS),
    ]
    return Section("fit", "Will it fit?", blocks)
