"""The study's language model in a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from peft_atlas.models.decoder import SMALL
from peft_atlas.models.packaged_decoder import fetch_decoder, write_random
from peft_atlas.step import Step
from peft_atlas.studies.decoder.packaged import RANDOM_MODEL

# A prompt with examples before it is a few hundred bytes long, each of which is a token.
_POSITIONS = 2048


def put_model(name: str, folder: Path) -> None:
    """Put a language model's ``config.json``, ``model.safetensors`` and ``tokenizer.json`` into a folder.

    Raises
    ------
    AtlasError
        If it can neither be found in a cache nor fetched.
    """
    if name == RANDOM_MODEL:
        write_random(folder, replace(SMALL, max_position_embeddings=_POSITIONS))
    else:
        fetch_decoder(name, folder)


def fetch_step(step: Step) -> None:
    """Fetch the language model of a run, or draw it."""
    put_model(step.params["model"], step.output("model").parent)
