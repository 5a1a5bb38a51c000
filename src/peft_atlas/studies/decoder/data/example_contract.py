"""The contract of a task's prepared rows, which are kept in a cache and are not a result."""

from __future__ import annotations

import pyarrow as pa

from peft_atlas.tables.contract import Column, Contract

SPLITS = ("train", "validation", "test")
# Plain text, whose loss before and after training says how much was forgotten.
PLAIN = "plain"
_TOKENS = pa.list_(pa.int64())
DECODER_EXAMPLES = Contract(
    "decoder_examples",
    1,
    ("split", "digest"),
    (
        Column("split", pa.string(), "split that holds the row", required=True, allowed=(*SPLITS, PLAIN)),
        Column("digest", pa.string(), "SHA-256 of the normalised prompt", required=True),
        Column("group", pa.string(), "what no two splits share; null for plain text"),
        Column("stratum", pa.string(), "kind of the row; null for plain text"),
        Column("prompt", pa.string(), "what the model reads", required=True),
        Column("answer", pa.string(), "what it should go on with; null for plain text"),
        Column("choices", pa.list_(pa.string()), "answers to choose from; null where the answer is open"),
        Column("prompt_tokens", _TOKENS, "token ids of the prompt", required=True),
        Column("answer_tokens", _TOKENS, "token ids of the answer; null for plain text"),
        Column("choice_tokens", pa.list_(_TOKENS), "token ids of each choice; null where the answer is open"),
    ),
)
