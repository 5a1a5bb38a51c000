"""Where modules and parameters are in a network, with the wrappers of attached adapters seen through.

Names, and with them random streams and files, are those of the network without any adapter, whatever is attached.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from peft_atlas.errors import AtlasError
from peft_atlas.methods.wrapper import Wrapper


@dataclass(frozen=True)
class Place:
    """A module's name without adapters, the module that holds it, under which key, and itself or its outer wrapper."""

    name: str
    parent: nn.Module
    key: str
    module: nn.Module


@dataclass(frozen=True)
class Own:
    """A parameter of the network itself, with every name that leads to it, the first in the network's order first."""

    names: tuple[str, ...]
    parameter: nn.Parameter


def places(model: nn.Module) -> Iterator[Place]:
    """Yield every place of a network, in its order; a module that is held twice has two places."""
    held = dict(model.named_modules(remove_duplicate=False))
    plain = {"": ""}
    for path, module in held.items():
        above, _, key = path.rpartition(".")
        if not path or above not in plain:
            continue
        if not isinstance(held[above], Wrapper):
            plain[path] = f"{plain[above]}.{key}".removeprefix(".")
            yield Place(plain[path], held[above], key, module)
        elif key == "base":
            plain[path] = plain[above]


def bare(module: nn.Module) -> nn.Module:
    """Return a module without the wrappers around it."""
    while isinstance(module, Wrapper):
        module = module.base
    return module


def own_modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the network's own modules by name, the network itself first, under the name ""."""
    yield "", model
    for place in places(model):
        yield place.name, bare(place.module)


def own_parameters(model: nn.Module) -> list[Own]:
    """Return the network's own parameters, each once, in its order."""
    names: dict[nn.Parameter, dict[str, None]] = {}
    for module_name, module in own_modules(model):
        for key, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            names.setdefault(parameter, {})[f"{module_name}.{key}".removeprefix(".")] = None
    return [Own(tuple(found), parameter) for parameter, found in names.items()]


def replace(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put a module in the place of another, wherever that is now.

    Raises
    ------
    AtlasError
        If the network no longer holds it.
    """
    for module in list(model.modules()):
        for key, child in module.named_children():
            if child is old:
                module.set_submodule(key, new)
                return
    raise AtlasError(f"adapter: the network no longer holds its {type(old).__name__}; allowed: a network left in place")
