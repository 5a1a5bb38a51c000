"""The precision in which matrix products are taken: float32, or bfloat16 where the device has instructions for it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch

from peft_atlas.config_types import Precision


def resolve_precision(precision: Precision, device: torch.device) -> Literal["float32", "bfloat16"]:
    """Return what a configured precision means on a device.

    Parameters
    ----------
    precision
        float32, or auto: bfloat16 where the device multiplies it faster than float32. Of processors these are the ones
        with AVX-512 BF16 or AMX; the others emulate it.
    device
        Where the run is trained.
    """
    if precision == "float32":
        return "float32"
    if device.type == "cuda":
        faster = torch.cuda.is_bf16_supported()
    else:
        found = torch.cpu.get_capabilities()
        faster = found.get("avx512_bf16", False) or found.get("amx_bf16", False)
    return "bfloat16" if faster else "float32"


def autocast(device: torch.device, bfloat16: bool) -> AbstractContextManager[Any]:
    """Return a context in which matrix products are taken in bfloat16, or one that changes nothing."""
    return torch.autocast(device.type, torch.bfloat16) if bfloat16 else nullcontext()
