"""BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based Masked Language-models (arXiv:2106.10199)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from peft_atlas.methods.method import Sites, Sizes, StudySetting, Unwrapped


@dataclass(frozen=True)
class BitFit(Unwrapped):
    """BitFit: the biases of the network learn and nothing is added, so that there is nothing to merge.

    Every parameter whose name ends in ``bias`` counts, those of normalisation layers too (section 2).
    """

    name: ClassVar[str] = "BitFit"
    paper: ClassVar[str] = "arXiv:2106.10199"

    @classmethod
    def study_settings(cls, sites: Sites, sizes: Sizes) -> Sequence[StudySetting]:
        """Return BitFit on every bias."""
        return [StudySetting(cls.name, None, cls())]

    def trains(self, parameter: str) -> bool:
        """Return whether a parameter is a bias."""
        return parameter.rpartition(".")[2] == "bias"
