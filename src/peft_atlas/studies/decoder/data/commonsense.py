"""TextWorld Commonsense (arXiv:2010.03790): where things in a household belong, from a package that carries the data.

A thing is asked for by a prompt and four places are compared. What is right for red gloves is right for black ones, so
that all things of a noun are in one split. The wrong places are drawn as often as places are right: if they were drawn
alike, to choose the more frequent place would already be a good answer.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from pathlib import Path
from random import Random

from peft_atlas.errors import AtlasError
from peft_atlas.rng import stream_key
from peft_atlas.studies.decoder.data.items import Item
from peft_atlas.studies.decoder.packaged import COMMONSENSE_FILE

CHOICES = 4
# Things of a noun at most: 36 of the 501 are T-shirts, which differ in colour alone.
OF_A_NOUN = 12


def commonsense(path: Path) -> list[Item]:
    """Return a question per thing, with its right place and three wrong ones.

    Raises
    ------
    AtlasError
        If the file does not hold things with locations.
    """
    things = _things(path)
    frequency = Counter(place for places, _ in things.values() for place in places)
    return [_item(thing, places, noun, frequency) for thing, (places, noun) in things.items()]


def _things(path: Path) -> dict[str, tuple[list[str], str]]:
    """Return the right places and the noun of each thing, at most so many things of a noun."""
    try:
        folds = json.loads(path.read_text(encoding="utf-8"))
        known = {
            thing: (about["locations"], about["entity"]) for fold in folds.values() for thing, about in fold.items()
        }
    except (ValueError, KeyError, AttributeError, TypeError, OSError):
        raise AtlasError(
            f"{path}: holds no things with locations and entity; allowed: {COMMONSENSE_FILE} of its package"
        ) from None
    by_noun = defaultdict[str, list[str]](list)
    for thing in sorted(known, key=lambda name: hashlib.sha256(name.encode()).hexdigest()):
        by_noun[noun_of(known[thing][1])].append(thing)
    return {thing: (known[thing][0], noun) for noun, own in sorted(by_noun.items()) for thing in own[:OF_A_NOUN]}


def noun_of(entity: str) -> str:
    """Return the noun of a thing: its last word, without the s of a plural, so that polo shirts are shirts."""
    return entity.split()[-1].lower().rstrip("s")


def _item(thing: str, places: list[str], noun: str, frequency: Counter[str]) -> Item:
    """Return the question about a thing; its draws depend on its name alone."""
    draws = Random(stream_key(0, f"commonsense/{thing}"))
    right = draws.choice(places)
    others = {place: count for place, count in sorted(frequency.items()) if place not in places}
    wrong: list[str] = []
    while len(wrong) < CHOICES - 1:
        (place,) = draws.choices(list(others), list(others.values()))
        del others[place]
        wrong.append(place)
    choices = [right, *wrong]
    draws.shuffle(choices)
    return Item(f"The right place for {with_article(thing)} is the", right, tuple(choices), group=noun)


def with_article(thing: str) -> str:
    """Return a thing with its article; a plural has none."""
    if thing.endswith("s") and not thing.endswith("ss"):
        return thing
    return f"{'an' if thing[0].lower() in 'aeiou' else 'a'} {thing}"
