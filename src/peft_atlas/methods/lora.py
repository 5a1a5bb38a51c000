"""LoRA: Low-Rank Adaptation of Large Language Models (Hu et al. 2021, arXiv:2106.09685)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from peft_atlas.errors import AtlasError
from peft_atlas.population import PopulationLinear, SeedDropout, member_linear, uniform_by_seed

# Largest difference between merged and unmerged outputs, relative to the outputs' largest magnitude.
# float32 and float64 leave a margin of 2**6 over their rounding unit times the square root of the width
# 4096; bfloat16 rounds the merged weight itself to 8 bits.
MERGE_TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-4, torch.bfloat16: 2e-2}


class LoRALinear(nn.Module):
    """A frozen linear layer with a trainable low-rank update, ``h = W x + b + (alpha / r) B A dropout(x)``.

    The base layer is wrapped, not copied, and its parameters are frozen. ``lora_A`` starts uniform in
    ``±1/sqrt(in)`` (Kaiming uniform with a = sqrt(5), as in the authors' code and `peft`), ``lora_B`` at
    zero, so that the layer starts as its base (arXiv:2106.09685, section 4.1).

    Parameters
    ----------
    base
        The layer to adapt; its population dimensions may be 1 where members share it.
    r
        Rank, at least 1. A rank above min(in, out) is allowed and redundant.
    lora_alpha
        alpha, a number or one a member, broadcastable to ``population``.
    lora_dropout
        Probability that an entry of A's input is dropped, 0 <= p < 1.
    population
        Leading dimensions of A and B; the first is the seeds.
    seeds
        One seed for each entry of the first population dimension.
    name
        Name of the layer, part of its random streams' roles.

    Attributes
    ----------
    lora_A : Parameter
        Shape ``(*population, r, in)``.
    lora_B : Parameter
        Shape ``(*population, out, r)``.
    scaling : Tensor
        alpha / r, shape ``(*population, 1, 1)``.

    Raises
    ------
    AtlasError
        If r, lora_alpha or lora_dropout is out of its range.
    """

    scaling: Tensor

    def __init__(
        self,
        base: nn.Linear | PopulationLinear,
        r: int,
        lora_alpha: float | Tensor,
        lora_dropout: float = 0.0,
        population: Sequence[int] = (),
        seeds: Sequence[int] = (0,),
        name: str = "linear",
    ) -> None:
        super().__init__()
        if r < 1:
            raise AtlasError(f"r = {r}: allowed: a whole number of at least 1")
        alpha = torch.as_tensor(lora_alpha, dtype=base.weight.dtype)
        if not bool(((alpha > 0) & alpha.isfinite()).all()):
            raise AtlasError(f"lora_alpha = {lora_alpha}: allowed: finite numbers above 0")
        self.base = base.requires_grad_(False)
        self.r, self.population = r, tuple(population)
        start = uniform_by_seed((r, base.in_features), base.in_features**-0.5, population, seeds, f"adapter/{name}")
        self.lora_A = nn.Parameter(start.to(base.weight.dtype))
        self.lora_B = nn.Parameter(torch.zeros(*population, base.out_features, r, dtype=base.weight.dtype))
        self.register_buffer("scaling", (alpha / r).expand(self.population).reshape(*population, 1, 1).clone())
        self.dropout = SeedDropout(lora_dropout, population, seeds, name)
        self._frozen_weight: Tensor | None = None

    def forward(self, x: Tensor, base_output: Tensor | None = None) -> Tensor:
        """Return the adapted output.

        Parameters
        ----------
        x
            Inputs, shape ``(*population, *batch, in)``.
        base_output
            ``base(x)`` where the caller has it already, since the base is frozen; None to compute it.

        Returns
        -------
        Tensor
            Shape ``(*population, *batch, out)``.
        """
        if self.merged:
            return self.base(x)
        kept = self.base(x) if base_output is None else base_output
        low = self.project_down(x)
        scaling = self.scaling.reshape(*self.population, *[1] * (low.dim() - len(self.population)))
        # Scaling the r-wide projection rather than the output is the same product at r/out of the work.
        return member_linear(low * scaling, self.lora_B, kept)

    def project_down(self, x: Tensor) -> Tensor:
        """Return ``A dropout(x)``, shape ``(*population, *batch, r)``."""
        return member_linear(self.dropout(x), self.lora_A)

    def delta_weight(self) -> Tensor:
        """Return the update ``(alpha / r) B A`` that merging adds to W, shape ``(*population, out, in)``."""
        return self.scaling * (self.lora_B @ self.lora_A)

    @property
    def merged(self) -> bool:
        """Whether the update is now part of the base layer's weight."""
        return self._frozen_weight is not None

    @torch.no_grad()
    def merge(self) -> None:
        """Add the update to the base layer's weight; a second call changes nothing.

        The frozen weight is kept, so that `unmerge` restores it bit for bit in every dtype; outputs before
        and after agree within ``MERGE_TOLERANCE``.

        Raises
        ------
        AtlasError
            If the merged weight would not be finite; the layer is left as it was.
        """
        if self.merged:
            return
        merged = self.base.weight + self.delta_weight()
        if not bool(merged.isfinite().all()):
            raise AtlasError("lora weights: not finite; allowed: a merge of finite weights only")
        self._frozen_weight = self.base.weight.data
        self.base.weight.data = merged

    @torch.no_grad()
    def unmerge(self) -> None:
        """Put the frozen weight back; on a layer that is not merged this changes nothing."""
        if self._frozen_weight is not None:
            self.base.weight.data, self._frozen_weight = self._frozen_weight, None


def lora_params(r: int, shapes: Sequence[tuple[int, int]]) -> int:
    """Return the parameters that LoRA trains, the sum of r (in + out) over ``(in, out)`` shapes."""
    return sum(r * (in_features + out_features) for in_features, out_features in shapes)


def redundant_rank(r: int, shapes: Sequence[tuple[int, int]]) -> bool:
    """Return whether r exceeds min(in, out) of some layer, where a lower rank spans every update."""
    return any(r > min(shape) for shape in shapes)
