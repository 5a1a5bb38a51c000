"""What the modules that wrap a target share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from peft_atlas.errors import AtlasError


class Wrapper(nn.Module):
    """A module in the place of another, ``base``, which it calls.

    A wrapper of a linear module also takes ``base(x)`` where the caller has it already: while the base is frozen
    it need be computed once for all epochs and members.
    """

    def __init__(self, base: nn.Module) -> None:
        super().__init__()
        self.base = base


class MergingWrapper(Wrapper):
    """A wrapper of a linear module whose effect one weight and bias can hold."""

    def __init__(self, base: nn.Module) -> None:
        super().__init__(base)
        self._frozen: dict[str, Tensor] = {}

    def merged_parameters(self) -> dict[str, Tensor]:
        """Return the weight, and the bias where it changes, that give the wrapper's outputs by the base alone."""
        raise NotImplementedError

    @property
    def merged(self) -> bool:
        """Whether the update is now part of the base's weight."""
        return bool(self._frozen)

    @torch.no_grad()
    def merge(self) -> None:
        """Put the update into the base's parameters; a second call changes nothing.

        The frozen values are kept, so that `unmerge` restores them bit for bit in every dtype; outputs before
        and after agree within ``MERGE_TOLERANCE``.

        Raises
        ------
        AtlasError
            If a merged value would not be finite; the module is left as it was.
        """
        if self.merged:
            return
        merged = self.merged_parameters()
        if not all(bool(values.isfinite().all()) for values in merged.values()):
            raise AtlasError("merged weights: not finite; allowed: a merge of finite weights only")
        for name, values in merged.items():
            parameter = getattr(self.base, name)
            self._frozen[name], parameter.data = parameter.data, values.to(parameter.dtype)

    @torch.no_grad()
    def unmerge(self) -> None:
        """Put the frozen values back; on a module that is not merged this changes nothing."""
        for name, values in self._frozen.items():
            getattr(self.base, name).data = values
        self._frozen = {}


# Largest difference between merged and unmerged outputs, relative to the outputs' largest magnitude.
# float32 and float64 leave a margin of 2**6 over their rounding unit times the square root of the width
# 4096; bfloat16 rounds the merged weight itself to 8 bits.
MERGE_TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-4, torch.bfloat16: 2e-2}
