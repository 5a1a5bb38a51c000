"""Random streams keyed by (seed, role), so that no draw depends on any other."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# Every role a run draws random numbers for, and what is drawn; the report prints this table.
ROLES = {
    "examples": "training examples of a text task, drawn from its pool",
    "head": "initial weights of the classification head",
    "data": "training inputs, teacher and label noise (the notebook's own NumPy stream)",
    "validation": "validation inputs and label noise",
    "test": "test inputs and label noise",
    "base": "initial weights of the network",
    "adapter": "initial A matrices",
    "order": "order of the training examples in each epoch",
    "dropout": "dropout masks",
}


def stream_key(seed: int, role: str) -> int:
    """Derive a role's 63-bit generator seed: the first 8 bytes of the SHA-256 of ``role:seed``."""
    digest = hashlib.sha256(f"{role}:{seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, role: str) -> torch.Generator:
    """Make a CPU generator for one role and seed, independent of all other roles and seeds.

    Numbers are drawn on the CPU and then moved, so that every device sees the same ones.
    """
    import torch  # Here, so that the report can print ROLES without waiting two seconds for torch.

    return torch.Generator().manual_seed(stream_key(seed, role))


def generators(seeds: Sequence[int], role: str) -> tuple[torch.Generator, ...]:
    """Make a generator for one role and each of several seeds."""
    return tuple(generator(seed, role) for seed in seeds)
