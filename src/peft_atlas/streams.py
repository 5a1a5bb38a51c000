"""What is drawn at random in a run, and the key of each random stream."""

from __future__ import annotations

import hashlib

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
