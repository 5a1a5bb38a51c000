"""Methods of `peft` in the configuration: every key and value is checked by peft's own class before any job."""

from __future__ import annotations

import json
import typing
import warnings
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from peft import PeftConfig
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError

from peft_atlas.errors import AtlasError

# What the study sets itself, and what says where a file came from.
_OWNED = {"peft_type", "task_type", "inference_mode", "base_model_name_or_path", "revision", "auto_mapping"}
_OWNED |= {"peft_version", "tokenizer_name_or_path"}
_TASK = "FEATURE_EXTRACTION"
# Starts that need data or a quantised model; without them peft falls back on another start and says nothing.
_NEED_MORE = ("eva", "corda", "lora_ga", "loftq")


def peft_config(name: str, settings: Mapping[str, Any]) -> PeftConfig:
    """Return peft's configuration of a method.

    Parameters
    ----------
    name
        The method's name, for messages.
    settings
        ``peft_type``, and keys of peft's configuration of that type.

    Raises
    ------
    AtlasError
        If the type is not peft's, a key not one of the type, a value not of the key's type, or peft refuses them.
    """
    kind = _kind(name, settings)
    given = {key: value for key, value in settings.items() if key != "peft_type"}
    hints = typing.get_type_hints(kind)
    known = sorted({field.name for field in fields(kind) if field.init} - _OWNED)
    for key, value in given.items():
        if key not in known:
            raise _refused(name, f"{key} = {value!r}", f"keys of {kind.__name__}: {', '.join(known)}")
        _check_type(name, key, value, hints[key])
    start = given.get("init_lora_weights")
    if isinstance(start, str) and start.lower() in _NEED_MORE:
        raise _refused(name, f"init_lora_weights = {start!r}", "starts that need neither data nor a quantised model")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return kind(task_type=_TASK, **given)
    except (ValueError, TypeError, NotImplementedError, ImportError) as error:
        raise AtlasError(f"encoder.peft_methods: {name}: peft refuses {given!r}: {first_line(error)}") from None


def _kind(name: str, settings: Mapping[str, Any]) -> type[PeftConfig]:
    """Return peft's class of the stated type."""
    kinds = {str(kind.value): found for kind, found in PEFT_TYPE_TO_CONFIG_MAPPING.items()}
    stated = settings.get("peft_type")
    if not isinstance(stated, str) or stated not in kinds:
        raise _refused(name, f"peft_type = {stated!r}", ", ".join(sorted(kinds)))
    return kinds[stated]


def _check_type(name: str, key: str, value: Any, hint: Any) -> None:
    """Raise an AtlasError unless a value, as YAML gives it, is of the type that peft states for the key."""
    try:
        adapter = TypeAdapter(hint)
    except PydanticSchemaGenerationError:
        return
    try:
        adapter.validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        fault = error.errors()[0]
        raise _refused(name, f"{key} = {value!r}", f"what peft's {hint} takes ({fault['msg']})") from None


def _refused(name: str, what: str, allowed: str) -> AtlasError:
    return AtlasError(f"encoder.peft_methods: {name}: {what}: allowed: {allowed}")


def first_line(error: BaseException) -> str:
    """Return what an error says, in one line and no more than a few words too many."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    words = " ".join(lines[0].split())
    return words if len(words) <= 200 else f"{words[:197]}..."
