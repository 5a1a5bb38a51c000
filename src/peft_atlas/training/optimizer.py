"""AdamW for a population: as fast as torch's fused kernel, and bitwise independent of the block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

# A multiple of every vector width of the fused kernel, in elements.
_PADDING = 64
_WEIGHT_DECAY = 0.01


class PopulationAdamW:
    """AdamW (Loshchilov and Hutter, arXiv:1711.05101) with `torch.optim.AdamW`'s defaults and its fused kernel.

    The fused kernel updates the last few entries of a tensor one by one and rounds them differently from those it
    processes as vectors. Which entries come last depends on how many members share the block, so all parameters are
    moved into one buffer that ends in padding, and only the padding is treated that way. We call the kernel through
    torch's functional form because creating an optimizer object imports the compiler, which costs every job a second.

    Parameters
    ----------
    parameters
        Parameters to train, all of the same dtype and on the same device. Their storage moves into the buffer.
    lr
        Learning rate: one number for all parameters, or one entry per parameter, each a number or a tensor with a
        rate per member, shape ``population``.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float | Sequence[float | Tensor]) -> None:
        self._parameters = list(parameters)
        self._lr = lr if isinstance(lr, float) else 1.0
        sizes = [parameter.numel() for parameter in self._parameters]
        padded = -(-sum(sizes) // _PADDING) * _PADDING
        blank = self._parameters[0].data.new_zeros
        self._values, self._gradient, self._mean, self._square = (blank(padded) for _ in range(4))
        self._step = torch.zeros((), dtype=torch.float32, device=self._values.device)
        for parameter, values in zip(self._parameters, self._parts(self._values), strict=True):
            values.copy_(parameter.data)
            parameter.data = values
        self._rates = None if isinstance(lr, float) else self._spread(lr)

    def _spread(self, rates: Sequence[float | Tensor]) -> Tensor:
        """Expand the rates to one per entry of the buffer, 0 in the padding."""
        spread = torch.zeros_like(self._values)
        for part, rate in zip(self._parts(spread), rates, strict=True):
            each = torch.as_tensor(rate, dtype=spread.dtype, device=spread.device)
            part.copy_(each.reshape(*each.shape, *[1] * (part.dim() - each.dim())))
        return spread

    def _parts(self, buffer: Tensor) -> list[Tensor]:
        """Split a buffer into views, one per parameter and in its shape."""
        sizes = [parameter.numel() for parameter in self._parameters]
        parts = buffer.split([*sizes, len(buffer) - sum(sizes)])
        return [part.view(parameter.shape) for part, parameter in zip(parts, self._parameters, strict=False)]

    def zero_grad(self) -> None:
        """Clear the gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter from its gradient; a missing gradient counts as zero."""
        for parameter, part in zip(self._parameters, self._parts(self._gradient), strict=True):
            part.zero_() if parameter.grad is None else part.copy_(parameter.grad)
        if self._rates is None:
            self._fused(self._values, _WEIGHT_DECAY)
            return
        # The fused kernel takes a single rate, but AdamW is linear in it: step at rate 1 from zero, then scale.
        step = torch.zeros_like(self._values)
        self._fused(step, 0.0)
        self._values.mul_(1 - _WEIGHT_DECAY * self._rates).addcmul_(self._rates, step)

    def _fused(self, values: Tensor, weight_decay: float) -> None:
        """Have torch's kernel update the values and moments in place."""
        adamw(
            [values],
            [self._gradient],
            [self._mean],
            [self._square],
            [],
            [self._step],
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=self._lr,
            weight_decay=weight_decay,
            eps=1e-8,
            maximize=False,
        )
