"""Random streams keyed by (seed, role), so that no draw depends on what else was drawn."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from peft_atlas.streams import stream_key


def generator(seed: int, role: str) -> torch.Generator:
    """Return a CPU generator for one role of one seed, independent of every other role and seed.

    Draws are made on the CPU and then moved, so that they are the same on every device.
    """
    return torch.Generator().manual_seed(stream_key(seed, role))


def generators(seeds: Sequence[int], role: str) -> tuple[torch.Generator, ...]:
    """Return one generator a seed for a role."""
    return tuple(generator(seed, role) for seed in seeds)
