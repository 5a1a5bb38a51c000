"""The check of a task's prepared rows: that nothing is in two splits."""

from __future__ import annotations

from pathlib import Path

from peft_atlas.analysis.finding import ATLAS, Effect, Finding, as_rows
from peft_atlas.step import Step
from peft_atlas.studies.decoder.data.example_contract import DECODER_EXAMPLES, SPLITS
from peft_atlas.studies.decoder.data.items import Item
from peft_atlas.studies.decoder.data.prepare import Splits, shared_groups
from peft_atlas.studies.decoder.jobs import NAME
from peft_atlas.tables.contract import read_table


def leakage_check(splits: Splits, task: str) -> Finding:
    """Return whether a prompt or a group, such as a noun or a problem, is in two splits."""
    shared = shared_groups(splits)
    counts = ", ".join(f"{name} {len(rows):,}" for name, rows in splits.items())
    groups = ", ".join(f"{name} {len({row.group for row in rows}):,}" for name, rows in splits.items())
    return Finding(
        "check",
        f"decoder_leakage_{task}",
        NAME,
        f"In {task} no prompt and no group of prompts is in two splits",
        ATLAS,
        "pass" if shared == 0 else "fail",
        f"studies/decoder/data/prepare.py: {task}",
        f"{shared} prompts or groups are in two splits. Rows: {counts}; groups, which are split by hash as wholes: "
        f"{groups}.",
        effect=Effect(float(shared), "prompts and groups", n=sum(map(len, splits.values()))),
    )


def read_splits(examples: Path) -> Splits:
    """Return the rows of a table of the contract ``decoder_examples``, but for plain text."""
    rows = read_table(DECODER_EXAMPLES, examples)
    parts = {name: rows[rows["split"] == name] for name in SPLITS}
    return {
        name: [Item(row.prompt, row.answer, group=row.group) for row in part.itertuples()]
        for name, part in parts.items()
    }


def check_step(step: Step) -> None:
    """Check the prepared rows of one task."""
    found = leakage_check(read_splits(step.path("examples")), step.wildcards["decoder_task"])
    step.write("findings", as_rows([found]))
