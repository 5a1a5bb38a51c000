"""What can be known before the first job of the decoder study: whether the user's files and model will do."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from peft_atlas.errors import AtlasError
from peft_atlas.snakemake_support.model_location import is_fetched, is_path, model_folder
from peft_atlas.studies.decoder.jobs import NAME
from peft_atlas.studies.decoder.packaged import ARITHMETIC, PACKAGED_MODEL, RANDOM_MODEL

if TYPE_CHECKING:
    from peft_atlas.config import StudyConfig

# The packaged model, and states of a search of full fine-tuning: weights with both moments, for three rates.
_ROOM = 5_000_000_000


def preflight(config: StudyConfig, folder: Path | None = None) -> None:
    """Check what the decoder study's jobs will read and the room for their states, without starting one.

    Parameters
    ----------
    config
        The configuration; a study that it leaves out is not looked at.
    folder
        Where the workflow runs; the current folder if None.

    Raises
    ------
    AtlasError
        One line that names the first thing that will not do, and what is allowed.
    """
    if NAME not in config.studies:
        return
    own, place = config.decoder, folder or Path.cwd()
    from peft_atlas.models.llama_shape import check_decoder
    from peft_atlas.studies.decoder.data.prepare import Sizes, split_items

    for task in own.tasks:
        if task.file is not None or task.name == ARITHMETIC:
            sizes = Sizes(task.train_examples, task.validation_examples, task.test_examples)
            split_items(task.name, None if task.file is None else place / task.file, None, sizes)
    if not is_fetched(own.model):
        check_decoder(place / model_folder(own.model))
    elif own.model != RANDOM_MODEL and is_path(own.model):
        raise AtlasError(
            f"decoder.model = {own.model!r}: no such folder; allowed: {PACKAGED_MODEL}, {RANDOM_MODEL}, a name on the "
            "hub, or a folder that save_pretrained wrote"
        )
    free = shutil.disk_usage(place).free
    if own.model != RANDOM_MODEL and free < _ROOM:
        raise AtlasError(f"{place}: {free / 1e9:.1f} GB free; allowed: at least {_ROOM / 1e9:g} GB, for states of runs")
