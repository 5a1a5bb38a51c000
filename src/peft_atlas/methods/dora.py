"""DoRA: Weight-Decomposed Low-Rank Adaptation (Liu et al. 2024, arXiv:2402.09353)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from peft_atlas.errors import AtlasError
from peft_atlas.methods.linear import as_dtype, as_stored, weight_of, widths
from peft_atlas.methods.lora import LoRA, LoRALinear
from peft_atlas.methods.method import Members, Sites, Sizes, StudySetting, renamed
from peft_atlas.population import member_linear, over_batch

# What studies train of it; see `names`.
SETTINGS = ("DoRA", "DoRA (half)")
# peft saves the magnitude under this name.
_OURS, _PEFTS = ".magnitude", ".lora_magnitude_vector"


class DoRALinear(LoRALinear):
    """A linear layer whose weight is a trained magnitude times a direction that LoRA changes.

    ``W' = m (W + s B A) / ||W + s B A||``, the norm taken over each output's weights (arXiv:2402.09353, eq. 5).
    The norm is a constant in the backward pass (section 4.3), as in `peft`. ``magnitude`` starts at ``||W||``
    and B at zero, so that the layer starts as its base. A row of zeros has no direction; until B gives it one it
    is taken as it is, where `peft` divides zero by zero. Merging replaces W by W'; the bias stays. Parameters as
    in `LoRALinear`.

    Attributes
    ----------
    magnitude : Parameter
        m, shape ``(*population, out)``.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        weight = weight_of(self.base).detach().to(self.lora_A.dtype)
        norm = torch.linalg.vector_norm(weight, dim=-1)
        self.magnitude = nn.Parameter(norm.expand(*self.population, norm.shape[-1]).clone())

    def norm(self) -> Tensor:
        """Return ``||W + s B A||`` of each output, shape ``(*population, out)``, without a gradient."""
        with torch.no_grad():
            return torch.linalg.vector_norm(self.frozen_weight() + self.delta_weight(), dim=-1)

    def ratio(self) -> Tensor:
        """Return ``m / ||W + s B A||`` of each output, 1 where the norm is zero, shape ``(*population, out)``."""
        norm = self.norm()
        if _readable(norm) and bool(norm.all()):
            return self.magnitude / norm
        nothing = norm == 0
        return torch.where(nothing, 1.0, self.magnitude / torch.where(nothing, 1.0, norm))

    def forward(self, x: Tensor, *arguments: Any, base_output: Tensor | None = None, **options: Any) -> Tensor:
        """Return the adapted output, shape ``(*population, *batch, out)``; parameters as in `LoRALinear`.

        With dropout, W and A both see the dropped input where their product is rescaled, as in `peft`.
        """
        if self._frozen and self.held_by_base():
            return self.base(x, *arguments, **options)
        kept = self.call_base(x, *arguments, **options) if base_output is None else base_output
        read = self.read(x)
        dropped = self.dropout(read)
        if dropped is not read:
            plain = member_linear(as_dtype(dropped, x.dtype), self.frozen_weight())
        else:
            plain = kept if self.base.bias is None else kept - over_batch(self.base.bias, x)
        low = self.scaled(member_linear(dropped, self.lora_A))
        ratio = over_batch(self.ratio(), x)
        adapted = kept + (ratio - 1) * plain + ratio * member_linear(low, self.lora_B)
        return as_dtype(self.dropout.kept_for(adapted), kept.dtype)

    def merged_parameters(self) -> dict[str, Tensor]:
        """Return W' as the base holds it, ``(*population, out, in)`` but for a ``Conv1D``."""
        changed = self.ratio().unsqueeze(-1) * (self.frozen_weight() + self.delta_weight())
        return {"weight": as_stored(self.base, changed)}


def _readable(values: Tensor) -> bool:
    """Return whether Python may look at values at no cost: on the CPU, and not while a program is recorded."""
    return values.is_cpu and not torch.compiler.is_compiling() and not torch.jit.is_tracing()  # type: ignore[attr-defined]


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
        if isinstance(base, nn.Embedding):
            raise AtlasError(f"target_modules: {self.name} wraps linear modules, got a {type(base).__name__}")
        return self._wrap_as(DoRALinear, base, name, members)

    def module_params(self, base: nn.Module, name: str) -> int:
        """Return r (in + out) + out."""
        return super().module_params(base, name) + widths(base, self.name)[1]

    def peft_settings(self) -> dict[str, Any]:
        """Return the settings that `peft.LoraConfig` takes."""
        return {**super().peft_settings(), "use_dora": True}

    def to_peft(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return A, B and the magnitude as peft names them."""
        return renamed(super().to_peft(state), {_OURS: _PEFTS})

    def from_peft(self, state: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
        """Return A, B and the magnitude under our names."""
        return renamed(super().from_peft(state, names), {_PEFTS: _OURS})
