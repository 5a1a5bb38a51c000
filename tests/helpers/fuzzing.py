"""Fuzzing with fixed seeds: in full with PEFT_ATLAS_FUZZ=full, else a share of 3 %; each case is one line or valid."""

import os
import random
import sys
from collections import Counter

from peft_atlas.errors import AtlasError

SHARE = 1.0 if os.environ.get("PEFT_ATLAS_FUZZ") == "full" else 0.03
STRANGE = [*" \",\n\r\0;\t'\\%é中😀\u200b\ufeff", "", "e\u0301", "{}"]


def cases(kind, count):
    """Yield the random generators of the cases of a kind, each with a seed of its own."""
    for number in range(round(count * SHARE)):
        yield random.Random(f"{kind}/{number}")


def outcome(function, *arguments):
    """Return ``valid`` or ``refused``; any other exception, or a message of several lines, fails the test."""
    try:
        function(*arguments)
    except AtlasError as error:
        message = str(error)
        assert message.isprintable(), message[:200]
        assert 10 < len(message) < 2000, message[:200]
        return "refused"
    return "valid"


def tally(kind, outcomes):
    """Write how many cases were valid and refused, and return the counts."""
    counts = Counter(outcomes)
    sys.stdout.write(f"fuzz {kind}: {sum(counts.values())} cases, {dict(sorted(counts.items()))}\n")
    return counts


def damaged(draw, data):
    """Return bytes with up to three places replaced, cut, doubled or set to what readers stumble over."""
    data = bytearray(data)
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(data) + 1)
        kind = draw.randrange(5)
        if kind == 0:
            data[at : at + draw.randint(0, 4)] = draw.choice(STRANGE).encode()
        elif kind == 1:
            data[at : at + 1] = bytes([draw.randrange(256)])
        elif kind == 2:
            del data[at : at + draw.choice([1, 2, 50])]
        elif kind == 3:
            data[at:at] = data[at : at + draw.choice([1, 10, 100])]
        elif draw.random() < 0.2:
            del data[at:]
    return bytes(data)
