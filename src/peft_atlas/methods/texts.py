"""Where the texts of a batch begin and end: what is padding, what a cache holds already, where prompts end."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from peft_atlas.errors import AtlasError


class Texts:
    """What the latest call of a network said of its texts, for modules that see hidden states alone.

    Parameters
    ----------
    model
        The network; None for a module on its own, where every position belongs to a text.

    Raises
    ------
    AtlasError
        If the network has an encoder and a decoder, whose positions differ.
    """

    def __init__(self, model: nn.Module | None = None) -> None:
        config = getattr(model, "config", None)
        if getattr(config, "is_encoder_decoder", False):
            raise AtlasError("edges: the positions of an encoder and a decoder differ; allowed: edges = None")
        self.causal = model is not None and _reads_forward(model)
        self.names = [] if model is None else list(inspect.signature(model.forward).parameters)
        self.mask: Tensor | None = None
        self.past = 0
        self.prompts: Tensor | None = None

    def read(self, model: nn.Module, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        """Keep what the arguments of a call say; a forward pre-hook."""
        given = {**dict(zip(self.names, arguments, strict=False)), **options}
        self.mask = _padding(given)
        self.past = _cached(given.get("past_key_values"))

    def edges(self, h: Tensor, count: int) -> Tensor:
        """Return which positions of hidden states are among the first or last of their text.

        Parameters
        ----------
        h
            Hidden states, shape ``(*batch, positions, width)``.
        count
            How many at each end.

        Returns
        -------
        Tensor
            Booleans, shape ``(batch, positions)`` or ``(positions,)``.
        """
        length = h.shape[-2]
        place, real, size = self._places(h, length)
        ends = self.prompts.to(h.device)[:, None] if self.prompts is not None else None if self.causal else size
        chosen = place < count
        if ends is not None:
            chosen = chosen | ((place >= ends - count) & (place < ends))
        return chosen & real

    def _places(self, h: Tensor, length: int) -> tuple[Tensor, Tensor, Tensor | int]:
        """Return each position's place in its text, whether it is part of one, and the texts' lengths."""
        total = self.past + length
        if self.mask is None:
            place = torch.arange(self.past, total, device=h.device)
            return place, torch.ones_like(place, dtype=torch.bool), total
        real = self.mask.to(h.device).bool()
        if real.shape[-1] == length:
            real = torch.nn.functional.pad(real, (self.past, 0), value=True)
        if real.shape != (h.shape[0], total):
            found, expected = tuple(real.shape), (h.shape[0], total)
            raise AtlasError(f"edges: attention_mask of shape {found}: allowed: {expected}, batch and length")
        place = real.cumsum(-1) - 1
        return place[:, -length:], real[:, -length:], real.sum(-1, keepdim=True)


@contextmanager
def prompts(model: nn.Module, lengths: Tensor) -> Iterator[None]:
    """Say how long the prompts of a batch are while the network is called, or generates, within.

    Parameters
    ----------
    model
        A network with LoReFT of edges attached.
    lengths
        Tokens of each text's prompt, padding left out, shape ``(batch,)``.

    Raises
    ------
    AtlasError
        If nothing in the network asks for it.
    """
    asking = _asking(model)
    if not asking:
        raise AtlasError("prompts: nothing attached to the network edits edges of texts")
    for texts in asking:
        texts.prompts = lengths
    try:
        yield
    finally:
        for texts in asking:
            texts.prompts = None


def asks_for_prompts(model: nn.Module) -> bool:
    """Return whether something attached to a network edits texts, so that `prompts` may be said."""
    return bool(_asking(model))


def _asking(model: nn.Module) -> list[Texts]:
    """Return what the edited modules of a network read, each once."""
    held = (vars(module).get("texts") for module in model.modules())
    return list({id(texts): texts for texts in held if isinstance(texts, Texts)}.values())


def _padding(given: dict[str, Any]) -> Tensor | None:
    """Return a call's mask of real positions, (batch, length), or None where it has none."""
    if given.get("src_key_padding_mask") is not None:
        return ~given["src_key_padding_mask"].bool()
    mask = given.get("attention_mask", None if "src_key_padding_mask" in given else given.get("mask"))
    if mask is not None and mask.dim() != 2:
        raise AtlasError(f"edges: attention_mask of {mask.dim()} dimensions: allowed: (batch, length)")
    return mask


def _cached(cache: Any) -> int:
    """Return how many positions a cache of `transformers` holds."""
    return 0 if cache is None else int(cache.get_seq_length())


def _reads_forward(model: nn.Module) -> bool:
    """Return whether some attention of a network sees earlier positions alone, as modules of `transformers` say."""
    return any(vars(module).get(flag) is True for module in model.modules() for flag in ("is_causal", "is_decoder"))
