"""Prefix tuning: Optimizing Continuous Prompts for Generation (Li and Liang 2021, arXiv:2101.00190)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from peft_atlas.errors import AtlasError
from peft_atlas.methods.method import Members, Method, Sites, Sizes, StudySetting
from peft_atlas.methods.wrapper import Wrapper
from peft_atlas.population import Draws

# The one tensor of a prefix in a file of peft's.
_TABLE = "prompt_embeddings"
# peft wraps no module of the network for a prefix, so that its names are a step shorter than elsewhere.
_OUTSIDE = "base_model."


class _PrependPrefix(TorchFunctionMode):
    """While active, puts virtual tokens before the keys and values of ``scaled_dot_product_attention``.

    The one call that every attention module makes, so that none need be known or rewritten.
    """

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.keys, self.values, self.calls = keys, values, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is not F.scaled_dot_product_attention:
            return func(*args, **kwargs)
        self.calls += 1
        names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
        kwargs = {**dict(zip(names, args, strict=False)), **kwargs}
        query, key = kwargs["query"], kwargs["key"]
        kwargs["key"] = torch.cat([_heads(self.keys, key), key], dim=-2)
        kwargs["value"] = torch.cat([_heads(self.values, kwargs["value"]), kwargs["value"]], dim=-2)
        kwargs["attn_mask"] = _prefixed_mask(
            kwargs.get("attn_mask"), bool(kwargs.pop("is_causal", False)), query, key, self.keys.shape[-2]
        )
        return func(**kwargs)


def _heads(prefix: Tensor, like: Tensor) -> Tensor:
    """Return a prefix (tokens, width) as (..., heads, tokens, head_width), one copy a row of the batch."""
    heads, head_width = like.shape[-3], like.shape[-1]
    split = prefix.unflatten(-1, (heads, head_width)).transpose(-3, -2)
    return split.to(like.dtype).expand(*like.shape[:-2], *split.shape[-2:])


def _prefixed_mask(mask: Tensor | None, causal: bool, query: Tensor, key: Tensor, tokens: int) -> Tensor | None:
    """Return the attention mask with every query allowed to see the virtual tokens, None where all may see all."""
    if causal:
        # With more keys than queries torch aligns a causal mask to the first; so it is spelt out.
        mask = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool, device=key.device).tril()
    if mask is None:
        return None
    return F.pad(mask, (tokens, 0), value=True if mask.dtype == torch.bool else 0.0)


class Prefixed(Wrapper):
    """An attention module whose queries also attend to trained keys and values (arXiv:2101.00190, section 4).

    Without the reparametrisation by an MLP: keys and values are trained as they are, normal at the start as in
    `peft`. So it does not start as its base, and no weight can hold it: it cannot be merged. Virtual tokens
    have no place in the order of tokens: position embeddings are not shifted, as they are in `peft`.

    Parameters
    ----------
    base
        A module that calls ``torch.nn.functional.scaled_dot_product_attention``.
    keys, values
        Their starting values, shape ``(tokens, width)``.
    """

    def __init__(self, base: nn.Module, keys: Tensor, values: Tensor) -> None:
        super().__init__(base)
        self.keys, self.values = nn.Parameter(keys), nn.Parameter(values)

    def forward(self, *arguments: Any, **options: Any) -> Any:
        """Return the base's output with the prefix attended to.

        Raises
        ------
        AtlasError
            If the base does not call ``scaled_dot_product_attention``, so that the prefix would have no effect.
        """
        with _PrependPrefix(self.keys, self.values) as prefix:
            output = self.base(*arguments, **options)
        if not prefix.calls:
            kind = type(self.base).__name__
            raise AtlasError(
                f"target_modules: {kind} does not call scaled_dot_product_attention; prefix tuning needs it"
            )
        return output


@dataclass(frozen=True)
class PrefixTuning(Method):
    """Prefix tuning of attention modules; see `Prefixed`. It cannot be merged.

    Parameters
    ----------
    num_virtual_tokens
        Trained keys and values a layer.
    target_modules
        Patterns of the attention modules.
    width
        Width of keys and values, all heads together.
    """

    name: ClassVar[str] = "PrefT"
    paper: ClassVar[str] = "arXiv:2101.00190"
    peft_type: ClassVar[str | None] = "PREFIX_TUNING"
    num_virtual_tokens: int = 10
    target_modules: tuple[str, ...] = ("attention.self",)
    width: int = 768

    @classmethod
    def study_settings(cls, sites: Sites, sizes: Sizes) -> Sequence[StudySetting]:
        """Return prefix tuning of every attention module; none where the network has no attention."""
        if not sites.attention_modules or sites.width is None:
            return []
        return [StudySetting(cls.name, None, cls(sizes.virtual_tokens, sites.attention_modules, sites.width))]

    def wrap(self, base: nn.Module, name: str, members: Members) -> Prefixed:
        """Return an attention module with a prefix."""
        if members.population:
            raise AtlasError(
                f"population = {members.population}: prefix tuning trains one member at a time; allowed: ()"
            )
        if self.num_virtual_tokens < 1:
            raise AtlasError(f"num_virtual_tokens = {self.num_virtual_tokens}: allowed: a whole number of at least 1")
        like, shape = next(base.parameters()), (self.num_virtual_tokens, self.width)
        keys, values = (
            Draws((), members.seeds, f"adapter/{name}/{part}", like).normal(shape) for part in ("keys", "values")
        )
        return Prefixed(base, keys, values)

    def module_params(self, base: nn.Module, name: str) -> int:
        """Return tokens x 2 width."""
        return 2 * self.num_virtual_tokens * self.width

    def peft_settings(self) -> dict[str, Any]:
        """Return the settings that `peft.PrefixTuningConfig` takes."""
        return {"num_virtual_tokens": self.num_virtual_tokens, "prefix_projection": False}

    def peft_modules(self, names: Sequence[str], head: Sequence[str]) -> dict[str, Any]:
        """Return nothing: peft finds the attention modules, and the head, by itself."""
        return {}

    def to_peft(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return peft's one table of prompts, (tokens, layers x 2 width): each layer's keys, then its values."""
        prefixes = [tensor for name, tensor in state.items() if name.endswith((".keys", ".values"))]
        head = {f"{_OUTSIDE}{name}": t for name, t in state.items() if not name.endswith((".keys", ".values"))}
        return {_TABLE: torch.cat(prefixes, dim=-1), **head}

    def from_peft(self, state: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
        """Return each layer's keys and values, cut from peft's table of prompts."""
        places = [f"{name}.{part}" for name in names for part in ("keys", "values")]
        prefixes = dict(zip(places, state[_TABLE].split(self.width, dim=-1), strict=True))
        return prefixes | {name.removeprefix(_OUTSIDE): t for name, t in state.items() if name != _TABLE}
