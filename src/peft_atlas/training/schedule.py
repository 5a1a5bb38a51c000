"""AdamW with a rate for each group of parameters that rises and then falls in a straight line to zero."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw


class ScheduledAdamW:
    """AdamW (arXiv:1711.05101) with `torch.optim.AdamW`'s defaults, fused, under linear warm-up and decay.

    torch's functional form is called, since making an optimizer object imports the compiler, which takes two
    seconds of every job.

    Parameters
    ----------
    trainable
        What learns, by name.
    factors
        What the rate of each is multiplied by, by name.
    rate
        The highest rate.
    steps, warmup
        Steps in all, and those in which the rate rises.
    """

    def __init__(
        self, trainable: Mapping[str, nn.Parameter], factors: Mapping[str, float], rate: float, steps: int, warmup: int
    ) -> None:
        self._trainable, self._rate, self._steps, self._warmup = trainable, rate, steps, warmup
        self._groups = {
            factor: [name for name in trainable if factors[name] == factor] for factor in sorted(set(factors.values()))
        }
        self._done = 0
        # Made at the first step, so that a run that goes on from a state never holds them twice.
        self._moments: dict[str, tuple[Tensor, ...]] = {}

    def rate(self, step: int) -> float:
        """Return the rate of a step, from 0: it rises over the warm-up and would be 0 after the last step."""
        if step < self._warmup:
            return self._rate * (step + 1) / (self._warmup + 1)
        return self._rate * (self._steps - step) / (self._steps - self._warmup)

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter from its gradient, and forget the gradients."""
        for factor, names in self._groups.items():
            learning = [name for name in names if self._trainable[name].grad is not None]
            parameters = [self._trainable[name] for name in learning]
            self._update(learning, parameters, factor * self.rate(self._done))
            for parameter in parameters:
                parameter.grad = None
        self._done += 1

    def _update(self, names: list[str], parameters: list[nn.Parameter], rate: float) -> None:
        moments = [self._moments_of(name) for name in names]
        means, squares = ([each[part] for each in moments] for part in (0, 1))
        steps = [torch.tensor(float(self._done), device=parameter.device) for parameter in parameters]
        gradients: list[Any] = [parameter.grad for parameter in parameters]
        adamw(
            [parameter.data for parameter in parameters], gradients, means, squares, [], steps,
            fused=True, amsgrad=False, beta1=0.9, beta2=0.999, lr=rate, weight_decay=0.01, eps=1e-8, maximize=False,
        )  # fmt: skip

    def _moments_of(self, name: str) -> tuple[Tensor, ...]:
        """Return the moments of a parameter, zero before its first step."""
        if name not in self._moments:
            own = self._trainable[name]
            blank = (torch.zeros_like(own, memory_format=torch.preserve_format) for _ in range(2))
            self._moments[name] = tuple(blank)
        return self._moments[name]

    def state(self) -> dict[str, Any]:
        """Return the moments and the number of steps done."""
        return {"done": self._done, "moments": self._moments}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a state, whose moments become the run's own."""
        self._done = int(state["done"])
        self._moments = {
            name: tuple(each.to(self._trainable[name]) for each in moments)
            for name, moments in state["moments"].items()
        }
