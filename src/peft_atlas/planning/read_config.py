"""Read a Hugging Face ``config.json`` into an `Architecture`.

What a field means, and its value where the file leaves it out, follows the configuration classes of transformers
5.23.0. An architecture that is not listed here is refused: nothing is guessed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from peft_atlas.errors import AtlasError
from peft_atlas.planning.architecture import Architecture
from peft_atlas.planning.families.classic import CLASSIC
from peft_atlas.planning.families.decoders import DECODERS
from peft_atlas.planning.families.fields import Fields
from peft_atlas.planning.families.flux import DIFFUSION
from peft_atlas.planning.families.pairs import PAIRS

FAMILIES: Mapping[str, Callable[[Fields], Architecture]] = {**DECODERS, **CLASSIC, **PAIRS, **DIFFUSION}


def read_config(path: Path) -> Architecture:
    """Return the architecture that a ``config.json``, or a folder with one, describes.

    Raises
    ------
    AtlasError
        The file is missing or no JSON object, its ``model_type`` is unknown here, or a field is missing or wrong.
    """
    file = path / "config.json" if path.is_dir() else path
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AtlasError(f"model {path}: no such file; allowed: a config.json, a folder with one, or a name") from None
    except (OSError, ValueError, RecursionError) as error:
        raise AtlasError(f"config {file}: {error}; allowed: a JSON object in UTF-8") from None
    if not isinstance(found, dict):
        raise AtlasError(f"config {file}: {type(found).__name__}; allowed: a JSON object")
    return architecture_of(found, str(file))


def architecture_of(config: Mapping[str, Any], name: str) -> Architecture:
    """Return the architecture that the fields of a configuration describe; ``name`` is for messages and tables."""
    kind = config.get("model_type")
    if kind in FAMILIES:
        return FAMILIES[str(kind)](Fields(name, config))
    known = ", ".join(sorted(FAMILIES))
    inner = config.get("text_config")
    hint = f" (its text_config is {inner['model_type']!r})" if isinstance(inner, dict) and "model_type" in inner else ""
    raise AtlasError(f"config {name}: model_type {kind!r}{hint}: how it uses memory is not known; known: {known}")
