"""What the modules that wrap a target share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from peft_atlas.errors import AtlasError


class Wrapper(nn.Module):
    """A module in the place of another, ``base``, which it calls with all arguments that it is given.

    What a parent reads of the module it expects there, such as ``weight``, ``bias`` or ``in_features``, is the
    base's. A wrapper of a linear module also takes ``base_output``, ``base(x)`` where the caller has it already:
    while the base is frozen it need be computed once for all epochs and members.
    """

    def __init__(self, base: nn.Module) -> None:
        super().__init__()
        self.base = base

    def __getattr__(self, name: str) -> Any:
        try:
            return nn.Module.__getattr__(self, name)
        except AttributeError:
            if name == "base" or name.startswith("__"):
                raise
            return getattr(self.base, name)

    def __setattr__(self, name: str, value: Any) -> None:
        # A parent that ties weights sets them on the module it knows.
        if name in ("weight", "bias"):
            setattr(self.base, name, value)
        else:
            super().__setattr__(name, value)


class MergingWrapper(Wrapper):
    """A wrapper of a module whose effect the base's own parameters can hold."""

    def __init__(self, base: nn.Module) -> None:
        super().__init__(base)
        self._frozen: dict[str, nn.Parameter] = {}

    def uses_weight_plainly(self) -> bool:
        """Return whether the base's output is that of its kind, so that a merged weight acts as the adapter does."""
        raise NotImplementedError

    def merged_parameters(self) -> dict[str, Tensor]:
        """Return the weight, and the bias where it changes, that give the wrapper's outputs by the base alone."""
        raise NotImplementedError

    @property
    def merged(self) -> bool:
        """Whether the update is now part of the base's weight."""
        return bool(self._frozen)

    def held_by_base(self) -> bool:
        """Return whether the base alone gives the output: merged, and no gradient of the adapter is asked for."""
        return self.merged and not (torch.is_grad_enabled() and any(p.requires_grad for p in self.added()))

    def added(self) -> list[nn.Parameter]:
        """Return the adapter's own parameters."""
        return [parameter for name, parameter in self.named_parameters() if not name.startswith("base.")]

    def original(self, name: str) -> Tensor:
        """Return a parameter of the base as it is without the update, in the base's dtype and on its device."""
        current: Tensor = getattr(self.base, name)
        return current if name not in self._frozen else self._frozen[name].to(current)

    def call_base(self, *arguments: Any, **options: Any) -> Tensor:
        """Return the base's output without the update, merged or not."""
        if not self._frozen:
            return self.base(*arguments, **options)
        frozen = {name: self.original(name) for name in self._frozen}
        return torch.func.functional_call(self.base, frozen, arguments, options)

    @torch.no_grad()
    def merge(self) -> None:
        """Put the update into the base's parameters; a second call changes nothing.

        The base is given new parameters, so that a weight tied to another module's is its own while merged, and
        the frozen ones are kept: `unmerge` restores them, ties included, bit for bit in every dtype. Outputs before
        and after agree within ``MERGE_TOLERANCE``. While gradients of the adapter are asked for, a merged module
        computes with its frozen weights and the adapter, so that training it is what it is unmerged.

        Raises
        ------
        AtlasError
            If a merged value would not be finite, or the weight is computed from others, by weight normalisation
            for example, or used in another way than by a linear product; the module is left as it was.
        """
        if self.merged:
            return
        self._refuse_unknown_use()
        merged = self.merged_parameters()
        held = {name: values.to(getattr(self.base, name).dtype) for name, values in merged.items()}
        if not all(bool(values.isfinite().all()) for values in held.values() if not values.is_meta):
            raise AtlasError("merged weights: not finite; allowed: a merge of finite weights only")
        own = dict(self.base.named_parameters(recurse=False))
        for name, values in held.items():
            self._frozen[name] = own[name]
            setattr(self.base, name, nn.Parameter(values, requires_grad=own[name].requires_grad))

    def _refuse_unknown_use(self) -> None:
        """Raise an AtlasError if changing the base's weight would not change its output as the adapter does."""
        kind = type(self.base).__name__
        if "weight" not in dict(self.base.named_parameters(recurse=False)):
            raise AtlasError(f"merge: the weight of a {kind} is computed from others; allowed: a parameter of its own")
        if not self.uses_weight_plainly():
            raise AtlasError(f"merge: {kind} has a forward of its own, whose use of its weight is not known")

    @torch.no_grad()
    def unmerge(self) -> None:
        """Put the frozen parameters back; on a module that is not merged this changes nothing.

        If the network was cast or moved while merged, so are they.
        """
        for name, parameter in self._frozen.items():
            parameter.data = self.original(name).data
            setattr(self.base, name, parameter)
        self._frozen = {}

    def settle(self) -> list[tuple[nn.Parameter, nn.Parameter]]:
        """Make a merge final and return each frozen parameter with the one that now takes its place."""
        replaced = [(frozen, getattr(self.base, name)) for name, frozen in self._frozen.items()]
        self._frozen = {}
        return replaced


# Largest difference between merged and unmerged outputs, relative to the outputs' largest magnitude.
# float32 and float64 leave a margin of 2**6 over their rounding unit times the square root of the width
# 4096; bfloat16 rounds the merged weight itself to 8 bits.
MERGE_TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-4, torch.bfloat16: 2e-2}
