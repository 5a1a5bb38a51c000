"""Full fine-tuning: every parameter of the network learns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from peft_atlas.methods.method import Sites, Sizes, StudySetting, Unwrapped
from peft_atlas.methods.patterns import Patterns, selects


@dataclass(frozen=True)
class FullFineTuning(Unwrapped):
    """Full fine-tuning: nothing is wrapped and everything learns, so that there is nothing to merge.

    It learns in the dtype that it has; the running statistics of normalisation layers are part of its file.

    Parameters
    ----------
    frozen
        Patterns of modules that do not learn, such as a language model's table of tokens, of which a task reads a small
        part.
    """

    name: ClassVar[str] = "full"
    paper: ClassVar[str] = "the reference of all others"
    # Which parameters learn is seen from an adapter's tensors.
    inert: ClassVar[frozenset[str]] = Unwrapped.inert | {"frozen"}
    frozen: Patterns = ()

    @classmethod
    def study_settings(cls, sites: Sites, sizes: Sizes) -> Sequence[StudySetting]:
        """Return full fine-tuning of all but what the network keeps frozen."""
        return [StudySetting(cls.name, None, cls(frozen=sites.frozen))]

    def trains(self, parameter: str) -> bool:
        """Return whether a parameter is of a module that learns, as all are that are not named as frozen."""
        return not selects(self.frozen, parameter.rpartition(".")[0])

    def saves(self, buffer: str) -> bool:
        """Return True: what training moves besides the parameters is saved too."""
        return True
