"""The parameter count of a low-rank pair, shared by the accounting and the methods; needs no torch."""

from __future__ import annotations

from collections.abc import Iterable


def lora_params(rank: int, shapes: Iterable[tuple[int, int]]) -> int:
    """Count A (r x in) and B (out x r) over ``(in, out)`` shapes: sum of r (in + out); arXiv:2106.09685, 4.1."""
    return sum(rank * (inputs + outputs) for inputs, outputs in shapes)
