"""Adapters as files: safetensors and a JSON configuration, in peft's format for the methods that peft has."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save, save_file
from torch import Tensor, nn

from peft_atlas.errors import AtlasError
from peft_atlas.files import write_text, write_whole
from peft_atlas.methods.attach import Attached
from peft_atlas.methods.patterns import head_modules
from peft_atlas.methods.peft_config import check_saved_modules, check_settings, check_targets, without_base_copies
from peft_atlas.methods.places import own_modules

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
        A network with a method attached, of one member.
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
        If the network holds a population, the head is not the attached one, or peft, which has the method, would
        make another function of the file. Nothing is written then.
    """
    if attached.members.population:
        raise AtlasError(f"population = {attached.members.population}: an adapter of one member is saved; allowed: ()")
    if head and head_modules(attached.model, head) != list(attached.head):
        raise AtlasError(f"head = {head!r}: allowed: the head that was attached, {attached.head!r}")
    configuration = _configuration(attached, base_model, task_type)
    if attached.method.peft_type is not None:
        _check_head_for_peft(attached)
        attached.method.check_for_peft(attached.model, list(attached.targets()))
        _check_configuration(attached, configuration)
    buffers = {name: buffer.detach().clone() for name, buffer in attached.buffers().items()}
    tensors = _saved(attached, {**attached.state(), **buffers})
    write_whole(folder / WEIGHTS, lambda part: save_file(tensors, part, {"format": "pt"}))
    write_text(folder / CONFIGURATION, json.dumps(configuration, indent=2, sort_keys=True) + "\n")


def _check_head_for_peft(attached: Attached) -> None:
    """Raise an AtlasError if peft cannot keep a module of the head: containers have no call of their own."""
    modules = dict(own_modules(attached.model))
    for name in attached.head:
        module = modules[name]
        if isinstance(module, nn.ModuleDict | nn.ModuleList):
            raise AtlasError(
                f"head: peft keeps no {type(module).__name__}, as {name} is; allowed: the modules within it"
            )


def _configuration(attached: Attached, base_model: str, task_type: str | None) -> dict[str, Any]:
    """Return the configuration file, in peft's terms where it has the method."""
    method = attached.method
    if method.peft_type is None:
        return {"method": method.name, "base_model_name_or_path": base_model, "settings": _settings(attached)}
    return {
        "peft_type": method.peft_type,
        "base_model_name_or_path": base_model,
        "task_type": task_type,
        "inference_mode": True,
        **method.peft_settings(),
        **method.peft_modules(list(attached.targets()), attached.head),
    }


def _settings(attached: Attached) -> dict[str, Any]:
    """Return a method's settings as JSON gives them back."""
    method = attached.method
    values = {field.name: getattr(method, field.name) for field in fields(method)}  # type: ignore[arg-type]
    plain = {name: value.item() if isinstance(value, Tensor) else value for name, value in values.items()}
    return dict(json.loads(json.dumps(plain)))


def load_adapter(attached: Attached, folder: Path) -> None:
    """Set an attached network's adapter, and its head where the file has one, to what a folder holds.

    The folder may be written here or by peft. Only safetensors are read, so that loading runs no code. What peft
    would compute with a file of its format is what the network computes then; keys that an older peft did not write
    have the defaults that it had.

    Raises
    ------
    AtlasError
        If a file is missing or broken, a setting that changes the function is not that of the attached method or
        is not known here, or its tensors do not fit or are not finite; nothing is changed then.
    """
    configuration = _read_configuration(folder / CONFIGURATION)
    try:
        _check_configuration(attached, configuration)
    except AtlasError as error:
        raise AtlasError(f"{folder / CONFIGURATION}: {error}") from None
    attached.load(_own_tensors(attached, _read_tensors(folder / WEIGHTS)))


def _check_configuration(attached: Attached, configuration: Mapping[str, Any]) -> None:
    """Raise an AtlasError unless a configuration is that of the attached method."""
    method, targets = attached.method, list(attached.targets())
    if method.peft_type is None:
        _check_own(attached, configuration)
        return
    check_settings(configuration, {"peft_type": method.peft_type, **method.peft_settings()})
    modules = [name for name, _ in own_modules(attached.model) if name]
    check_saved_modules(configuration, attached.head, modules)
    if method.peft_modules(targets, ()):
        check_targets(configuration, targets, modules)
    method.check_from_peft(configuration, attached.model, targets)


def _check_own(attached: Attached, configuration: Mapping[str, Any]) -> None:
    """Raise an AtlasError unless a configuration in our own format has the settings that are attached."""
    if configuration.get("method") != attached.method.name:
        raise AtlasError(f"method = {configuration.get('method')!r}: allowed: {attached.method.name!r}")
    found, expected = configuration.get("settings"), _settings(attached)
    if not isinstance(found, dict):
        raise AtlasError(f"settings = {found!r}: allowed: {expected!r}")
    for key in sorted({*found, *expected} - attached.method.inert):
        if key not in found or key not in expected or found[key] != expected[key]:
            raise AtlasError(f"{key} = {found.get(key)!r}: allowed: {expected.get(key)!r}")


def _own_tensors(attached: Attached, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a file's tensors under our names.

    Raises
    ------
    AtlasError
        If a name or a shape is not as it is saved, so that peft would pass the tensor by.
    """
    method, targets = attached.method, attached.targets()
    for name in without_base_copies(tensors, targets):
        base = targets[name.removeprefix("base_model.model.").removesuffix(".base_layer.weight")].weight
        given = tensors.pop(name)
        if not isinstance(base, Tensor) or given.shape != base.shape or not torch.equal(given.to(base), base):
            raise AtlasError(f"adapter: {name} is another weight than the network's; allowed: its own")
    ours = method.from_peft(tensors, list(targets))
    again = {name: tensor.shape for name, tensor in method.to_peft(ours).items()}
    for name, tensor in tensors.items():
        if again.get(name) != tensor.shape:
            raise AtlasError(f"adapter: {name} of shape {tuple(tensor.shape)} is no tensor of {method.name}")
    _check_buffers(attached, ours)
    return ours


def _check_buffers(attached: Attached, ours: Mapping[str, Tensor]) -> None:
    """Raise an AtlasError if what goes with the parameters of a file is missing, as a head's running statistics."""
    head = tuple(f"{name}." for name in attached.head) or (" ",)
    with_head = any(name.startswith(head) for name in ours)
    missing = [name for name in attached.buffers() if name not in ours and (with_head or not name.startswith(head))]
    if missing:
        raise AtlasError(f"adapter: lacks {missing[:3]}; allowed: its own names")


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise AtlasError(f"{path}: not a whole safetensors file ({error})") from None


def _read_configuration(path: Path) -> dict[str, Any]:
    """Return a configuration file's settings."""
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise AtlasError(f"{path}: not a configuration of an adapter ({error})") from None
    if not isinstance(settings, dict):
        raise AtlasError(f"{path}: holds {type(settings).__name__}; allowed: one JSON object")
    return settings
