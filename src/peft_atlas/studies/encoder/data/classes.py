"""Whether labels are the classes of a task: what is refused, and what a reader of the report is warned of."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

from peft_atlas.errors import AtlasError
from peft_atlas.texts.normal_form import normalised

# So many classes that are numbers are rarely classes; below, a rating is a fair task.
_MANY_NUMBERS = 20
_NAMED = 12


def shown(label: str) -> str:
    """Return a label as a message names it: on one line, of a length that fits."""
    text = str(AtlasError(" ".join(label.split())))
    return text if len(text) <= 40 else f"{text[:37]}..."


def sizes_in_words(labels: Sequence[str]) -> str:
    """Return the number of classes, and the largest of them with their sizes."""
    counts = sorted(Counter(labels).items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"{shown(label)} {count:,}" for label, count in counts[:_NAMED])
    more = len(counts) - _NAMED
    return f"{len(counts)} classes: {named}" + (
        f" and {more} more, the smallest of {counts[-1][1]:,}" if more > 0 else ""
    )


def check_classes(task: str, texts: Sequence[str], labels: Sequence[str]) -> None:
    """Check that labels are classes; ``texts`` and ``labels`` are those of the rows that have both.

    Raises
    ------
    AtlasError
        If there is one class, more classes than half the rows, two spellings of one class, numbers that are no
        classes, or columns that are swapped or equal.
    """
    counts = Counter(labels)
    if all(text == label for text, label in zip(texts, labels, strict=True)):
        raise AtlasError(f"task {task}: text and label are equal in every row; allowed: two different columns")
    if len(counts) == 1:
        raise AtlasError(f"task {task}: one class, {shown(labels[0])!r}; allowed: at least 2")
    # Spellings before numbers of classes: two rows of one class written differently need the plainer line.
    _check_spellings(task, counts)
    if 2 * len(counts) > len(labels):
        raise AtlasError(
            f"task {task}: {len(counts):,} classes in {len(labels):,} rows, as {shown(labels[0])!r}; allowed: at most "
            "one class for two rows; is it a regression, or are text and label swapped?"
        )
    if len(set(texts)) < len(counts):
        raise AtlasError(
            f"task {task}: {len(set(texts)):,} texts, {len(counts):,} classes; allowed: no more classes than texts; "
            "are text and label swapped?"
        )
    _check_numbers(task, counts)


def _check_spellings(task: str, counts: Counter[str]) -> None:
    """Raise an AtlasError if two labels differ only in case, blanks or the composition of their characters."""
    seen: dict[str, str] = {}
    for label in sorted(counts):
        first = seen.setdefault(normalised(label), label)
        if first != label:
            pair = f"{_spelling(first)} ({counts[first]:,} rows) and {_spelling(label)} ({counts[label]:,} rows)"
            raise AtlasError(
                f"task {task}: labels {pair} differ only in case or blanks, or in how their characters are composed; "
                "allowed: one spelling for each class"
            )


def _spelling(label: str) -> str:
    """Return a label so that blanks and marks on their own are seen."""
    return ascii(label[:40]) if any(map(unicodedata.combining, label)) else repr(label[:40])


def _check_numbers(task: str, counts: Counter[str]) -> None:
    """Raise an AtlasError if labels are many numbers with fractions."""
    fractions = _fractions(counts)
    if fractions and len(counts) > _MANY_NUMBERS:
        raise AtlasError(
            f"task {task}: its {len(counts):,} labels are numbers, as {fractions[0]}; allowed: classes, at most "
            f"{_MANY_NUMBERS} where they are numbers with fractions; is it a regression?"
        )


def _fractions(labels: Counter[str]) -> list[str]:
    """Return the labels that are numbers with a fraction; none where a label is no number."""
    try:
        return [label for label in sorted(labels) if not float(label).is_integer()]
    except (ValueError, OverflowError):
        return []


def class_warnings(labels: Sequence[str]) -> Iterator[str]:
    """Yield what a reader should know of labels that are accepted as classes."""
    counts = Counter(labels)
    fractions = _fractions(counts)
    if fractions:
        yield f"labels are numbers with fractions, as {fractions[0]}, and are taken as classes"
    elif len(counts) > _MANY_NUMBERS and all(_is_number(label) for label in counts):
        yield f"labels are {len(counts)} numbers and are taken as classes"
    equal: dict[float, str] = {}
    for label in sorted(filter(_is_number, counts)):
        first = equal.setdefault(float(label), label)
        if first != label:
            yield f"labels {first} and {label} are equal as numbers and are taken as two classes"


def _is_number(label: str) -> bool:
    try:
        return float(label) == float(label)
    except ValueError:
        return False
