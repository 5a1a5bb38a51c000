"""Prefix tuning: Optimizing Continuous Prompts for Generation (Li and Liang 2021, arXiv:2101.00190)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from peft_atlas.errors import AtlasError
from peft_atlas.methods.linear import like
from peft_atlas.methods.method import Members, Method, Sites, Sizes, StudySetting
from peft_atlas.methods.patterns import Patterns
from peft_atlas.methods.positions import move_positions, position_modules
from peft_atlas.methods.settings import check_whole
from peft_atlas.methods.wrapper import Wrapper
from peft_atlas.population import Draws

# The one tensor of a prefix in a file of peft's.
_TABLE = "prompt_embeddings"
# peft wraps no module of the network for a prefix, so that its names are a step shorter than elsewhere.
_OUTSIDE = "base_model."


class _RecordKeys(TorchFunctionMode):
    """While active, keeps keys and values of the last call of ``scaled_dot_product_attention``."""

    def __init__(self) -> None:
        self.keys, self.values = torch.empty(0), torch.empty(0)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is F.scaled_dot_product_attention:
            named = {**dict(zip(("query", "key", "value"), args, strict=False)), **kwargs}
            self.keys, self.values = named["key"].clone(), named["value"].clone()
        return func(*args, **kwargs)


class _PrependPrefix(TorchFunctionMode):
    """While active, puts virtual tokens before the keys and values of ``scaled_dot_product_attention``.

    The one call that every attention module makes, so that none need be known or rewritten.
    """

    # torch's compiler follows no call of this base class's ``__init__``, which does nothing.
    def __init__(self, keys: Tensor, values: Tensor) -> None:
        self.keys, self.values, self.calls = keys, values, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is not F.scaled_dot_product_attention:
            return _called(func, args, kwargs)
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


def _called(func: Any, args: Any, kwargs: Any) -> Any:
    """Return what any other function gives.

    torch's compiler knows a tensor's methods, but does not follow those written in Python, which call ``super()``.
    """
    if torch.compiler.is_compiling() and args and isinstance(args[0], Tensor):
        name = getattr(func, "__name__", "")
        if getattr(Tensor, name, None) is func:
            return getattr(args[0], name)(*args[1:], **kwargs)
    return func(*args, **kwargs)


def _heads(prefix: Tensor, like: Tensor) -> Tensor:
    """Return a prefix (tokens, width) as (..., heads, tokens, head_width), one copy per row of the batch.

    With grouped queries some calls see each head of keys as often as it has heads of queries: so does the prefix.
    """
    # torch's tracer gives sizes as tensors.
    heads, head_width, width = int(like.shape[-3]), int(like.shape[-1]), int(prefix.shape[-1])
    own, rest = divmod(width, head_width)
    if rest or own == 0 or heads % own:
        raise AtlasError(f"width = {width}: the keys have {heads} heads of {head_width}; allowed: {heads * head_width}")
    split = prefix.unflatten(-1, (own, head_width)).transpose(-3, -2)
    if own != heads:
        split = split.repeat_interleave(heads // own, dim=-3)
    return split.to(like.dtype).expand(*like.shape[:-2], *split.shape[-2:])


def _flat(states: Tensor) -> Tensor:
    """Return keys or values of one text, shape ``(1, heads, tokens, head_width)``, as ``(tokens, width)``."""
    return states[0].transpose(0, 1).flatten(1)


def _prefixed_mask(mask: Tensor | None, causal: bool, query: Tensor, key: Tensor, tokens: int) -> Tensor | None:
    """Return the attention mask with every query allowed to see the virtual tokens, None where all may see all."""
    if causal:
        # With more keys than queries torch aligns a causal mask to the first; so it is spelt out.
        mask = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool, device=key.device).tril()
    if mask is None:
        return None
    # A mask may leave out what is the same for all keys.
    mask = mask.expand(*mask.shape[:-1], key.shape[-2])
    return F.pad(mask, (tokens, 0), value=True if mask.dtype == torch.bool else 0.0)


class Prefixed(Wrapper):
    """An attention module whose queries also attend to trained keys and values (arXiv:2101.00190, section 4).

    Without the reparametrisation by an MLP: keys and values are trained as they are, normal at the start as in
    `peft`. So it does not start as its base, and no weight can hold it: it cannot be merged.

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
            If the base does not call ``scaled_dot_product_attention``, so that the prefix would have no effect, or
            its keys have another width.
        """
        _check_width(self.base, self.keys.shape[-1])
        prefix = _PrependPrefix(self.keys, self.values)
        with prefix:
            output = self.base(*arguments, **options)
        if not prefix.calls:
            kind = type(self.base).__name__
            raise AtlasError(
                f"target_modules: {kind} does not call scaled_dot_product_attention; prefix tuning needs it"
            )
        return output


def _check_width(base: nn.Module, width: int) -> None:
    """Raise an AtlasError if an attention module's projection to keys has another width than the prefix."""
    for name in ("k_proj", "key"):
        keys = getattr(base, name, None)
        if isinstance(keys, nn.Module) and hasattr(keys, "out_features") and keys.out_features != width:
            raise AtlasError(f"width = {width}: the keys of {type(base).__name__} are {keys.out_features} wide")


@dataclass(frozen=True)
class PrefixTuning(Method):
    """Prefix tuning of attention modules; see `Prefixed`. It cannot be merged.

    In a network of `transformers` the virtual tokens take the first positions, as in `peft`: learned and rotary
    position embeddings of the text are those of places that come ``num_virtual_tokens`` later. Other networks keep
    their positions. A file for `peft` is refused where `peft` would compute something else: see `check_for_peft`.

    Parameters
    ----------
    num_virtual_tokens
        Trained keys and values a layer.
    target_modules
        Patterns of the attention modules.
    width
        Width of the keys: of grouped-query attention that of its key and value heads, not of its queries.
    start_tokens
        Tokens of a real text, as many as ``num_virtual_tokens``, whose keys and values are the start, as the paper
        advises (section 7.5): the network then starts as its base after that text. None for `peft`'s start, normal
        draws, which a deep network does not recover from. The network must take token ids as its first argument.
    """

    name: ClassVar[str] = "PrefT"
    paper: ClassVar[str] = "arXiv:2101.00190"
    peft_type: ClassVar[str | None] = "PREFIX_TUNING"
    num_virtual_tokens: int = 10
    target_modules: Patterns = ("attention.self",)
    width: int = 768
    start_tokens: tuple[int, ...] = ()

    @classmethod
    def study_settings(cls, sites: Sites, sizes: Sizes) -> Sequence[StudySetting]:
        """Return prefix tuning of every attention module; none where the network has no attention."""
        if not sites.attention_modules or sites.width is None:
            return []
        width = sites.key_width or sites.width
        tokens, start = sizes.virtual_tokens, sites.prefix_tokens[: sizes.virtual_tokens]
        return [StudySetting(cls.name, None, cls(tokens, sites.attention_modules, width, start))]

    def wrap(self, base: nn.Module, name: str, members: Members) -> Prefixed:
        """Return an attention module with a prefix."""
        if members.population:
            raise AtlasError(
                f"population = {members.population}: prefix tuning trains one member at a time; allowed: ()"
            )
        shape = (check_whole("num_virtual_tokens", self.num_virtual_tokens), check_whole("width", self.width))
        start = like(base, self.name)
        keys, values = (
            Draws((), members.seeds, f"adapter/{name}/{part}", start).normal(shape) for part in ("keys", "values")
        )
        return Prefixed(base, keys, values)

    @torch.no_grad()
    def begin(self, model: nn.Module, wrapped: Mapping[str, nn.Module]) -> None:
        """Set keys and values to those that the network makes of the start's tokens."""
        if not self.start_tokens:
            return
        if len(self.start_tokens) != self.num_virtual_tokens:
            raise AtlasError(
                f"start_tokens: {len(self.start_tokens)} tokens; allowed: none, or {self.num_virtual_tokens}, as "
                "num_virtual_tokens"
            )
        for wrapper, (keys, values) in zip(wrapped.values(), self._recorded(model, wrapped), strict=True):
            assert isinstance(wrapper, Prefixed)
            wrapper.keys.copy_(keys)
            wrapper.values.copy_(values)

    def _recorded(self, model: nn.Module, wrapped: Mapping[str, nn.Module]) -> list[tuple[Tensor, Tensor]]:
        """Return the keys and values of the start's tokens in each wrapped module, shape ``(tokens, width)``."""
        device = next(model.parameters()).device
        ids = torch.tensor([self.start_tokens], device=device)
        if ids.is_meta:
            return [(wrapper.keys, wrapper.values) for wrapper in wrapped.values()]  # type: ignore[misc]
        found: dict[str, tuple[Tensor, Tensor]] = {}
        record = _RecordKeys()

        def keep(name: str) -> Callable[..., None]:
            def hook(*_: Any) -> None:
                found[name] = (_flat(record.keys), _flat(record.values))

            return hook

        hooks = [module.base.register_forward_hook(keep(name)) for name, module in wrapped.items()]  # type: ignore[union-attr]
        modes = [(module, module.training) for module in model.modules()]
        try:
            with record:
                model.eval()(ids)
        finally:
            for module, training in modes:
                module.training = training
            for each in hooks:
                each.remove()
        for name in wrapped:
            shape = tuple(found[name][0].shape) if name in found else None
            if shape != (self.num_virtual_tokens, self.width):
                raise AtlasError(
                    f"start_tokens: keys of {name} are of shape {shape}; allowed: "
                    f"{(self.num_virtual_tokens, self.width)}, one for each token"
                )
        return [found[name] for name in wrapped]

    def watch(self, model: nn.Module, wrapped: Mapping[str, nn.Module]) -> list[RemovableHandle]:
        """Return the hooks that move the positions of a network of `transformers` behind the prefix."""
        return move_positions(model, self.num_virtual_tokens)

    def check_for_peft(self, model: nn.Module, names: Sequence[str]) -> None:
        """Raise an AtlasError if peft would make another function of the prefix on a network of `transformers`."""
        config = getattr(model, "config", None)
        if config is None:
            return
        if getattr(config, "sliding_window", None) is not None:
            raise AtlasError(
                f"sliding_window = {config.sliding_window}: peft's prefix leaves the window; allowed: None"
            )
        if not position_modules(model):
            kind = type(model).__name__
            raise AtlasError(f"prefix of {kind}: not known how peft numbers its positions; not saved for peft")
        layers = getattr(config, "num_hidden_layers", len(names))
        if layers != len(names):
            raise AtlasError(f"prefix of {len(names)} layers: peft has one in each of {layers}; not saved for peft")

    def module_params(self, base: nn.Module, name: str) -> int:
        """Return tokens x 2 width."""
        return 2 * self.num_virtual_tokens * self.width

    def check_from_peft(self, config: Mapping[str, Any], model: nn.Module, names: Sequence[str]) -> None:
        """Raise an AtlasError unless peft's table has these layers and heads."""
        shape = getattr(model, "config", None)
        heads = getattr(shape, "num_key_value_heads", None) or getattr(shape, "num_attention_heads", None)
        expected = {"num_layers": len(names), "token_dim": self.width, "num_transformer_submodules": 1}
        for key, value in {**expected, **({} if heads is None else {"num_attention_heads": heads})}.items():
            if config.get(key) is not None and (type(config[key]) is not int or config[key] != value):
                raise AtlasError(f"{key} = {config[key]!r}: allowed: {value}")

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
        expected, table = (self.num_virtual_tokens, self.width * len(places)), state.get(_TABLE)
        if table is None or tuple(table.shape) != expected:
            found = "is missing" if table is None else f"has shape {tuple(table.shape)}"
            raise AtlasError(f"adapter: {_TABLE} {found}; allowed: shape {expected}")
        prefixes = dict(zip(places, table.split(self.width, dim=-1), strict=True))
        return prefixes | {name.removeprefix(_OUTSIDE): t for name, t in state.items() if name != _TABLE}
