"""The job that makes a task's rows ready for training; it writes no finding, so that wording retrains nothing."""

from __future__ import annotations

import logging
from pathlib import Path

from peft_atlas.models.llama_shape import read_shape
from peft_atlas.packages import check_fetched
from peft_atlas.step import Step
from peft_atlas.studies.decoder.data.example_contract import DECODER_EXAMPLES
from peft_atlas.studies.decoder.data.packages import TEXTWORLD
from peft_atlas.studies.decoder.data.prepare import Sizes, prepared, split_items
from peft_atlas.studies.decoder.packaged import COMMONSENSE
from peft_atlas.studies.encoder.data.sources import Source, read_source
from peft_atlas.studies.encoder.data.text import drift_texts
from peft_atlas.tables.contract import write_table

_LOG = logging.getLogger(__name__)
# Of the packaged texts those that tell a story in whole sentences.
_PLAIN_SOURCE = "sent_movie"


def plain_texts(packaged: Path, count: int) -> list[str]:
    """Return the first texts of a packaged set, by digest, which are not trained on."""
    rows = drift_texts(read_source(Source(_PLAIN_SOURCE, packaged)), count)
    return [str(text) for text in rows["text"]]


def prepare_step(step: Step) -> None:
    """Split and tokenise the rows of one task."""
    params = step.params
    task, file = params["task"], params["file"]
    things, folder = step.path("things"), step.path("model").parent
    # What was fetched could not be looked at before the first job, and a disk may have changed it since.
    if file is None and task == COMMONSENSE:
        check_fetched(TEXTWORLD, things.parent)
    splits = split_items(task, None if file is None else Path(file), things, Sizes(**params["sizes"]))
    plain = plain_texts(step.path("packaged").parent, params["plain"])
    rows = prepared(task, splits, plain, folder, read_shape(folder).context)
    _LOG.info("%s: %s", task, ", ".join(f"{name} {len(items):,} rows" for name, items in splits.items()))
    write_table(DECODER_EXAMPLES, rows, step.output("examples"))
