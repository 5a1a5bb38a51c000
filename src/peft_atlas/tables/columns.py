"""Short ways to declare the columns of a contract."""

from __future__ import annotations

from collections.abc import Sequence

from peft_atlas.tables.contract import FLAG, INTEGER, NUMBER, TEXT, Column


def text(
    name: str, description: str, *, required: bool = True, allowed: Sequence[str] = (), pattern: str = ""
) -> Column:
    """Return a column of text, which is required unless said otherwise."""
    return Column(name, TEXT, description, required=required, allowed=tuple(allowed), pattern=pattern)


def number(
    name: str, description: str, unit: str = "", *, required: bool = False, limits: tuple[float, float] | None = None
) -> Column:
    """Return a column of floating-point numbers."""
    return Column(name, NUMBER, description, unit, required=required, limits=limits)


def integer(name: str, description: str, unit: str = "", *, required: bool = False) -> Column:
    """Return a column of whole numbers."""
    return Column(name, INTEGER, description, unit, required=required)


def flag(name: str, description: str, *, required: bool = False) -> Column:
    """Return a column of true and false."""
    return Column(name, FLAG, description, required=required)


def fraction(name: str, description: str) -> Column:
    """Return a column of numbers from 0 to 1."""
    return number(name, description, "fraction", limits=(0.0, 1.0))
