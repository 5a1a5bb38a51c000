"""The contract of prepared texts, which are kept in a cache and are not a result."""

from __future__ import annotations

import pyarrow as pa

from peft_atlas.tables.contract import Column, Contract

SPLITS = ("train", "validation", "test")
EXAMPLES = Contract(
    "examples",
    1,
    ("split", "digest"),
    (
        Column("split", pa.string(), "split that holds the text", required=True, allowed=(*SPLITS, "drift")),
        Column("digest", pa.string(), "SHA-256 of the normalised text", required=True),
        Column("text", pa.string(), "the text", required=True),
        Column("label", pa.string(), "its class; null for drift"),
        Column("tokens", pa.list_(pa.int64()), "token ids, with the special tokens", required=True),
    ),
)
