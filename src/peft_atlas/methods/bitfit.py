"""BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based Masked Language-models (arXiv:2106.10199)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from peft_atlas.methods.method import Sites, Sizes, StudySetting, Unwrapped


@dataclass(frozen=True)
class BitFit(Unwrapped):
    """BitFit: the biases of the network learn and nothing is added, so that there is nothing to merge.

    Every parameter counts whose own name begins or ends with ``bias``, as ``bias``, ``in_proj_bias``, ``q_bias`` and
    ``bias_ih_l0`` do, those of normalisation layers too (section 2); not the weight of a module of such a name. They
    learn in the dtype that they have: in half precision small steps are lost.
    """

    name: ClassVar[str] = "BitFit"
    paper: ClassVar[str] = "arXiv:2106.10199"

    @classmethod
    def study_settings(cls, sites: Sites, sizes: Sizes) -> Sequence[StudySetting]:
        """Return BitFit on every bias."""
        return [StudySetting(cls.name, None, cls())]

    def trains(self, parameter: str) -> bool:
        """Return whether a parameter is a bias."""
        *holders, last = parameter.split(".")
        # torch names what a parametrised bias is computed from ``parametrizations.bias.original``.
        own = holders[-1] if holders[-2:-1] == ["parametrizations"] else last
        return own.startswith("bias") or own.endswith("bias")
