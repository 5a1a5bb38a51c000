"""Whether a peak fits on a card."""

from __future__ import annotations

FITS, DOES_NOT_FIT, CANNOT_TELL = "fits", "does not fit", "cannot tell"
GIB = 2**30
# Cards whose memory corrects its errors report 0.92 of the label (14.741 of 16 GiB on a T4), others 0.99 (39.557 of
# 40): limits printed in TRL's notebooks. A CUDA context takes about half a GB before the first tensor.
LEAST_SHARE, LARGEST_SHARE = 0.92, 0.99
CONTEXT_BYTES = 500_000_000


def certain_bytes(card_gb: float) -> float:
    """Return the bytes that a card surely leaves to tensors: 0.92 of its label in GiB, less a CUDA context."""
    return LEAST_SHARE * card_gb * GIB - CONTEXT_BYTES


def verdict(low: float, high: float, card_gb: float) -> str:
    """Return whether a peak between two numbers of bytes fits on a card whose label says so many GB.

    It fits where even the high end is below what the card surely has, and does not where even the low end is above
    0.99 of its label in GiB, which no card exceeds. Between the two nobody can tell.
    """
    if high <= certain_bytes(card_gb):
        return FITS
    return DOES_NOT_FIT if low > LARGEST_SHARE * card_gb * GIB else CANNOT_TELL
