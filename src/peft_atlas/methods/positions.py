"""Positions of text behind a prefix: moved up where a network of `transformers` looks them up."""

from __future__ import annotations

import inspect
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

_LEARNED = ("position_embeddings", "wpe")
_ROTARY = "rotary_emb"


class Shift:
    """A forward pre-hook that adds a number to the positions that a module looks up.

    Hooks are put where positions are looked up, not where they are given, so that the positions that the network
    counts itself, those that a caller gives and those of cached generation are all moved.

    Parameters
    ----------
    tokens
        The number.
    place
        The place of the positions among the module's arguments.
    """

    def __init__(self, tokens: int, place: int) -> None:
        self.tokens, self.place = tokens, place

    def __call__(self, module: nn.Module, given: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, Any]:
        """Return the arguments with the positions moved."""
        if "position_ids" in options:
            return given, {**options, "position_ids": options["position_ids"] + self.tokens}
        moved = self._moved(module, given[self.place])
        return (*given[: self.place], moved, *given[self.place + 1 :]), options

    def _moved(self, module: nn.Module, positions: Tensor) -> Tensor:
        """Return positions moved; RoBERTa's place of padding stays."""
        padding = getattr(module, "padding_idx", None)
        if padding is None:
            return positions + self.tokens
        return positions + self.tokens * (positions != padding)


def move_positions(model: nn.Module, tokens: int) -> list[RemovableHandle]:
    """Move the positions of a network of `transformers` up by a number, until the returned hooks are removed."""
    return [
        module.register_forward_pre_hook(Shift(tokens, int(_takes_positions(module))), with_kwargs=True)
        for module in position_modules(model)
    ]


def position_modules(model: nn.Module) -> list[nn.Module]:
    """Return the modules of a network of `transformers` that look up positions, learned or rotary, each once."""
    if not any(hasattr(getattr(module, "config", None), "model_type") for module in model.modules()):
        return []
    return [module for name, module in model.named_modules() if _looks_up(name.rpartition(".")[2], module)]


def _looks_up(name: str, module: nn.Module) -> bool:
    learned = name in _LEARNED and type(module) is nn.Embedding
    return learned or (name == _ROTARY and _takes_positions(module))


def _takes_positions(module: nn.Module) -> bool:
    return list(inspect.signature(module.forward).parameters)[1:2] == ["position_ids"]
