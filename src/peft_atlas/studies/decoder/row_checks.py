"""A task's rows made ready for training, and the check that nothing is in two splits."""

from __future__ import annotations

import logging
from pathlib import Path

from peft_atlas.analysis.finding import ATLAS, Effect, Finding, as_rows
from peft_atlas.models.llama_shape import read_shape
from peft_atlas.packages import check_fetched
from peft_atlas.step import Step
from peft_atlas.studies.decoder.data.example_contract import DECODER_EXAMPLES
from peft_atlas.studies.decoder.data.packages import TEXTWORLD
from peft_atlas.studies.decoder.data.prepare import Sizes, Splits, prepared, shared_groups, split_items
from peft_atlas.studies.decoder.jobs import NAME
from peft_atlas.studies.decoder.packaged import COMMONSENSE
from peft_atlas.studies.encoder.data.sources import Source, read_source
from peft_atlas.studies.encoder.data.text import drift_texts
from peft_atlas.tables.contract import write_table

_LOG = logging.getLogger(__name__)
# Of the packaged texts those that tell a story in whole sentences.
_PLAIN_SOURCE = "sent_movie"


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


def plain_texts(packaged: Path, count: int) -> list[str]:
    """Return the first texts of a packaged set, by digest, which are not trained on."""
    rows = drift_texts(read_source(Source(_PLAIN_SOURCE, packaged)), count)
    return [str(text) for text in rows["text"]]


def prepare_step(step: Step) -> None:
    """Split, check and tokenise the rows of one task."""
    params = step.params
    task, file = params["task"], params["file"]
    things, folder = step.path("things"), step.path("model").parent
    # What was fetched could not be looked at before the first job, and a disk may have changed it since.
    if file is None and task == COMMONSENSE:
        check_fetched(TEXTWORLD, things.parent)
    splits = split_items(task, None if file is None else Path(file), things, Sizes(**params["sizes"]))
    plain = plain_texts(step.path("packaged").parent, params["plain"])
    rows = prepared(task, splits, plain, folder, read_shape(folder).context)
    found = leakage_check(splits, task)
    _LOG.info("%s: %s", task, found.detail)
    write_table(DECODER_EXAMPLES, rows, step.output("examples"))
    step.write("findings", as_rows([found]))
