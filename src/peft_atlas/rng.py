"""Random streams keyed by (seed, role), so that no draw depends on what else was drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# Every role that a run draws from, and what is drawn; the report prints this table.
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
    """Return the 63-bit generator seed of a role: the first 8 bytes of SHA-256 of ``role:seed``."""
    digest = hashlib.sha256(f"{role}:{seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, role: str) -> torch.Generator:
    """Return a CPU generator for one role of one seed, independent of every other role and seed.

    Draws are made on the CPU and then moved, so that they are the same on every device.
    """
    import torch  # The report prints ROLES and need not wait two seconds for torch.

    return torch.Generator().manual_seed(stream_key(seed, role))


def generators(seeds: Sequence[int], role: str) -> tuple[torch.Generator, ...]:
    """Return the generator of a role for each of several seeds."""
    return tuple(generator(seed, role) for seed in seeds)
