"""Layers whose parameters may carry leading population dimensions, so that many runs train as one model.

A *member* is one run: one index into the population dimensions. With ``population=()`` a layer is the
textbook one. With ``population=(seeds, alphas)`` a block of a grid is one model, and no member's numbers
depend, bit for bit, on which others share its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from peft_atlas.dropout import SeedDropout, check_seeds
from peft_atlas.rng import generators

__all__ = [
    "Draws",
    "PopulationLinear",
    "SeedDropout",
    "check_seeds",
    "member_linear",
    "over_batch",
    "uniform_by_seed",
]


def member_linear(x: Tensor, weight: Tensor, addend: Tensor | None = None) -> Tensor:
    """Return ``x @ weight.T + addend`` for each member.

    Parameters
    ----------
    x
        Inputs, shape ``(*population, *batch, in)``; a population dimension may be 1.
    weight
        Weights, shape ``(*population, out, in)``; a population dimension may be 1.
    addend
        What is added, broadcastable to ``(*population, *batch, out)``, or None.

    Returns
    -------
    Tensor
        Shape ``(*population, *batch, out)``.
    """
    dims = weight.dim() - 2
    if dims == 0:
        product = F.linear(x, weight)
        return product if addend is None else product + addend
    batch = x.shape[dims:-1]
    # NumPy's function, since torch's imports SymPy, which takes a second of every job.
    leading = [operand.shape[:dims] for operand in (x, weight, addend) if operand is not None]
    population = torch.Size(np.broadcast_shapes(*leading))
    rows = x.reshape(*x.shape[:dims], -1, x.shape[-1])
    if addend is not None:
        addend = addend.expand(*population, *batch, weight.shape[-2]).reshape(
            *population, rows.shape[-2], weight.shape[-2]
        )
    product = _batched_product(rows, weight, addend, population)
    return product.reshape(*population, *batch, weight.shape[-2])


def _batched_product(rows: Tensor, weight: Tensor, addend: Tensor | None, population: torch.Size) -> Tensor:
    """Return the product of `member_linear` over flat populations, shape ``(members, rows, out)``.

    ``torch.matmul`` and strided or single-member operands take other kernels, which round otherwise. One
    kernel on one memory layout for any number of members keeps a member's bits the same in every block.
    """
    shaped = None if addend is None else addend.expand(*population, *addend.shape[-2:])
    product = _MemberProduct.apply(_flat(rows, population), _flat(weight, population), shaped)
    return product[:1] if population.numel() == 1 else product


def _flat(operand: Tensor, population: torch.Size) -> Tensor:
    """Return an operand as contiguous ``(members, rows, columns)``; a single member is stacked twice."""
    flat = operand.expand(*population, *operand.shape[-2:]).flatten(0, -3)
    return (flat.expand(2, -1, -1) if len(flat) == 1 else flat).contiguous()


def _product(left: Tensor, right: Tensor) -> Tensor:
    """Return ``left @ right`` a member, computed with the wider side of the result along the columns.

    The kernels vectorise along columns; a LoRA's products are a few entries wide on one side, and the
    transposed product takes as little as a tenth of the time.
    """
    if left.shape[-2] > right.shape[-1]:
        return torch.bmm(right.mT, left.mT).mT
    return torch.bmm(left, right)


class _MemberProduct(torch.autograd.Function):
    """``left @ right.T + addend`` a member, its three products each taken the fast way round.

    Shapes: left ``(members, rows, in)``, right ``(members, out, in)``, addend ``(*population, rows, out)`` or
    None. A single member is put in left and right alike, and its addend is copied into both.
    """

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor, addend: Tensor | None) -> Tensor:
        """Return the sum, shape ``(members, rows, out)``."""
        ctx.save_for_backward(left, right)
        if addend is None:
            return _product(left, right.mT)
        ctx.population = addend.shape[:-2]
        total = left.new_empty(len(left), *addend.shape[-2:])
        total.view(-1, *addend.shape).copy_(addend)
        if left.shape[-2] > right.shape[-2]:
            return total.add_(_product(left, right.mT))
        return total.baddbmm_(left, right.mT)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Return the gradients of left, right and addend, None for one that does not learn."""
        left, right = ctx.saved_tensors
        need_left, need_right, need_addend = ctx.needs_input_grad
        grad = grad.contiguous()
        return (
            _product(grad, right) if need_left else None,
            _product(grad.mT, left) if need_right else None,
            grad[: ctx.population.numel()].unflatten(0, ctx.population) if need_addend else None,
        )


def over_batch(values: Tensor, like: Tensor) -> Tensor:
    """Return values of shape ``(*population, features)`` with batch dimensions of 1, to meet those of ``like``.

    ``like`` has shape ``(*population, *batch, any)``.
    """
    batch_dims = max(like.dim() - values.dim(), 0)
    return values.reshape(*values.shape[:-1], *[1] * batch_dims, values.shape[-1])


@dataclass(frozen=True)
class Draws:
    """Who draws initial values: the population, its seeds, the role of the stream, and where the values go.

    The first population dimension is the seeds; members of one seed start alike, so that they differ by their
    settings alone. On the meta device nothing is drawn.
    """

    population: tuple[int, ...]
    seeds: tuple[int, ...]
    role: str
    like: Tensor | None = None

    def uniform(self, shape: Sequence[int], bound: float) -> Tensor:
        """Return uniform draws from ``[-bound, bound)``, shape ``(*population, *shape)``, one draw per seed."""
        return self._spread(
            shape, lambda g: (2 * torch.rand(*shape, generator=g, dtype=torch.float64, device="cpu") - 1) * bound
        )

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Return standard normal draws, shape ``(*population, *shape)``, one draw per seed."""
        return self._spread(shape, lambda g: torch.randn(*shape, generator=g, dtype=torch.float64, device="cpu"))

    def _spread(self, shape: Sequence[int], draw: Callable[[torch.Generator], Tensor]) -> Tensor:
        """Return one draw per seed for every member of it, in the dtype and on the device of ``like``."""
        check_seeds(self.population, self.seeds)
        dtype = torch.get_default_dtype() if self.like is None else self.like.dtype
        device = torch.device("cpu") if self.like is None else self.like.device
        if device.type == "meta":
            return torch.empty(*self.population, *shape, dtype=dtype, device=device)
        drawn = torch.stack([draw(g) for g in generators(self.seeds, self.role)]).to(device, dtype)
        if not self.population:
            return drawn[0]
        spread = drawn.reshape(len(drawn), *[1] * (len(self.population) - 1), *shape)
        return spread.expand(*self.population, *shape).clone()


def uniform_by_seed(
    shape: Sequence[int], bound: float, population: Sequence[int], seeds: Sequence[int], role: str
) -> Tensor:
    """Return `Draws.uniform` in torch's default dtype, shape ``(*population, *shape)``.

    Raises
    ------
    AtlasError
        If there is not one seed for each entry of the first population dimension.
    """
    return Draws(tuple(population), tuple(seeds), role).uniform(shape, bound)


class PopulationLinear(nn.Module):
    """A linear layer ``y = W x + b`` with ``weight: (*population, out, in)`` and ``bias: (*population, out)``.

    Weights and biases start uniform in ``±1/sqrt(in)``, as `torch.nn.Linear`'s do, one draw per seed.

    Parameters
    ----------
    in_features, out_features
        Widths of input and output.
    population
        Leading dimensions; the first is the seeds.
    seeds
        One seed for each entry of the first population dimension.
    name
        Name of the layer, part of its random stream's role.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        population: Sequence[int] = (),
        seeds: Sequence[int] = (0,),
        name: str = "linear",
    ) -> None:
        super().__init__()
        bound = in_features**-0.5
        self.in_features, self.out_features = in_features, out_features
        self.population = tuple(population)
        self.weight = nn.Parameter(
            uniform_by_seed((out_features, in_features), bound, population, seeds, f"base/{name}/weight")
        )
        self.bias = nn.Parameter(uniform_by_seed((out_features,), bound, population, seeds, f"base/{name}/bias"))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``W x + b``, shape ``(*population, *batch, out)``, for x of ``(*population, *batch, in)``."""
        return member_linear(x, self.weight, over_batch(self.bias, x))
