"""Where a study's model is: a user's folder, read where it is, or one that is fetched into the cache."""

from __future__ import annotations

from pathlib import Path

from peft_atlas.files import slug
from peft_atlas.models.folder import CONFIG, TOKENIZER, WEIGHTS, weight_files
from peft_atlas.snakemake_support.content import content_digest


def model_folder(model: str) -> str:
    """Return the folder of a model that the configuration names: itself if it is one, else a place in the cache."""
    return model if Path(model).is_dir() else f"results/cache/models/{slug(model)}"


def is_fetched(model: str) -> bool:
    """Return whether a model has to be fetched or drawn."""
    return model_folder(model) != model


def is_path(model: str) -> bool:
    """Return whether a name can only be meant as a path: the hub's have one slash at most, and no dots in front."""
    return model.startswith(("/", "~", ".")) or model.count("/") > 1 or model.endswith("/")


def model_files(model: str) -> list[str]:
    """Return the files of a model; the weights of a user's folder may be in shards."""
    folder = model_folder(model)
    weights = [WEIGHTS] if is_fetched(model) else weight_files(Path(folder))
    return [f"{folder}/{name}" for name in (CONFIG, *weights, TOKENIZER)]


def model_content(model: str) -> str | None:
    """Return the digest of a user's model, None of one that is fetched, whose files only change with its name."""
    return None if is_fetched(model) else content_digest(map(Path, model_files(model)), Path(model))
