"""DoRA: Weight-Decomposed Low-Rank Adaptation (Liu et al. 2024, arXiv:2402.09353)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from peft_atlas.methods.lora import LoRA, LoRALinear
from peft_atlas.methods.method import Members, Sites, Sizes, StudySetting, widths
from peft_atlas.population import member_linear, over_batch

# What studies train of it; see `names`.
SETTINGS = ("DoRA", "DoRA (half)")
# peft saves the magnitude under this name.
_OURS, _PEFTS = ".magnitude", ".lora_magnitude_vector"


class DoRALinear(LoRALinear):
    """A linear layer whose weight is a trained magnitude times a direction that LoRA changes.

    ``W' = m (W + s B A) / ||W + s B A||``, the norm taken over each output's weights (arXiv:2402.09353, eq. 5).
    The norm is a constant in the backward pass (section 4.3), as in `peft`. ``magnitude`` starts at ``||W||``
    and B at zero, so that the layer starts as its base. Merging replaces W by W'; the bias stays. Parameters
    as in `LoRALinear`.

    Attributes
    ----------
    magnitude : Parameter
        m, shape ``(*population, out)``.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        norm = torch.linalg.vector_norm(self.base.weight.detach(), dim=-1)
        self.magnitude = nn.Parameter(norm.expand(*self.population, norm.shape[-1]).clone())

    def norm(self) -> Tensor:
        """Return ``||W + s B A||`` of each output, shape ``(*population, out)``, without a gradient."""
        return torch.linalg.vector_norm((self.base.weight + self.delta_weight()).detach(), dim=-1)

    def forward(self, x: Tensor, base_output: Tensor | None = None) -> Tensor:
        """Return the adapted output, shape ``(*population, *batch, out)``; parameters as in `LoRALinear`.

        With dropout, W and A both see the dropped input where their product is rescaled, as in `peft`.
        """
        if self.merged:
            return self.base(x)
        kept = self.base(x) if base_output is None else base_output
        dropped = self.dropout(x)
        if dropped is not x:
            plain = member_linear(dropped, self.base.weight)
        else:
            plain = kept if self.base.bias is None else kept - over_batch(self.base.bias, x)
        low = self.scaled(member_linear(dropped, self.lora_A))
        ratio = over_batch(self.magnitude / self.norm(), x)
        return kept + (ratio - 1) * plain + ratio * member_linear(low, self.lora_B)

    def merged_parameters(self) -> dict[str, Tensor]:
        """Return W', shape ``(*population, out, in)``."""
        ratio = (self.magnitude / self.norm()).unsqueeze(-1)
        return {"weight": ratio * (self.base.weight + self.delta_weight())}


@dataclass(frozen=True)
class DoRA(LoRA):
    """DoRA on linear modules; see `DoRALinear`. Settings as of `LoRA`. Merging replaces the weight."""

    name: ClassVar[str] = "DoRA"
    paper: ClassVar[str] = "arXiv:2402.09353"

    @classmethod
    def study_settings(cls, sites: Sites, sizes: Sizes) -> Sequence[StudySetting]:
        """Return DoRA and, as the paper's "half", DoRA of half the rank and alpha, on query, key and value."""
        half = max(sizes.rank // 2, 1)
        return [
            StudySetting(label, None, cls(rank, sizes.alpha * rank / sizes.rank, sizes.dropout, sites.attention))
            for label, rank in zip(SETTINGS, (sizes.rank, half), strict=True)
        ]

    def wrap(self, base: nn.Module, name: str, members: Members) -> DoRALinear:
        """Return a linear module with its weight decomposed."""
        return self._wrap_as(DoRALinear, base, name, members)

    def module_params(self, base: nn.Module, name: str) -> int:
        """Return r (in + out) + out."""
        return super().module_params(base, name) + widths(base, self.name)[1]

    def peft_settings(self) -> dict[str, Any]:
        """Return the settings that `peft.LoraConfig` takes."""
        return {**super().peft_settings(), "use_dora": True}

    def to_peft(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return A, B and the magnitude as peft names them."""
        renamed = {name.replace(_OURS, _PEFTS): tensor for name, tensor in state.items()}
        return super().to_peft(renamed)

    def from_peft(self, state: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
        """Return A, B and the magnitude under our names."""
        return {name.replace(_PEFTS, _OURS): tensor for name, tensor in super().from_peft(state, names).items()}
