"""A pretrained model's files from the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from peft_atlas.errors import AtlasError
from peft_atlas.files import write_whole
from peft_atlas.models.folder import CONFIG, INDEX, TOKENIZER, WEIGHTS, shards

FILES = (CONFIG, WEIGHTS, TOKENIZER)


def fetch_from_hub(name: str, folder: Path, setting: str, packaged: Sequence[str]) -> None:
    """Put a model's `FILES` into a folder.

    Parameters
    ----------
    name
        Its name on the hub.
    folder
        Where it is put.
    setting
        The key of the configuration that gave the name, for messages.
    packaged
        Models that can be had without the hub, for messages.

    Raises
    ------
    AtlasError
        If they can neither be found in a cache nor fetched.
    """
    from huggingface_hub import snapshot_download

    try:
        snapshot_download(name, local_dir=folder, allow_patterns=[*FILES, INDEX, "model-*.safetensors"])
    except Exception as error:
        # The hub's client raises errors of a dozen kinds, among them those of its HTTP library.
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        raise AtlasError(
            f"{setting} = {name!r}: cannot be fetched ({cause}); allowed: {', '.join(packaged)}, which comes "
            "inside a package, a name on the hub with the hub in reach, or a folder that save_pretrained wrote"
        ) from None
    _join_shards(folder)
    missing = [file for file in FILES if not (folder / file).is_file()]
    if missing:
        raise AtlasError(f"{setting} = {name!r}: the hub has no {', '.join(missing)} of it; allowed: safetensors")


def _join_shards(folder: Path) -> None:
    """Put weights that came in several files into one, which the workflow names."""
    names = shards(folder)
    if names == [WEIGHTS]:
        return
    from safetensors.torch import load_file, save_file

    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise AtlasError(f"{folder / missing[0]}: no such file; allowed: every file that {INDEX} names")
    tensors = {name: tensor for file in names for name, tensor in load_file(folder / file).items()}
    write_whole(folder / WEIGHTS, lambda part: save_file(tensors, part, metadata={"format": "pt"}))
