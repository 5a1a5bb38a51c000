"""What a network's parameters were before the first adapter, kept until the last one is taken off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from peft_atlas.errors import AtlasError
from peft_atlas.methods.wrapper import MergingWrapper

_KEY = "peft_atlas_ledger"


class Ledger:
    """The flags and values of a network's own parameters, shared by all adapters that are attached to it.

    Every module of the network points to it, so that an adapter of a part finds that of the whole.
    """

    def __init__(self) -> None:
        self.flags: dict[nn.Parameter, bool] = {}
        self.values: dict[nn.Parameter, Tensor] = {}
        self.trainers: dict[nn.Parameter, int] = {}
        self.modules: list[nn.Module] = []
        self.adapters = 0

    @classmethod
    def of(cls, model: nn.Module) -> Ledger:
        """Return the ledger of a network, or of a part of it, or a new one."""
        found = {id(ledger): ledger for module in model.modules() if (ledger := vars(module).get(_KEY)) is not None}
        if len(found) > 1:
            raise AtlasError("adapters: attached to several parts of the network; allowed: to the whole, or one part")
        return next(iter(found.values()), cls())

    def enter(self, own: Sequence[nn.Parameter], trained: Sequence[nn.Parameter], copies: Sequence[Tensor]) -> None:
        """Freeze what no adapter trains, and let what a new one trains learn, starting at the copies of its values."""
        self.adapters += 1
        for parameter in own:
            self.flags.setdefault(parameter, parameter.requires_grad)
            if not self.trainers.get(parameter):
                parameter.requires_grad_(False)
        for parameter, copy in zip(trained, copies, strict=True):
            self.values.setdefault(parameter, parameter.data)
            self.trainers[parameter] = self.trainers.get(parameter, 0) + 1
            parameter.data = copy
            parameter.requires_grad_(True)

    def mark(self, model: nn.Module) -> None:
        """Let every module of a network point here."""
        for module in model.modules():
            if _KEY not in vars(module):
                vars(module)[_KEY] = self
                self.modules.append(module)

    def replace(self, pairs: Sequence[tuple[nn.Parameter, nn.Parameter]]) -> None:
        """Let parameters represent others, whose flags are to be theirs; a tied one may be both."""
        for old, new in pairs:
            self.flags[new] = self.flags[old]

    @torch.no_grad()
    def leave(self, trained: Sequence[nn.Parameter], *, keep: bool) -> None:
        """Take back what an adapter changed, as far as no other one needs it."""
        for parameter in trained:
            self.trainers[parameter] -= 1
            if not self.trainers[parameter]:
                before = self.values.pop(parameter)
                parameter.requires_grad_(False)
                parameter.data = parameter.data if keep else before.to(parameter.data)
        self.adapters -= 1
        if not self.adapters:
            self._close()

    def _close(self) -> None:
        for parameter, flag in self.flags.items():
            parameter.grad = None
            parameter.requires_grad_(flag)
        for module in self.modules:
            vars(module).pop(_KEY, None)
        self.flags, self.modules = {}, []


def merged_while_loading(model: nn.Module, state: Mapping[str, Any], prefix: str, *_: Any) -> None:
    """Refuse to load other weights into merged modules, which `unmerge` would throw away; a hook.

    Raises
    ------
    AtlasError
        If a merged weight is to be set to another value.
    """
    for name, module in model.named_modules():
        if isinstance(module, MergingWrapper) and module.merged:
            for key, parameter in module.base.named_parameters(recurse=False):
                given = state.get(f"{prefix}{name}.base.{key}")
                if isinstance(given, Tensor) and not torch.equal(given.to(parameter), parameter):
                    raise AtlasError(f"{name}.{key}: merged; allowed: loading after unmerge()")
