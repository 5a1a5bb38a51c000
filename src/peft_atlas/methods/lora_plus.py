"""LoRA+: Efficient Low Rank Adaptation of Large Models (Hayou et al. 2024, arXiv:2402.12354)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from peft_atlas.methods.lora import LoRA
from peft_atlas.methods.method import Sites, Sizes, StudySetting


@dataclass(frozen=True)
class LoRAPlus(LoRA):
    """LoRA whose B learns faster than its A; the module, its merging and all other settings are `LoRA`'s.

    Parameters
    ----------
    rate_ratio
        Learning rate of B over that of A, lambda; the authors recommend 2**4.
    """

    name: ClassVar[str] = "LoRA+"
    paper: ClassVar[str] = "arXiv:2402.12354"
    rate_ratio: float = 16.0

    @classmethod
    def study_settings(cls, sites: Sites, sizes: Sizes) -> Sequence[StudySetting]:
        """Return LoRA+ on query, key and value."""
        return [StudySetting(cls.name, None, cls(sizes.rank, sizes.alpha, sizes.dropout, sites.attention))]

    def rate_factor(self, parameter: str) -> float:
        """Return lambda for B and 1 for all else."""
        return self.rate_ratio if parameter.endswith(".lora_B") else 1.0
