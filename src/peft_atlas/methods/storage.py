"""Adapters as files: safetensors and a JSON configuration, in peft's format for the methods that peft has."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save, save_file
from torch import Tensor

from peft_atlas.errors import AtlasError
from peft_atlas.files import write_text, write_whole
from peft_atlas.methods.attach import Attached

WEIGHTS, CONFIGURATION = "adapter_model.safetensors", "adapter_config.json"


def adapter_bytes(attached: Attached) -> int:
    """Return the bytes of one member's adapter as a file, the head apart."""
    first = (0,) * len(attached.members.population)
    state = {name: tensor[first].clone() for name, tensor in attached.state(head=False).items()}
    return len(save(_saved(attached, state))) if state else 0


def _saved(attached: Attached, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a file."""
    return {name: tensor.contiguous() for name, tensor in attached.method.to_peft(state).items()}


def save_adapter(
    attached: Attached, folder: Path, base_model: str, head: Sequence[str] = (), task_type: str | None = None
) -> None:
    """Write an adapter, and the head that was trained along, into a folder that peft can load where it has the method.

    Parameters
    ----------
    attached
        A network with a method attached, not merged, of one member.
    folder
        Where ``adapter_model.safetensors`` and ``adapter_config.json`` are written, each whole or not at all.
    base_model
        Name of the pretrained model, for the configuration.
    head
        Names of the modules of the head, as given to `attach`.
    task_type
        peft's task type, such as ``SEQ_CLS``.

    Raises
    ------
    AtlasError
        If the network holds a population.
    """
    if attached.members.population:
        raise AtlasError(f"population = {attached.members.population}: an adapter of one member is saved; allowed: ()")
    tensors = _saved(attached, attached.state())
    write_whole(folder / WEIGHTS, lambda part: save_file(tensors, part, {"format": "pt"}))
    text = json.dumps(_configuration(attached, base_model, head, task_type), indent=2, sort_keys=True)
    write_text(folder / CONFIGURATION, text + "\n")


def _configuration(attached: Attached, base_model: str, head: Sequence[str], task_type: str | None) -> dict[str, Any]:
    """Return the configuration file, in peft's terms where it has the method."""
    method = attached.method
    if method.peft_type is None:
        settings = asdict(method)  # type: ignore[call-overload]
        return {"method": method.name, "base_model_name_or_path": base_model, "settings": settings}
    return {
        "peft_type": method.peft_type,
        "base_model_name_or_path": base_model,
        "task_type": task_type,
        "inference_mode": True,
        **method.peft_settings(),
        **method.peft_modules(list(attached.targets()), head),
    }


def load_adapter(attached: Attached, folder: Path) -> None:
    """Set an attached network's adapter, and its head where the file has one, to what a folder holds.

    The folder may be written here or by peft. Only safetensors are read, so that loading runs no code.

    Raises
    ------
    AtlasError
        If a file is missing or broken, its settings are not those of the attached method, or its tensors do not fit.
    """
    method = attached.method
    configuration = _read_configuration(folder / CONFIGURATION)
    expected: dict[str, Any] = {"peft_type": method.peft_type} if method.peft_type else {"method": method.name}
    expected |= method.peft_settings() if method.peft_type else {}
    for key, value in expected.items():
        if configuration.get(key) != value:
            raise AtlasError(f"{folder / CONFIGURATION}: {key} = {configuration.get(key)!r}: allowed: {value!r}")
    try:
        tensors = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise AtlasError(f"{folder / WEIGHTS}: not a whole safetensors file ({error})") from None
    attached.load(method.from_peft(tensors, list(attached.targets())))


def _read_configuration(path: Path) -> dict[str, Any]:
    """Return a configuration file's settings."""
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AtlasError(f"{path}: not a configuration of an adapter ({error})") from None
    if not isinstance(settings, dict):
        raise AtlasError(f"{path}: holds {type(settings).__name__}; allowed: one JSON object")
    return settings
