"""Head only: the network stays frozen and its head learns: a linear probe (Alain and Bengio 2016, arXiv:1610.01644)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from peft_atlas.methods.method import Sites, Sizes, StudySetting, Unwrapped


@dataclass(frozen=True)
class HeadOnly(Unwrapped):
    """Head only: a control that adapts nothing but the head that `attach` is given; there is nothing to merge."""

    name: ClassVar[str] = "head only"
    paper: ClassVar[str] = "arXiv:1610.01644"

    @classmethod
    def study_settings(cls, sites: Sites, sizes: Sizes) -> Sequence[StudySetting]:
        """Return the head alone."""
        return [StudySetting(cls.name, None, cls())]
