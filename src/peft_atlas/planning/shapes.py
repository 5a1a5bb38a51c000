"""The shipped table of model shapes, and how a name or path becomes an architecture."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

from peft_atlas.errors import AtlasError
from peft_atlas.planning.architecture import Architecture
from peft_atlas.planning.read_config import architecture_of, read_config

_NUMBERS = frozenset(
    [
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "vocab_size",
        "max_position_embeddings",
        "num_local_experts",
        "num_experts_per_tok",
        "ffn_hidden_size",
        "num_kv_heads",
        "d_model",
        "d_ff",
        "d_kv",
        "num_layers",
        "num_heads",
        "n_embd",
        "n_layer",
        "n_head",
        "n_positions",
        "type_vocab_size",
        "image_size",
        "patch_size",
        "mlp_ratio",
        "num_single_layers",
        "attention_head_dim",
        "in_channels",
        "joint_attention_dim",
        "tokens",
    ]
)
_FLAGS = frozenset({"tie_word_embeddings", "attention_bias", "parallel_attn", "new_decoder_architecture"})
_ORIGIN = frozenset({"name", "source", "repository", "path", "commit", "line"})
# Fine-tuned checkpoints have the shape of the model that they come from.
_ENDINGS = ("-instruct", "-chat", "-hf", "-it", "-base")


@cache
def rows(name: str) -> tuple[Mapping[str, str], ...]:
    """Return the rows of a table that the package ships."""
    text = files("peft_atlas.planning").joinpath("data").joinpath(name).read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


def names() -> tuple[str, ...]:
    """Return the names of the shipped table of shapes."""
    return tuple(row["name"] for row in rows("shapes.csv"))


def find_architecture(model: str) -> Architecture:
    """Return the architecture of a path (``config.json`` or its folder) or of a name of the shipped table.

    A name is found whatever its case, organisation ("meta-llama/") and ending ("-Instruct").

    Raises
    ------
    AtlasError
        There is no such path and no such name; the message names near ones.
    """
    if _is_path(model):
        return read_config(Path(model))
    row = find_shape(model)
    if row is None:
        near = [name for name in names() if model.rsplit("/", 1)[-1].lower()[:5] == name.lower()[:5]]
        listed = ", ".join(near or names()[:6])
        raise AtlasError(
            f"model {model!r}: no such path and no such name; allowed: a config.json, or a name as {listed}"
        )
    return architecture_of(_config(row), row["name"])


def _is_path(model: str) -> bool:
    """Return whether a model is meant as a path: there is one, or it ends as one."""
    try:
        return Path(model).exists() or model.endswith(".json")
    except (OSError, ValueError):
        return False


def find_shape(model: str) -> Mapping[str, str] | None:
    """Return the row of a name, or None."""
    wanted = model.rsplit("/", 1)[-1].lower()
    table = {row["name"].lower(): row for row in rows("shapes.csv")}
    bare = {_bare(name): row for name, row in reversed(table.items())}
    return table.get(wanted) or bare.get(_bare(wanted))


def _bare(name: str) -> str:
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    return name


def _config(row: Mapping[str, str]) -> dict[str, object]:
    """Return the fields of a row as a configuration; an empty cell is a field that is not set."""
    given = {name: value for name, value in row.items() if value and name not in _ORIGIN}
    config: dict[str, object] = {name: _value(name, value) for name, value in given.items()}
    if row["model_type"] == "falcon":
        config |= {"ffn_hidden_size": config["intermediate_size"], "num_kv_heads": config["num_key_value_heads"]}
    return config


def _value(name: str, value: str) -> object:
    if name in _NUMBERS:
        return int(value)
    return value == "true" if name in _FLAGS else value
