"""Arithmetic word problems, written here: addition, subtraction, multiplication, and two steps of these.

The answer is the equation, such as "23 + 21 = 44", since a small model does not give the number alone. No problem, that
is kind and numbers, is in two splits, and some wordings are in the test alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from peft_atlas.errors import AtlasError
from peft_atlas.rng import stream_key
from peft_atlas.studies.decoder.data.items import Item

ADD, SUBTRACT, MULTIPLY, TWO_STEP, NEW_WORDING = "add", "subtract", "multiply", "two-step", "new wording"
KINDS = (ADD, SUBTRACT, MULTIPLY, TWO_STEP)
# A problem's place, from its numbers, below which it belongs to test, and to validation.
_TEST_BELOW, _VALIDATION_BELOW = 0.3, 0.4
_NAMES = (
    "Anna",
    "Ben",
    "Carla",
    "David",
    "Emma",
    "Felix",
    "Grace",
    "Hugo",
    "Ida",
    "Jonas",
    "Lea",
    "Max",
    "Nora",
    "Tom",
)
_THINGS = ("apples", "books", "cards", "coins", "cups", "flowers", "marbles", "pencils", "shells", "stamps")
# So many draws in a row that give nothing new say that the problems are used up.
_DRAWS = 10_000


@dataclass(frozen=True)
class Wording:
    """A way to put a problem, the equation's left side, and whether only the test has it."""

    kind: str
    text: str
    left: str
    new: bool = False


_HAS = "How many {things} does {name} have now?"
WORDINGS = (
    Wording(ADD, f"{{name}} has {{a}} {{things}} and gets {{b}} more. {_HAS}", "{a} + {b}"),
    Wording(ADD, f"{{name}} had {{a}} {{things}} and found {{b}} others. {_HAS}", "{a} + {b}"),
    Wording(ADD, "There are {a} {things} in a box and {b} on the table. How many are there in all?", "{a} + {b}"),
    Wording(ADD, "{name} bought {a} {things} on Monday and {b} on Friday. How many is that together?", "{a} + {b}"),
    Wording(ADD, "{name} owns {a} {things}, a friend owns {b}. How many do both own?", "{a} + {b}", new=True),
    Wording(SUBTRACT, f"{{name}} has {{a}} {{things}} and gives away {{b}}. {_HAS}", "{a} - {b}"),
    Wording(SUBTRACT, f"{{name}} had {{a}} {{things}} and lost {{b}} of them. {_HAS}", "{a} - {b}"),
    Wording(SUBTRACT, "Of {a} {things} in a shop {b} were sold. How many are left?", "{a} - {b}"),
    Wording(SUBTRACT, "{name} needs {a} {things} and has {b}. How many are missing?", "{a} - {b}"),
    Wording(SUBTRACT, "A bag held {a} {things} until {name} took {b}. How many stayed in it?", "{a} - {b}", new=True),
    Wording(MULTIPLY, "There are {a} boxes with {b} {things} in each. How many {things} are there?", "{a} * {b}"),
    Wording(MULTIPLY, "{name} buys {b} {things} on each of {a} days. How many is that?", "{a} * {b}"),
    Wording(MULTIPLY, "Each of {a} children has {b} {things}. How many {things} do they have?", "{a} * {b}"),
    Wording(MULTIPLY, "{a} shelves hold {b} {things} each. How many {things} do they hold?", "{a} * {b}"),
    Wording(MULTIPLY, "{name} fills {a} bags, {b} {things} in every one. How many is that?", "{a} * {b}", new=True),
    Wording(TWO_STEP, f"{{name}} has {{a}} {{things}}, gets {{b}} and gives away {{c}}. {_HAS}", "{a} + {b} - {c}"),
    Wording(TWO_STEP, f"{{name}} has {{a}} {{things}}, loses {{b}} and finds {{c}}. {_HAS}", "{a} - {b} + {c}"),
    Wording(TWO_STEP, f"{{name}} opens {{a}} bags of {{b}} {{things}} and finds {{c}} more. {_HAS}", "{a} * {b} + {c}"),
    Wording(TWO_STEP, f"{{name}} opens {{a}} bags of {{b}} {{things}} and loses {{c}}. {_HAS}", "{a} * {b} - {c}"),
)  # fmt: skip


def arithmetic(split: str, count: int, seed: int = 0) -> list[Item]:
    """Return distinct problems of a split, as many of each stratum as the count allows.

    Training and validation have the four kinds; test has one-step problems in new wordings as a fifth stratum.

    Parameters
    ----------
    split
        ``train``, ``validation`` or ``test``.
    count
        How many problems.
    seed
        Keys the stream of the split.

    Raises
    ------
    AtlasError
        If there are not so many.
    """
    strata = [*KINDS, NEW_WORDING] if split == "test" else list(KINDS)
    draws, found = Random(stream_key(seed, f"arithmetic/{split}")), dict[str, Item]()
    for place, stratum in enumerate(strata):
        wanted = count // len(strata) + (place < count % len(strata))
        _fill(found, stratum, split, wanted, draws)
    return list(found.values())


def _fill(found: dict[str, Item], stratum: str, split: str, wanted: int, draws: Random) -> None:
    """Add as many new problems of a stratum as are wanted."""
    full, empty = len(found) + wanted, 0
    for item in _drawn(stratum, split, draws):
        if len(found) == full or empty == _DRAWS:
            break
        empty = empty + 1 if item.prompt in found else 0
        found.setdefault(item.prompt, item)
    if len(found) < full:
        raise AtlasError(
            f"task arithmetic: {wanted} problems of {stratum} for {split}: allowed: fewer, all are used up"
        )


def _drawn(stratum: str, split: str, draws: Random) -> Iterator[Item]:
    """Yield problems of a stratum whose numbers belong to a split, without end."""
    new = stratum == NEW_WORDING
    wordings = [w for w in WORDINGS if w.new == new and (new or w.kind == stratum)]
    while True:
        wording = draws.choice(wordings)
        numbers = _numbers(wording, draws)
        group = _group(wording, numbers)
        names = {"name": draws.choice(_NAMES), "things": draws.choice(_THINGS)}
        if _split_of(group) == split:
            values = dict(zip("abc", numbers, strict=False)) | names
            left = wording.left.format(**values)
            prompt = f"{wording.text.format(**values)}\nAnswer:"
            yield Item(prompt, f"{left} = {value_of(left)}", stratum=stratum, group=group)


def _numbers(wording: Wording, draws: Random) -> tuple[int, ...]:
    """Return numbers of at most 60 for which no step goes below zero; factors are small."""
    if "*" in wording.left:
        first, second = draws.randint(2, 20), draws.randint(2, 9)
    else:
        first, second = draws.randint(2, 60), draws.randint(2, 60)
    if wording.left.startswith("{a} - {b}"):
        first, second = max(first, second), min(first, second)
    if wording.kind != TWO_STEP:
        return first, second
    before = value_of(wording.left.rpartition(" ")[0].rpartition(" ")[0].format(a=first, b=second))
    most = min(60, before) if wording.left.endswith("- {c}") else 60
    return first, second, draws.randint(2, max(2, most))


def _group(wording: Wording, numbers: Sequence[int]) -> str:
    """Return what identifies a problem, whatever its wording and the order of what is added or multiplied."""
    kept = sorted(numbers) if wording.left in ("{a} + {b}", "{a} * {b}") else numbers
    return f"{wording.left}: {', '.join(map(str, kept))}"


def _split_of(group: str) -> str:
    place = int(hashlib.sha256(group.encode()).hexdigest()[:12], 16) / 16**12
    return "test" if place < _TEST_BELOW else "validation" if place < _VALIDATION_BELOW else "train"


def value_of(expression: str) -> int:
    """Return the value of numbers joined by ``+``, ``-`` and ``*``, with blanks between."""
    words = expression.split()
    total, factor, sign = 0, int(words[0]), 1
    for operator, number in zip(words[1::2], words[2::2], strict=True):
        if operator == "*":
            factor *= int(number)
        else:
            total, factor, sign = total + sign * factor, int(number), 1 if operator == "+" else -1
    return total + sign * factor
