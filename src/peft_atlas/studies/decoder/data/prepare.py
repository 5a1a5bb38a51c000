"""From a task's source to its rows: split by group, checked for leaks, tokenised."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from peft_atlas.errors import AtlasError
from peft_atlas.models.folder import read_tokenizer
from peft_atlas.studies.decoder.data.arithmetic import arithmetic
from peft_atlas.studies.decoder.data.commonsense import commonsense
from peft_atlas.studies.decoder.data.example_contract import PLAIN, SPLITS
from peft_atlas.studies.decoder.data.items import Item
from peft_atlas.studies.decoder.data.own_file import read_own
from peft_atlas.studies.decoder.packaged import ARITHMETIC
from peft_atlas.texts.normal_form import digest, normalised

# A group's hash, as a fraction of its range, says which split holds its rows, whatever other groups there are.
_TEST_BELOW, _VALIDATION_BELOW = 0.4, 0.55
# The pool of generated problems is so many times what a seed draws from it.
_POOL = 4


@dataclass(frozen=True)
class Sizes:
    """Rows of validation and test, and those that a seed trains on."""

    train: int
    validation: int
    test: int

    def of(self, split: str) -> int:
        """Return the rows of a split."""
        return int(getattr(self, split))


Splits = dict[str, list[Item]]


def split_items(task: str, file: Path | None, things: Path | None, sizes: Sizes) -> Splits:
    """Return a task's rows by split: of test and validation as many as asked, of the pool all.

    Parameters
    ----------
    task
        Name of the task.
    file
        A user's file; None for a task of this study.
    things
        The file of TextWorld Commonsense; it may be None for other tasks.
    sizes
        Rows of each split.

    Raises
    ------
    AtlasError
        If the source will not do or holds too few rows.
    """
    if file is None and task == ARITHMETIC:
        counts = {"train": _POOL * sizes.train, "validation": sizes.validation, "test": sizes.test}
        return {split: _in_order(arithmetic(split, count)) for split, count in counts.items()}
    if file is not None:
        rows = read_own(file)
    else:
        assert things is not None
        rows = commonsense(things)
    return _by_group(task, rows, sizes)


def _by_group(task: str, items: Sequence[Item], sizes: Sizes) -> Splits:
    """Return rows by the place of their group's hash; of equal prompts one is kept."""
    found: Splits = {split: [] for split in SPLITS}
    for item in {each.digest: each for each in map(Item.closed, items)}.values():
        place = int(hashlib.sha256(item.group.encode()).hexdigest()[:12], 16) / 16**12
        found["test" if place < _TEST_BELOW else "validation" if place < _VALIDATION_BELOW else "train"].append(item)
    for split, rows in found.items():
        asked = sizes.of(split)
        if len(rows) < asked:
            raise AtlasError(f"task {task}: {split}_examples = {asked}: allowed: at most {len(rows)} of {len(items)}")
        found[split] = _in_order(rows)[: None if split == "train" else asked]
    return found


def _in_order(items: Sequence[Item]) -> list[Item]:
    return sorted((item.closed() for item in items), key=lambda item: item.digest)


def shared_groups(splits: Splits) -> int:
    """Return how many groups, and how many prompts, are in two splits; of sound splits, 0."""
    groups = {name: {item.group for item in rows} for name, rows in splits.items()}
    prompts = {name: {normalised(item.prompt) for item in rows} for name, rows in splits.items()}
    return sum(len(each[a] & each[b]) for each in (groups, prompts) for a, b in combinations(splits, 2))


def prepared(task: str, splits: Splits, plain: Sequence[str], tokenizer: Path, context: int) -> list[dict[str, Any]]:
    """Return rows of the contract ``decoder_examples``.

    Parameters
    ----------
    task
        Name of the task, for messages.
    splits
        Its rows.
    plain
        Texts that are not trained on.
    tokenizer
        Folder of a ``tokenizer.json``.
    context
        Tokens that the model can read; plain texts are cut there.

    Raises
    ------
    AtlasError
        If a prompt with an answer is longer, or the tokens of one choice begin those of another.
    """
    words = read_tokenizer(tokenizer)
    words.no_padding()
    words.no_truncation()
    rows = [_row(task, split, item, words, context) for split, items in splits.items() for item in items]
    return rows + [_plain(text, words.encode(text).ids[:context]) for text in plain]


def _row(task: str, split: str, item: Item, words: Tokenizer, context: int) -> dict[str, Any]:
    prompt = words.encode(item.prompt).ids
    answer, *choices = (_ids(words, text) for text in (item.answer, *item.choices))
    longest = len(prompt) + max(len(ids) for ids in (answer, *choices))
    shown = f"task {task}: prompt {item.prompt[:40]!r}"
    if longest > context:
        raise AtlasError(f"{shown}: {longest} tokens with its longest answer; allowed: at most {context}")
    _check_prefixes(shown, item.choices, choices)
    return {
        "split": split,
        "digest": item.digest,
        "group": item.group,
        "stratum": item.stratum,
        "prompt": item.prompt,
        "answer": item.answer,
        "choices": list(item.choices) or None,
        "prompt_tokens": prompt,
        "answer_tokens": answer,
        "choice_tokens": choices or None,
    }


def _ids(words: Tokenizer, text: str) -> list[int]:
    return list(words.encode(text, add_special_tokens=False).ids)


def _check_prefixes(shown: str, choices: Sequence[str], tokens: Sequence[Sequence[int]]) -> None:
    """Refuse choices of which one begins another: its summed log-likelihood could not be the lower one."""
    for short, long in ((a, b) for a in range(len(tokens)) for b in range(len(tokens)) if a != b):
        if list(tokens[long][: len(tokens[short])]) == list(tokens[short]):
            names = f"{choices[short].strip()!r} begin those of {choices[long].strip()!r}"
            raise AtlasError(f"{shown}: the tokens of {names}; allowed: choices of which none begins another")


def _plain(text: str, ids: list[int]) -> dict[str, Any]:
    unknown = dict.fromkeys(("group", "stratum", "answer", "choices", "answer_tokens", "choice_tokens"))
    return {"split": PLAIN, "digest": digest(text), "prompt": text, "prompt_tokens": ids, **unknown}
