"""Typed access to the fields of a configuration; a missing or wrong one is an error that names it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from peft_atlas.errors import AtlasError

LARGEST = 10**9


@dataclass(frozen=True)
class Fields:
    """The fields of one configuration, and the name to use in messages."""

    name: str
    values: Mapping[str, Any]

    def count(self, *names: str, default: int | None = None) -> int:
        """Return a positive whole number, under the first of the names that is set."""
        found = self._first(names)
        value = default if found is None else found
        if value is None:
            raise AtlasError(f"config {self.name}: no field {names[0]!r}, which {self._kind()} needs")
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < LARGEST:
            raise AtlasError(f"config {self.name}: {names[0]} {value!r}; allowed: a whole number above 0")
        return value

    def optional(self, name: str) -> int | None:
        """Return a positive whole number, or None where the field is missing or null."""
        return None if self.values.get(name) is None else self.count(name)

    def flag(self, name: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self.values.get(name)
        value = default if value is None else value
        if not isinstance(value, bool):
            raise AtlasError(f"config {self.name}: {name} {value!r}; allowed: true or false")
        return value

    def word(self, *names: str, default: str) -> str:
        """Return a text, under the first of the names that is set."""
        found = self._first(names)
        value = default if found is None else found
        if not isinstance(value, str):
            raise AtlasError(f"config {self.name}: {names[0]} {value!r}; allowed: a text")
        return value

    def share(self, name: str, default: float) -> float:
        """Return a number from 0 to 1, as of a dropout."""
        value = self.values.get(name)
        value = default if value is None else value
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise AtlasError(f"config {self.name}: {name} {value!r}; allowed: a number from 0 to 1")
        return float(value)

    def divided(self, whole: int, parts: int, what: str) -> int:
        """Return a whole number divided by another, which it must be a multiple of."""
        if whole % parts:
            raise AtlasError(f"config {self.name}: {what} {whole} is not a multiple of {parts} heads")
        return whole // parts

    def labels(self) -> int:
        """Return how many labels a classification head has: ``num_labels`` or the length of ``id2label``, else 2."""
        listed = self.values.get("id2label")
        return self.count("num_labels", default=len(listed) if isinstance(listed, dict) and listed else 2)

    def classifies(self) -> bool:
        """Return whether the configuration names a class with a classification head."""
        names = self.values.get("architectures") or []
        return any("Classification" in str(name) for name in names)

    def tied(self, *, default: bool) -> bool:
        """Return whether the output matrix is that of the token embeddings."""
        return self.flag("tie_word_embeddings", default=default)

    def _first(self, names: tuple[str, ...]) -> Any:
        return next((self.values[name] for name in names if self.values.get(name) is not None), None)

    def _kind(self) -> str:
        return str(self.values.get("model_type"))
