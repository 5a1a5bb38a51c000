"""All runs, learning curves and items in one table each."""

from __future__ import annotations

from peft_atlas.step import Step
from peft_atlas.tables.configuration_mark import require_configurations
from peft_atlas.tables.contract import write_table
from peft_atlas.tables.schemas import ITEMS


def combine_step(step: Step) -> None:
    """Combine the runs, the learning curves and the items of all jobs.

    A part that was made with another configuration of its study is refused.
    """
    for study, allowed in step.params["configurations"].items():
        parts = [*step.paths("runs"), *step.paths("curves")]
        require_configurations([path for path in parts if path.is_relative_to(f"results/runs/{study}")], allowed)
    for name in ("runs", "curves"):
        step.write(name, step.read_all(name))
    write_table(ITEMS, step.read_all("per_item", "items"), step.output("per_item"))
