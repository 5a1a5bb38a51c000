"""Kinds of linear modules, and what methods ask of them: widths, weights as (out, in), the dtype adapters learn in."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import Tensor, nn

from peft_atlas.errors import AtlasError
from peft_atlas.methods.wrapper import Wrapper
from peft_atlas.population import PopulationLinear

_HALF = (torch.float16, torch.bfloat16)
_DTYPES = (*_HALF, torch.float32, torch.float64)


def is_conv1d(module: Any) -> bool:
    """Return whether a module is GPT-2's ``Conv1D`` of `transformers`, a linear module whose weight is (in, out)."""
    known = sys.modules.get("transformers.pytorch_utils")
    return known is not None and isinstance(module, known.Conv1D)


def is_linear(module: nn.Module) -> bool:
    """Return whether a module is a linear one that methods can wrap."""
    return is_conv1d(module) or isinstance(module, nn.Linear | PopulationLinear)


def is_plain(module: nn.Module) -> bool:
    """Return whether a linear module computes ``W x + b`` and nothing else, so that a changed W is all it takes."""
    forwards = [nn.Linear.forward, PopulationLinear.forward]
    known = sys.modules.get("transformers.pytorch_utils")
    return type(module).forward in [*forwards, *([known.Conv1D.forward] if known else [])]


def widths(base: nn.Module, method: str) -> tuple[int, int]:
    """Return the input and output width of a linear module.

    Raises
    ------
    AtlasError
        If the module is not linear, is adapted already, or holds its weight in another way than as floating-point
        numbers of shape (out, in).
    """
    if isinstance(base, Wrapper):
        raise AtlasError(f"target_modules: {method} was given a module that is adapted already; detach that first")
    kind, weight = type(base).__name__, getattr(base, "weight", None)
    inputs, outputs = (base.nx, base.nf) if is_conv1d(base) else _features(base, method)
    if not isinstance(weight, Tensor) or isinstance(weight, nn.UninitializedParameter):
        raise AtlasError(f"target_modules: {method} wraps linear modules with a weight, got a {kind} without")
    if weight.dtype not in _DTYPES or tuple(weight_of(base).shape[-2:]) != (outputs, inputs):
        found = f"{str(weight.dtype).removeprefix('torch.')} {tuple(weight.shape)}"
        raise AtlasError(
            f"target_modules: {method} was given a {kind} whose weight is {found}; allowed: floats, out x in"
        )
    return int(inputs), int(outputs)  # type: ignore[arg-type]


def _features(base: nn.Module, method: str) -> tuple[int, int]:
    try:
        return int(base.in_features), int(base.out_features)  # type: ignore[arg-type]
    except (AttributeError, TypeError):
        kind = type(base).__name__
        raise AtlasError(f"target_modules: {method} wraps linear modules, got a {kind}") from None


def weight_of(base: Any, weight: Tensor | None = None) -> Tensor:
    """Return a linear module's weight, or another in its place, as (..., out, in)."""
    held: Tensor = base.weight if weight is None else weight
    return held.mT if is_conv1d(base) else held


def as_dtype(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Return values in a dtype; asking first costs a tenth of a call that has nothing to do."""
    return values if values.dtype == dtype else values.to(dtype)


def as_stored(base: nn.Module, weight: Tensor) -> Tensor:
    """Return a weight (..., out, in) as a linear module holds it."""
    return weight.mT.contiguous() if is_conv1d(base) else weight


def learning_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype that an adapter learns in: half precision loses the small steps of an optimiser."""
    return torch.float32 if dtype in _HALF else dtype


def like(base: nn.Module, method: str) -> Tensor:
    """Return an empty tensor with the dtype and on the device that an adapter of a module takes.

    Raises
    ------
    AtlasError
        If the module has no floating-point parameter that says so.
    """
    for parameter in base.parameters():
        if parameter.dtype in _DTYPES:
            return torch.empty(0, dtype=learning_dtype(parameter.dtype), device=parameter.device)
    kind = type(base).__name__
    raise AtlasError(f"target_modules: {method} was given a {kind} without parameters; allowed: modules with some")
