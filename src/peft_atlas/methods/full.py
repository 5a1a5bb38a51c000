"""Full fine-tuning: every parameter of the network learns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from peft_atlas.methods.method import Sites, Sizes, StudySetting, Unwrapped


@dataclass(frozen=True)
class FullFineTuning(Unwrapped):
    """Full fine-tuning: nothing is wrapped and everything learns, so that there is nothing to merge.

    It learns in the dtype that it has; the running statistics of normalisation layers are part of its file.
    """

    name: ClassVar[str] = "full"
    paper: ClassVar[str] = "the reference of all others"

    @classmethod
    def study_settings(cls, sites: Sites, sizes: Sizes) -> Sequence[StudySetting]:
        """Return full fine-tuning."""
        return [StudySetting(cls.name, None, cls())]

    def trains(self, parameter: str) -> bool:
        """Return True: every parameter learns."""
        return True

    def saves(self, buffer: str) -> bool:
        """Return True: what training moves besides the parameters is saved too."""
        return True
