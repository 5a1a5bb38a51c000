"""Adapters in parallel (He et al. 2021, Towards a Unified View of Parameter-Efficient Transfer Learning)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from peft_atlas.methods.bottleneck import Bottleneck
from peft_atlas.methods.linear import widths
from peft_atlas.methods.method import Members, Method, Sites, Sizes, StudySetting
from peft_atlas.methods.patterns import Patterns
from peft_atlas.methods.wrapper import Wrapper


class InParallel(Wrapper):
    """A linear module with a parallel bottleneck, ``W x + b + up(f(down x))``.

    Table 1 of arXiv:2110.04366, "parallel", without its scaling. It cannot be merged: f is between the two
    products.
    """

    def __init__(self, base: nn.Module, adapter: Bottleneck) -> None:
        super().__init__(base)
        self.adapter = adapter

    def forward(self, x: Tensor, *arguments: Any, base_output: Tensor | None = None, **options: Any) -> Tensor:
        """Return the adapted output, shape ``(*population, *batch, out)``; further arguments are the base's.

        ``base_output`` is ``base(x)`` where the caller has it.
        """
        kept = self.base(x, *arguments, **options) if base_output is None else base_output
        adapted: Tensor = self.adapter(x, kept)
        return adapted


@dataclass(frozen=True)
class ParallelAdapter(Method):
    """A bottleneck adapter from each target module's input to its output; it cannot be merged.

    Parameters
    ----------
    bottleneck, non_linearity
        Inner width, and the function between the two products; see `Bottleneck`.
    target_modules
        Patterns of the linear modules.
    """

    name: ClassVar[str] = "AdapterP"
    paper: ClassVar[str] = "arXiv:2110.04366"
    bottleneck: int = 16
    target_modules: Patterns = ("attention.output.dense", "output.dense")
    non_linearity: str = "tanh"

    @classmethod
    def study_settings(cls, sites: Sites, sizes: Sizes) -> Sequence[StudySetting]:
        """Return one adapter parallel to each module that writes to the residual stream."""
        return [StudySetting(cls.name, None, cls(sizes.bottleneck, sites.outputs))]

    def wrap(self, base: nn.Module, name: str, members: Members) -> InParallel:
        """Return a linear module with the adapter parallel to it."""
        like = base.weight
        assert isinstance(like, torch.Tensor)
        inputs, outputs = widths(base, self.name)
        adapter = Bottleneck(inputs, outputs, self.bottleneck, self.non_linearity, members, name, like)
        return InParallel(base, adapter)

    def module_params(self, base: nn.Module, name: str) -> int:
        """Return bottleneck x (in + out)."""
        return self.bottleneck * sum(widths(base, self.name))
