"""The rules that a field of a transcribed row keeps to, and how a fault in one is said."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from peft_atlas.tables.csv_text import short


def one_line(text: str) -> str:
    """Return a cell as it is; a line break in it most likely comes from a quote that was left open."""
    if any(not character.isprintable() for character in text):
        raise ValueError('allowed: printable characters on one line; is a quote (") left open?')
    return text


# Of the Greek letters only these; alpha and beta are used in names as they are.
_GREEK_LOOK_ALIKES = "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο"  # noqa: RUF001


def _no_look_alike(text: str) -> str:
    """Return a name as it is; a letter among Latin ones that only looks like one of them makes another name."""
    names = {character: unicodedata.name(character, "") for character in text}
    alike = [name for character, name in names.items() if "CYRILLIC" in name or character in _GREEK_LOOK_ALIKES]
    if alike and any(name.startswith("LATIN") for name in names.values()):
        raise ValueError(f"allowed: Latin letters, not {alike[0]}, which looks like one of them")
    return text


def _matching(pattern: str, allowed: str) -> AfterValidator:
    """Return a check that a whole text matches a pattern; ``allowed`` says in words what does."""
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if compiled.fullmatch(text) is None:
            raise ValueError(f"allowed: {allowed}")
        return text

    return AfterValidator(check)


Remark = Annotated[str, AfterValidator(one_line)]
Text = Annotated[str, Field(min_length=1), AfterValidator(one_line)]
Name = Annotated[Text, AfterValidator(_no_look_alike)]
OptionalName = Annotated[Remark, AfterValidator(_no_look_alike)]
ArxivId = Annotated[str, _matching(r"[0-9]{4}\.[0-9]{4,5}", "an arXiv id without version, as 2404.03592")]
Rank = Annotated[str, _matching(r"(?:[1-9][0-9]{0,8})?", "nothing or a whole number from 1")]
Spread = Annotated[str, _matching(r"(?:[0-9]+(?:\.[0-9]+)?)?", "nothing, or what is printed after a ±, as 2.1")]
Number = Annotated[str, _matching(r"[1-9][0-9]{0,3}", "a whole number from 1")]
Date = Annotated[str, _matching(r"[0-9]{4}(?:-[0-9]{2}){0,2}", "a date as '2024', '2024-05' or '2024-05-22'")]


class Row(BaseModel):
    """A row of text fields, none of them unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, str_strip_whitespace=True)


def fault_of(error: ValidationError) -> str:
    """Return the first fault of a row as ``column = value: what is allowed``."""
    fault = error.errors(include_url=False)[0]
    column = ".".join(str(part) for part in fault["loc"])
    reason = str(fault.get("ctx", {}).get("error") or _plain(fault["type"], fault))
    shown = "" if fault["type"] == "missing" else f" = {short(fault['input'])}"
    return f"{column}{shown}: {reason}"


def _plain(kind: str, fault: Mapping[str, Any]) -> str:
    """Return what is allowed in place of a value that fails one of pydantic's own rules."""
    context = fault.get("ctx", {})
    known = {
        "literal_error": f"allowed: {context.get('expected')}",
        "string_too_short": "allowed: a text that is not empty",
        "string_type": "allowed: text; put it in quotes",
        "extra_forbidden": "unknown key",
        "missing": "missing",
    }
    return known.get(kind, str(fault["msg"]))
