"""BitFit and LoRA together, which the seed notebook quotes for medical imaging."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from peft_atlas.methods.bitfit import BitFit
from peft_atlas.methods.lora import LoRA
from peft_atlas.methods.method import Sites, Sizes, StudySetting


@dataclass(frozen=True)
class BitFitLoRA(LoRA):
    """LoRA on linear modules while every bias of the network learns too; settings as of `LoRA`.

    Merging adds LoRA's update to the weights; the biases are in the network already.
    """

    name: ClassVar[str] = "BitFit + LoRA"
    paper: ClassVar[str] = "arXiv:2106.10199 and arXiv:2106.09685"
    peft_type: ClassVar[str | None] = None

    @classmethod
    def study_settings(cls, sites: Sites, sizes: Sizes) -> Sequence[StudySetting]:
        """Return LoRA on query, key and value with all biases."""
        return [StudySetting(cls.name, None, cls(sizes.rank, sizes.alpha, sizes.dropout, sites.attention))]

    def trains(self, parameter: str) -> bool:
        """Return whether a parameter is a bias."""
        return BitFit().trains(parameter)
