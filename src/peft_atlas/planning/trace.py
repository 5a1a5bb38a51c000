"""The second way: the real model class traced through one training step on tensors without memory.

A model of transformers is built on torch's meta device, peft's adapter is attached, and a step runs under
`FakeTensorMode`: every operation happens as to shapes, types and lifetimes, and none computes. A dispatch mode counts
the storages that are alive, and saved-tensor hooks say which of them autograd keeps. What is measured is a step when
the optimiser's moments exist: they are made by a first update, an equal second update is measured, and since they lie
idle during forward and backward, their bytes are added there. It knows nothing of the closed form.

What differs from a GPU: torch's CPU kernels run, whose flash attention keeps a mask (left out here, as ``mask``) and
copies fused outputs; nothing is fragmented; no kernel takes a workspace.
"""

from __future__ import annotations

import warnings
import weakref
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

WEIGHTS, GRADIENTS, OPTIMIZER, LOGITS, MASK = "weights", "gradients", "optimizer", "logits", "mask"
SAVED, WORKING = "saved", "working"
Batch = Callable[[], Mapping[str, torch.Tensor]]


@dataclass(frozen=True)
class Traced:
    """Bytes by part at the moment of a step at which most was alive, and in which phase that was."""

    parts: Mapping[str, int]
    phase: str

    @property
    def total(self) -> int:
        """Return the peak without the mask that only the CPU's attention keeps."""
        return sum(size for name, size in self.parts.items() if name != MASK)


class LiveStorages(TorchDispatchMode):
    """Counts the bytes of the storages that are alive, each once, and remembers the largest sum by part."""

    def __init__(self, words: int, mask: tuple[int, int]) -> None:
        super().__init__()
        self.words, self.mask = words, mask
        self.live: dict[int, int] = {}
        self.kind: dict[int, str] = {}
        self.kept: set[int] = set()
        self.phase, self.peak = "", Traced({}, "")
        self._now = self._largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count what it made."""
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self.add(leaf)
        return result

    def add(self, tensor: torch.Tensor, kind: str = "") -> None:
        """Count a tensor's storage, under a name of its own where one is given."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self.live:
            self.live[key] = storage.nbytes()
            self._now += storage.nbytes()
            self.kind[key] = self._shape_kind(tensor)
            weakref.finalize(storage, self._drop, key)
        self.kind[key] = kind or self.kind[key]
        if self._now > self._largest:
            self._largest, self.peak = self._now, Traced(self.parts(), self.phase)

    def _shape_kind(self, tensor: torch.Tensor) -> str:
        if tensor.dim() > 1 and tensor.shape[-1] == self.words:
            return LOGITS
        return MASK if tensor.dim() == 4 and tuple(tensor.shape[1:]) == (1, *self.mask) else ""

    def _drop(self, key: int) -> None:
        self._now -= self.live.pop(key, 0)
        self.kind.pop(key, None)
        self.kept.discard(key)

    def keep(self, tensor: torch.Tensor) -> torch.Tensor:
        """Remember that autograd keeps a tensor; the hook of saved tensors."""
        self.kept.add(tensor.untyped_storage()._cdata)
        return tensor

    def parts(self) -> dict[str, int]:
        """Return the bytes alive by part."""
        total: Counter[str] = Counter()
        for key, size in self.live.items():
            total[self.kind[key] or (SAVED if key in self.kept else WORKING)] += size
        return dict(total)

    def forget_peak(self) -> None:
        """Start measuring the peak again from here."""
        self._largest = 0


def lay_out(model: nn.Module) -> None:
    """Replace the meta tensors of a model by fake ones on the CPU; tied tensors stay one."""
    made: dict[int, torch.Tensor] = {}
    for module in model.modules():
        for tensors in (module._parameters, module._buffers):
            for name, tensor in tensors.items():
                if tensor is not None:
                    made.setdefault(id(tensor), _fake(tensor))
                    tensors[name] = made[id(tensor)]  # type: ignore[assignment]


def _fake(tensor: torch.Tensor) -> torch.Tensor:
    empty = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")
    return nn.Parameter(empty, requires_grad=tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty


def build(model_class: Any, config: Any, *, dtype: torch.dtype, kernel: str, adapter: Any = None) -> nn.Module:
    """Return a model on the meta device, with peft's adapter where one is given."""
    from peft import get_peft_model

    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = model_class.from_config(config, attn_implementation=kernel, dtype=dtype)
        return model if adapter is None else get_peft_model(model, adapter)


def trace_step(
    model: nn.Module, batch: Batch, *, words: int, sequence: int, checkpointing: bool = False, autocast: bool = False,
    foreach: bool = True,
) -> Traced:  # fmt: skip
    """Return the peak of an AdamW step after the first, of a model from `build`, by part.

    Parameters
    ----------
    batch
        Makes the model's inputs; called where tensors have no memory.
    words, sequence
        The vocabulary and the length, which tell logits and masks from other tensors.
    """
    with FakeTensorMode(allow_non_fake_inputs=True), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lay_out(model)
        if checkpointing:
            _checkpoint(model)
        model.train()
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trained, foreach=foreach)
        live = LiveStorages(words, (sequence, sequence))
        for tensor in [*model.parameters(), *model.buffers()]:
            live.add(tensor, WEIGHTS)
        with live, torch.autograd.graph.saved_tensors_hooks(live.keep, lambda tensor: tensor):
            return _later_step(model, batch, optimizer, live, autocast)


def _checkpoint(model: Any) -> None:
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if hasattr(model, "peft_config"):
        model.enable_input_require_grads()


def _later_step(
    model: nn.Module, batch: Batch, optimizer: torch.optim.Optimizer, live: LiveStorages, autocast: bool
) -> Traced:
    """Return the peak of a step when the moments exist; the phases are named so that the peak can say when it was."""
    live.phase = "forward"
    with torch.autocast("cpu", torch.bfloat16) if autocast else nullcontext():
        output = model(**batch())
    live.phase = "backward"
    output.loss.backward()
    for parameter in model.parameters():
        if parameter.grad is not None:
            live.add(parameter.grad, GRADIENTS)
    before = live.peak
    live.phase = "update"
    # The first update makes the moments; the second, of the same gradients, is measured.
    optimizer.step()
    moments = _moments(optimizer, live)
    live.forget_peak()
    optimizer.step()
    with_moments = Traced({**before.parts, OPTIMIZER: moments}, before.phase)
    return max(with_moments, live.peak, key=lambda peak: sum(peak.parts.values()))


def _moments(optimizer: torch.optim.Optimizer, live: LiveStorages) -> int:
    """Count the tensors of an optimiser as its own, and return their bytes."""
    for state in optimizer.state.values():
        for tensor in state.values():
            if isinstance(tensor, torch.Tensor):
                live.add(tensor, OPTIMIZER)
    return live.parts()[OPTIMIZER]
