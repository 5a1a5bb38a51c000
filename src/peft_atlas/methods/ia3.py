"""(IA)3: Infused Adapter by Inhibiting and Amplifying Inner Activations (Liu et al. 2022, arXiv:2205.05638)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from peft_atlas.methods.linear import as_dtype, as_stored, is_plain, learning_dtype, weight_of, widths
from peft_atlas.methods.method import Members, Method, Sites, Sizes, StudySetting
from peft_atlas.methods.patterns import Patterns, selects
from peft_atlas.methods.peft_config import check_feedforward
from peft_atlas.methods.wrapper import MergingWrapper
from peft_atlas.population import PopulationLinear, over_batch


class IA3Linear(MergingWrapper):
    """A linear module whose output, or input, is rescaled entry by entry: ``l * (W x + b)`` or ``W (l * x) + b``.

    arXiv:2205.05638, section 3.3: keys, values and the inner activations of the feed-forward network are
    rescaled by vectors that start at one, so that the module starts as its base. Merging multiplies the rows
    of W and the bias, or the columns of W, by l.

    Parameters
    ----------
    base
        The linear module.
    scales_input
        Whether the input is rescaled, as for the second layer of a feed-forward network.
    population
        Leading dimensions of l.

    Attributes
    ----------
    ia3_l : Parameter
        l, float32 where the network is in half precision, shape ``(*population, out)`` or ``(*population, in)``.
    """

    base: nn.Linear | PopulationLinear

    def __init__(self, base: nn.Linear | PopulationLinear, scales_input: bool, population: Sequence[int] = ()) -> None:
        super().__init__(base)
        self.scales_input = scales_input
        width = widths(base, "(IA)3")[0 if scales_input else 1]
        dtype, device = learning_dtype(base.weight.dtype), base.weight.device
        self.ia3_l = nn.Parameter(torch.ones(*population, width, dtype=dtype, device=device))

    def forward(self, x: Tensor, *arguments: Any, base_output: Tensor | None = None, **options: Any) -> Tensor:
        """Return the rescaled output, shape ``(*population, *batch, out)``; further arguments are the base's.

        ``base_output`` is ``base(x)`` where the caller has it; it is of no use where the input is rescaled.
        """
        if self._frozen and self.held_by_base():
            return self.base(x, *arguments, **options)
        if self.scales_input:
            return self.call_base(as_dtype(x * over_batch(self.ia3_l, x), x.dtype), *arguments, **options)
        kept = self.call_base(x, *arguments, **options) if base_output is None else base_output
        return as_dtype(kept * over_batch(self.ia3_l, kept), kept.dtype)

    def uses_weight_plainly(self) -> bool:
        """Return whether the base computes ``W x + b``."""
        return is_plain(self.base)

    def merged_parameters(self) -> dict[str, Tensor]:
        """Return the rescaled weight, and the bias where the output is rescaled."""
        weight = weight_of(self.base, self.original("weight"))
        if self.scales_input:
            return {"weight": as_stored(self.base, weight * self.ia3_l.unsqueeze(-2))}
        merged = {"weight": as_stored(self.base, weight * self.ia3_l.unsqueeze(-1))}
        if self.base.bias is not None:
            merged["bias"] = self.original("bias") * self.ia3_l
        return merged


@dataclass(frozen=True)
class IA3(Method):
    """(IA)3 on linear modules; see `IA3Linear`. Merging rescales weights.

    Parameters
    ----------
    target_modules
        Patterns of the modules that are rescaled.
    feedforward_modules
        Patterns of those among them whose inputs are rescaled; of all others it is the outputs.
    """

    name: ClassVar[str] = "(IA)3"
    paper: ClassVar[str] = "arXiv:2205.05638"
    peft_type: ClassVar[str | None] = "IA3"
    target_modules: Patterns = ("key", "value")
    feedforward_modules: Patterns = ()

    @classmethod
    def study_settings(cls, sites: Sites, sizes: Sizes) -> Sequence[StudySetting]:
        """Return (IA)3 on keys, values and the feed-forward network's inner activations."""
        method = cls((*sites.rescaled, *sites.feedforward), sites.feedforward)
        return [StudySetting(cls.name, None, method)]

    def _scales_input(self, name: str) -> bool:
        return selects(self.feedforward_modules, name)

    def wrap(self, base: nn.Module, name: str, members: Members) -> IA3Linear:
        """Return a linear module with its output or input rescaled."""
        widths(base, self.name)
        return IA3Linear(base, self._scales_input(name), members.population)  # type: ignore[arg-type]

    def module_params(self, base: nn.Module, name: str) -> int:
        """Return the width of what is rescaled."""
        return widths(base, self.name)[0 if self._scales_input(name) else 1]

    def check_from_peft(self, config: Mapping[str, Any], model: nn.Module, names: Sequence[str]) -> None:
        """Raise an AtlasError unless the same modules have their inputs rescaled."""
        check_feedforward(config, {name: self._scales_input(name) for name in names})

    def peft_modules(self, names: Sequence[str], head: Sequence[str]) -> dict[str, Any]:
        """Return the modules as `peft.IA3Config` names them."""
        feedforward = [name for name in names if self._scales_input(name)]
        return {**super().peft_modules(names, head), "feedforward_modules": feedforward}

    def to_peft(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return l as peft shapes it, a column (out, 1), or a row (1, in) where the input is rescaled."""
        return super().to_peft({name: self._shaped(name, tensor) for name, tensor in state.items()})

    def _shaped(self, name: str, tensor: Tensor) -> Tensor:
        if not name.endswith(".ia3_l"):
            return tensor
        return tensor.unsqueeze(0 if self._scales_input(name.removesuffix(".ia3_l")) else -1)

    def from_peft(self, state: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
        """Return l as a vector under our names."""
        ours = super().from_peft(state, names)
        return {name: tensor.flatten() if name.endswith(".ia3_l") else tensor for name, tensor in ours.items()}
