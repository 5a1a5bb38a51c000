"""What can be known before the first job: whether the user's files, model and device will do.

Snakemake removes a job's outputs when the job starts, so a fault that only a job finds costs what was there. The
workflow calls `preflight` while it is parsed, and `check_device` when a run starts whose jobs run on this machine.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from peft_atlas.errors import AtlasError
from peft_atlas.files import require_temporary_room, slug
from peft_atlas.methods.names import setting_names
from peft_atlas.snakemake_support.model_location import is_fetched, is_path, model_folder
from peft_atlas.studies.encoder.jobs import CONTROLS, NAME, most_examples
from peft_atlas.studies.encoder.packaged import PACKAGED_MODEL, PACKAGED_POSITIONS

if TYPE_CHECKING:
    from peft_atlas.config import StudyConfig
    from peft_atlas.studies.encoder.config import EncoderConfig, TextTaskConfig

# What a study writes at most apart from its checkpoints: tables, figures and the report.
_TABLES = 100_000_000
# What passes through temporary files: adapters for peft, and what a browser keeps while it prints the report.
_TEMPORARY = 50_000_000
# Checkpoints of runs under way hold weights and two moments of the optimiser.
_STATES = 3


def preflight(config: StudyConfig, folder: Path | None = None) -> None:
    """Check what the encoder study's jobs will read and the room for what they write, without starting one.

    A study that the configuration leaves out is not looked at. What has to be fetched first is checked when it is
    there.

    Parameters
    ----------
    config
        The configuration.
    folder
        Where the workflow runs; the current folder if None.

    Raises
    ------
    AtlasError
        One line that names the first thing that will not do, and what is allowed.
    """
    if NAME not in config.studies:
        return
    own, place = config.encoder, folder or Path.cwd()
    _check_peft_methods(own)
    for task in own.tasks:
        if task.file is not None or task.dataset is not None:
            _check_task(own, task, place)
    _check_model(own, place)
    _check_room(own, place)


def check_device(config: StudyConfig) -> None:
    """Check that this machine has the device that training is to run on.

    Raises
    ------
    AtlasError
        If CUDA is asked for and there is none.
    """
    # Importing torch takes two seconds, which only they wait for who ask for a GPU.
    if config.device == "cuda":
        from peft_atlas.training.population import resolve_device

        resolve_device(config.device)


def _check_peft_methods(config: EncoderConfig) -> None:
    """Check the names of methods of peft, which no other method may have, and what peft is asked for."""
    if not config.peft_methods:
        return
    # Importing peft takes seconds, which only they wait for who name a method of it.
    from peft_atlas.studies.encoder.peft_settings import peft_config

    labels = {name.partition(" (")[0] for name in setting_names()}
    taken = {slug(name): name for name in (*labels, *setting_names(), *CONTROLS)}
    for method in config.peft_methods:
        if (other := taken.get(slug(method.name))) is not None:
            raise AtlasError(f"encoder.peft_methods: name {method.name!r}: allowed: one unlike that of {other!r}")
        taken[slug(method.name)] = method.name
        peft_config(method.name, method.peft)


def _check_task(config: EncoderConfig, task: TextTaskConfig, folder: Path) -> None:
    """Read a user's texts and split them, as the task's first job will; a data set of the hub is not fetched."""
    from peft_atlas.studies.encoder.data.dataset import csv_files
    from peft_atlas.studies.encoder.data.prepare import labelled_texts
    from peft_atlas.studies.encoder.data.sources import Source
    from peft_atlas.studies.encoder.data.text import SplitSizes, split

    file = None if task.file is None else folder / task.file
    dataset = None if task.dataset is None else str(folder / task.dataset)
    if dataset is not None and (task.subset is not None or not csv_files(dataset)):
        return
    source = Source(task.name, file=file, dataset=dataset, text=task.text, label=task.label)
    sizes = SplitSizes(most_examples(config), config.validation_examples, config.test_examples)
    split(labelled_texts(source).rows, sizes, task.name)


def _check_model(config: EncoderConfig, folder: Path) -> None:
    """Look at a user's model; of the packaged one the positions are known."""
    from peft_atlas.models.folder import check_folder

    if not is_fetched(config.model):
        check_folder(folder / model_folder(config.model), config.max_length)
    elif config.model == PACKAGED_MODEL:
        if config.max_length > PACKAGED_POSITIONS:
            allowed = f"at most {PACKAGED_POSITIONS}, the positions of {PACKAGED_MODEL}"
            raise AtlasError(f"encoder.max_length = {config.max_length}: allowed: {allowed}")
    elif is_path(config.model):
        raise AtlasError(
            f"encoder.model = {config.model!r}: no such folder; allowed: {PACKAGED_MODEL}, a name on the hub, or a "
            "folder that save_pretrained wrote"
        )


def _check_room(config: EncoderConfig, folder: Path) -> None:
    """Raise an AtlasError without room for tables, for checkpoints of one run of a user's model, or temporary files."""
    weights = 0
    if not is_fetched(config.model):
        from peft_atlas.models.folder import shards

        model = folder / model_folder(config.model)
        weights = sum((model / name).stat().st_size for name in shards(model))
    needed, free = _TABLES + _STATES * weights, shutil.disk_usage(folder).free
    if free < needed:
        raise AtlasError(
            f"{os.fspath(folder)}: {free / 1e6:,.0f} MB free; allowed: at least {needed / 1e6:,.0f} MB for tables and "
            "checkpoints"
        )
    require_temporary_room(_TEMPORARY)
