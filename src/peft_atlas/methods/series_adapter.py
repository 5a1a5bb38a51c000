"""Adapters in series: Parameter-Efficient Transfer Learning for NLP (Houlsby et al. 2019, arXiv:1902.00751)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from peft_atlas.errors import AtlasError
from peft_atlas.methods.bottleneck import Bottleneck
from peft_atlas.methods.linear import widths
from peft_atlas.methods.method import Members, Method, Sites, Sizes, StudySetting
from peft_atlas.methods.patterns import Patterns
from peft_atlas.methods.wrapper import Wrapper

SIDES = ("output", "input", "narrower")


class InSeries(Wrapper):
    """A linear module with a bottleneck after it, ``h + up(f(down h))`` of its output h, or before it, of its input.

    Table 1 of arXiv:2110.04366, "sequential". It cannot be merged: f is between the two products.
    """

    def __init__(self, base: nn.Module, adapter: Bottleneck, *, before: bool) -> None:
        super().__init__(base)
        self.adapter, self.before = adapter, before

    def forward(self, x: Tensor, *arguments: Any, base_output: Tensor | None = None, **options: Any) -> Tensor:
        """Return the adapted output, shape ``(*population, *batch, out)``; further arguments are the base's.

        ``base_output`` is ``base(x)`` where the caller has it; it is of no use where the adapter comes before.
        """
        if self.before:
            before: Tensor = self.base(self.adapter(x, x), *arguments, **options)
            return before
        h = self.base(x, *arguments, **options) if base_output is None else base_output
        after: Tensor = self.adapter(h, h)
        return after


@dataclass(frozen=True)
class SeriesAdapter(Method):
    """A bottleneck adapter in series with each target module, on its output; it cannot be merged.

    Parameters
    ----------
    bottleneck, non_linearity
        Inner width, and the function between the two products; see `Bottleneck`.
    target_modules
        Patterns of the linear modules.
    side
        Its place: ``output``, ``input``, or ``narrower``, the side of the smaller width, as in the code
        of LLM-Adapters, the output where both are equal.
    """

    name: ClassVar[str] = "AdapterS"
    paper: ClassVar[str] = "arXiv:1902.00751"
    bottleneck: int = 16
    target_modules: Patterns = ("attention.output.dense", "output.dense")
    non_linearity: str = "tanh"
    side: Literal["output", "input", "narrower"] = "output"

    @classmethod
    def study_settings(cls, sites: Sites, sizes: Sizes) -> Sequence[StudySetting]:
        """Return one adapter after each module that writes to the residual stream."""
        return [StudySetting(cls.name, None, cls(sizes.bottleneck, sites.outputs))]

    def _place(self, base: nn.Module) -> tuple[int, bool]:
        """Return the adapter's width, and whether it comes before the module."""
        if self.side not in SIDES:
            raise AtlasError(f"side = {self.side!r}: allowed: {', '.join(SIDES)}")
        inputs, outputs = widths(base, self.name)
        before = self.side == "input" or (self.side == "narrower" and inputs < outputs)
        return (inputs if before else outputs), before

    def wrap(self, base: nn.Module, name: str, members: Members) -> InSeries:
        """Return a linear module with the adapter before or after it."""
        width, before = self._place(base)
        like = base.weight
        assert isinstance(like, torch.Tensor)
        adapter = Bottleneck(width, width, self.bottleneck, self.non_linearity, members, name, like)
        return InSeries(base, adapter, before=before)

    def module_params(self, base: nn.Module, name: str) -> int:
        """Return 2 x bottleneck x width."""
        return 2 * self.bottleneck * self._place(base)[0]
