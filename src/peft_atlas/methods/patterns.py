"""Patterns of module names: which modules of a network are wrapped, and which are its head."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from peft_atlas.errors import AtlasError
from peft_atlas.methods.linear import is_linear
from peft_atlas.methods.places import Place, bare, own_parameters, places

Patterns = str | Collection[str]
# As in `peft`: every linear module but the one that gives the network's output.
ALL_LINEAR = "all-linear"
_PLAIN_NAME = re.compile(r"[\w.\-]+")


def matches(name: str, pattern: str) -> bool:
    """Return whether the last dotted parts of a module's name fit a pattern, part by part."""
    wanted = pattern.split(".")
    found = name.split(".")[-len(wanted) :]
    return len(found) == len(wanted) and all(map(fnmatchcase, found, wanted))


def selects(patterns: Patterns, name: str) -> bool:
    """Return whether patterns select a name.

    Several are patterns of the last dotted parts, by shell rules. One string is a single name of that kind or,
    if it has any other character, a regular expression that the whole name fits, as `peft` takes it.

    Raises
    ------
    AtlasError
        If the one string is no regular expression.
    """
    if not isinstance(patterns, str):
        return any(matches(name, pattern) for pattern in patterns)
    if _PLAIN_NAME.fullmatch(patterns):
        return matches(name, patterns)
    try:
        return re.fullmatch(patterns, name) is not None
    except (re.error, RecursionError) as error:
        raise AtlasError(f"target_modules = {patterns!r}: not a regular expression ({error})") from None


def chosen_places(model: nn.Module, patterns: Patterns, head: Collection[str] = ()) -> list[Place]:
    """Return the places that a method wraps, in the network's order.

    Raises
    ------
    AtlasError
        If a pattern fits no module, or one that it selects is held in two places.
    """
    every = list(places(model))
    if patterns == ALL_LINEAR:
        chosen = _all_linear(model, every, head)
    else:
        each = [patterns] if isinstance(patterns, str) else [(pattern,) for pattern in patterns]
        for one in each:
            if not any(selects(one, place.name) for place in every):
                _refuse_pattern(one if isinstance(one, str) else one[0], every)
        chosen = [place for place in every if selects(patterns, place.name)]
    _refuse_shared(chosen, every)
    return chosen


def _refuse_pattern(pattern: str, every: Sequence[Place]) -> None:
    linear = sorted({place.key for place in every if is_linear(bare(place.module))})
    raise AtlasError(f"target_modules: {pattern!r} fits no module; linear modules are named {linear}")


def _all_linear(model: nn.Module, every: Sequence[Place], head: Collection[str]) -> list[Place]:
    """Return every linear module, as peft counts them, but the network's output and its head."""
    asked: Any = getattr(model, "get_output_embeddings", lambda: None)
    output = asked()
    top = [place.name for place in every if selects(head, place.name)]
    chosen = [
        place
        for place in every
        if is_linear(bare(place.module))
        and (output is None or bare(place.module) is not bare(output))
        and not any(f"{place.name}.".startswith(f"{name}.") for name in top)
    ]
    if not chosen:
        raise AtlasError(f"target_modules = {ALL_LINEAR!r}: the network has no linear module besides its output")
    return chosen


def _refuse_shared(chosen: Sequence[Place], every: Sequence[Place]) -> None:
    """Raise an AtlasError if a module to be wrapped is in two places, one of which would stay as it is."""
    holders: dict[int, dict[tuple[int, str], str]] = {}
    for place in every:
        holders.setdefault(id(bare(place.module)), {}).setdefault((id(place.parent), place.key), place.name)
    for place in chosen:
        names = list(holders[id(bare(place.module))].values())
        if len(names) > 1:
            raise AtlasError(f"target_modules: {names[0]} is {names[1]} too, one module in two places; allowed: one")


def head_modules(model: nn.Module, head: Patterns) -> list[str]:
    """Return the names of the modules that patterns select as the network's head.

    Raises
    ------
    AtlasError
        If a pattern fits no module.
    """
    names = [place.name for place in places(model)]
    for part in [head] if isinstance(head, str) else [(part,) for part in head]:
        if not any(selects(part, name) for name in names):
            shown = part if isinstance(part, str) else part[0]
            raise AtlasError(f"head: {shown!r} fits no module of the network")
    return [name for name in names if selects(head, name)]


def head_parameters(model: nn.Module, head: Patterns) -> set[str]:
    """Return the names of the parameters of the network's head.

    Raises
    ------
    AtlasError
        If a pattern fits no module, or a parameter of the head is another module's too, so that training the head
        would change what is not the head.
    """
    tops = tuple(f"{name}." for name in head_modules(model, head))
    found: set[str] = set()
    for own in own_parameters(model):
        inside = [name for name in own.names if name.startswith(tops)] if tops else []
        if inside and len(inside) < len(own.names):
            other = next(name for name in own.names if name not in inside)
            raise AtlasError(f"head: {inside[0]} is tied to {other}; allowed: a head with parameters of its own")
        found.update(inside)
    return found
