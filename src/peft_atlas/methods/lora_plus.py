"""LoRA+: Efficient Low Rank Adaptation of Large Models (Hayou et al. 2024, arXiv:2402.12354)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from peft_atlas.errors import AtlasError
from peft_atlas.methods.lora import LoRA, LoRALinear
from peft_atlas.methods.method import Members, Sites, Sizes, StudySetting
from peft_atlas.methods.settings import check_positive


@dataclass(frozen=True)
class LoRAPlus(LoRA):
    """LoRA whose B learns faster than its A; the module, its merging and all other settings are `LoRA`'s.

    The rates are the optimiser's: what the learning rate of each parameter is to be multiplied by is in
    `Attached.rate_factors`, and an optimiser that is not given them trains plain LoRA.

    Parameters
    ----------
    rate_ratio
        Learning rate of B over that of A, lambda; the authors recommend 2**4.
    """

    name: ClassVar[str] = "LoRA+"
    paper: ClassVar[str] = "arXiv:2402.12354"
    rate_ratio: float = 16.0

    def wrap(self, base: nn.Module, name: str, members: Members) -> LoRALinear:
        """Return a linear module with the low-rank update added to it."""
        check_positive("rate_ratio", self.rate_ratio)
        if isinstance(base, nn.Embedding):
            raise AtlasError(f"target_modules: {self.name} wraps linear modules, got a {type(base).__name__}")
        return self._wrap_as(LoRALinear, base, name, members)

    @classmethod
    def study_settings(cls, sites: Sites, sizes: Sizes) -> Sequence[StudySetting]:
        """Return LoRA+ on query, key and value."""
        return [StudySetting(cls.name, None, cls(sizes.rank, sizes.alpha, sizes.dropout, sites.attention))]

    def rate_factor(self, parameter: str) -> float:
        """Return lambda for B and 1 for all else."""
        return self.rate_ratio if parameter.endswith(".lora_B") else 1.0
