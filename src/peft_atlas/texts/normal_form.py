"""The form in which two texts count as the same."""

from __future__ import annotations

import hashlib
import unicodedata


def normalised(text: str) -> str:
    """Return a text in the form in which two texts count as the same: one case, single blanks, composed characters.

    The composition is Unicode's NFC, which leaves every packaged text as it is.
    """
    folded = unicodedata.normalize("NFC", text).casefold()
    return " ".join(unicodedata.normalize("NFC", folded).split())


def digest(text: str) -> str:
    """Return the SHA-256 of the normalised text."""
    # What is no character (half of a surrogate pair, as a broken file may hold) has no UTF-8.
    return hashlib.sha256(normalised(text).encode("utf-8", "surrogatepass")).hexdigest()
