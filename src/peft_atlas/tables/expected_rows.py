"""One line where a statement or a figure does not find the rows that it is about."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peft_atlas.errors import AtlasError

# What looking for a row, or for the largest of none, ends in.
_NOT_FOUND = (LookupError, ValueError, TypeError, AttributeError, ZeroDivisionError)


@contextmanager
def expecting_rows(subject: str) -> Iterator[None]:
    """Name what could not be made, and the function that missed a row, where tables lack rows that it rests on.

    A table may obey its contract and still lack what a sentence is about, as after a line of a published file was
    deleted. The error that it led to stays the cause, for the job's log.

    Raises
    ------
    AtlasError
        In place of errors that a missing row leads to.
    """
    try:
        yield
    except _NOT_FOUND as error:
        own = [
            frame for frame in traceback.extract_tb(error.__traceback__) if "peft_atlas" in Path(frame.filename).parts
        ]
        place = f"{Path(own[-1].filename).name}:{own[-1].lineno}, {own[-1].name}"
        cause = (str(error).splitlines() or ["no cause"])[0][:80]
        raise AtlasError(
            f"{subject}: not made, since its tables lack rows that {place} rests on ({type(error).__name__}: {cause}); "
            "allowed: published files with the rows of the shipped ones, and more"
        ) from error
