"""Colours and markers of the methods that this package does not have itself: those of `peft`, and any other."""

from __future__ import annotations

import colorsys
import hashlib
from collections.abc import Mapping

Pair = tuple[str, str]

# Methods of peft by their usual names. Their order decides their marks, so that a new name goes to the end.
PEFT_METHODS = (
    *("VeRA", "PiSSA", "OFT", "BOFT", "LoHa", "LoKr", "AdaLoRA", "FourierFT", "RandLoRA", "prompt tuning"),
    *("P-tuning", "prefix tuning", "LN tuning", "X-LoRA", "HRA", "MiSS", "VB-LoRA", "C3A", "SHiRA", "rsLoRA"),
    *("OLoRA", "WaveFT", "RoAd", "DeLoRA", "GraLoRA", "HiRA", "TinyLoRA", "UniLoRA", "PVeRA", "OSF", "PSOFT"),
    *("Lily", "PEANuT", "FRoD", "DEFT", "GLoRA", "BEFT", "AdaMSS", "Super-tuning", "Poly", "CPT", "Cartridge"),
    *("trainable tokens", "multitask prompt tuning", "adaption prompt", "Shadow", "Bone", "LoRA by peft"),
    *("DoRA by peft", "IA3 by peft"),
)
# Markers with a face, of which no two are mistaken for each other at five points, and those that look like one.
_MARKERS = ("o", "s", "^", "v", "<", ">", "P", "*")
_LIKE = {"8": "o", "h": "o", "H": "o", "p": "o", "D": "s", "d": "s", "X": "P"}


def _key(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def more_pairs(own: Mapping[str, Pair]) -> dict[str, Pair]:
    """Return the marks of peft's methods: the colours of the methods in ``own``, each with markers unlike its own.

    Parameters
    ----------
    own
        Colour and marker of the methods whose colours are shared.
    """
    places = [
        (colour, _MARKERS[(place + turn) % len(_MARKERS)], marker)
        for turn in range(len(_MARKERS))
        for place, (colour, marker) in enumerate(own.values())
    ]
    free = [(colour, marker) for colour, marker, taken in places if marker != _LIKE.get(taken, taken)]
    return dict(zip(map(_key, PEFT_METHODS), free, strict=False))


def mark_of_name(name: str, known: Mapping[str, Pair]) -> Pair:
    """Return the mark of a method by its name alone, whatever else is drawn.

    Parameters
    ----------
    name
        The method.
    known
        Marks of peft's methods, as `more_pairs` returns them. Any other name has a colour and a marker drawn by its
        digest: dark enough for white paper, and one of so many that two names hardly ever share them.
    """
    if (pair := known.get(_key(name))) is not None:
        return pair
    hue, light, grey, marker = (
        int.from_bytes(hashlib.sha256(f"{part}:{name}".encode()).digest()[:4]) for part in "hlgm"
    )
    most = 2**32
    shades = colorsys.hls_to_rgb(hue / most, 0.2 + 0.12 * light / most, 0.4 + 0.5 * grey / most)
    colour = "#" + "".join(f"{round(255 * shade):02x}" for shade in shades)
    return colour, _MARKERS[marker % len(_MARKERS)]
