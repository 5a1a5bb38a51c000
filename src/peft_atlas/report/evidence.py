"""The rows behind a statement, found from what its evidence says: ``table: column=value, column=value; table: ...``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from peft_atlas.report.content import EvidenceBlock, table

SHOWN = 8
_COLUMNS: dict[str, tuple[str, ...]] = {
    "runs": ("run_id", "status", "trainable_params", "validation_accuracy", "test_accuracy"),
    "curves": ("run_id", "epoch", "train_loss", "validation_accuracy", "test_accuracy"),
    "summary": ("experiment", "task", "method", "rank", "alpha", "metric", "epoch", "mean", "low", "high", "n_ok"),
    "contrasts": (
        "question",
        "task",
        "method",
        "rank",
        "alpha",
        "reference",
        "difference",
        "low",
        "high",
        "p_adjusted",
    ),
    "published": ("base_model", "method", "task", "metric", "printed", "source", "locator", "table", "line"),
    "parameters": ("base_model", "method", "setting", "way", "trainable_params", "percent_with_adapter"),
    "memory": ("base_model", "method", "setting", "precision", "total_bytes"),
    "conflicts": ("base_model", "method", "task", "metric", "readings", "verdict"),
    "findings": ("kind", "id", "statement", "source", "verdict"),
}


@dataclass(frozen=True)
class Selection:
    """Rows of a table that one part of an evidence text selects; ``remark`` is what it says beside that."""

    name: str
    conditions: tuple[tuple[str, tuple[str, ...]], ...]
    remark: str = ""

    def text(self) -> str:
        """Return the conditions as they are written."""
        return ", ".join(f"{column}={' and '.join(values)}" for column, values in self.conditions)

    def rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of a table that meet all conditions; conditions on one column are alternatives."""
        for column in dict.fromkeys(column for column, _ in self.conditions):
            wanted = [value for name, values in self.conditions if name == column for value in values]
            texts = frame[column].map(_as_text)
            frame = frame[pd.concat([_matches(texts, value) for value in wanted], axis=1).any(axis=1)]
        return frame


def _matches(texts: pd.Series[str], value: str) -> pd.Series[bool]:
    """Return which texts are the value, or, where none is and it is a phrase, which hold it."""
    equal = texts == value
    return equal if equal.any() or " " not in value else texts.str.contains(value, regex=False)


def _as_text(value: object) -> str:
    """Return a value as evidence texts write it."""
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return ""
    return format(value, "g") if isinstance(value, float) else str(value)


def parse(evidence: str, tables: Mapping[str, pd.DataFrame]) -> list[Selection]:
    """Return what an evidence text selects; parts that name no table of ``tables`` are left out.

    A part without a table's name continues the table before it. What is neither a column of that table nor a
    condition on one is a remark.
    """
    found: list[Selection] = []
    name = ""
    for part in evidence.split(";"):
        head, colon, rest = part.strip().partition(":")
        if head in tables and (colon or not rest):
            name = head
        elif colon and "=" not in head:
            name = ""
        else:
            rest = part
        if name:
            found.append(_selection(name, rest, tables[name]))
    return _merged(found)


def _selection(name: str, text: str, frame: pd.DataFrame) -> Selection:
    conditions: list[tuple[str, tuple[str, ...]]] = []
    remarks = []
    for piece in filter(None, (piece.strip() for piece in text.split(", "))):
        column, equals, value = piece.partition("=")
        if equals and column in frame.columns:
            conditions.append((column, tuple(value.split(" and "))))
        elif conditions and not equals and _continues(conditions[-1], piece, frame):
            last, values = conditions.pop()
            conditions.append((last, (f"{values[0]}, {piece}",)))
        else:
            remarks.append(piece)
    return Selection(name, tuple(conditions), ", ".join(remarks))


def _continues(condition: tuple[str, tuple[str, ...]], piece: str, frame: pd.DataFrame) -> bool:
    """Return whether a comma belongs to the value before it: ``setting=query, key, value``."""
    column, values = condition
    return bool(frame[column].map(_as_text).str.contains(f"{values[0]}, {piece}", regex=False).any())


def _merged(selections: Sequence[Selection]) -> list[Selection]:
    """Return the selections, those that differ in one and the same column's value as one."""
    merged: list[Selection] = []
    for selection in selections:
        columns = [column for column, _ in selection.conditions]
        same = [
            place
            for place, other in enumerate(merged)
            if other.name == selection.name
            and columns
            and {c for c, _ in other.conditions} == set(columns)
            and len({*other.conditions, *selection.conditions}) == len(set(other.conditions)) + 1
        ]
        if same:
            other = merged[same[0]]
            new = tuple(pair for pair in selection.conditions if pair not in other.conditions)
            merged[same[0]] = Selection(other.name, other.conditions + new, other.remark)
        else:
            merged.append(selection)
    return merged


class Evidence:
    """Collects the evidence that a report's texts name, and gives each selection of rows an anchor."""

    def __init__(self, tables: Mapping[str, pd.DataFrame]) -> None:
        self.tables = tables
        self._blocks: dict[tuple[str, str], EvidenceBlock | None] = {}

    def links(self, text: str) -> list[EvidenceBlock]:
        """Return the selections of an evidence text that find rows."""
        selections = parse(text, self.tables)
        blocks = [self._block(selection) for selection in selections]
        return [block for block in blocks if block is not None]

    def blocks(self) -> list[EvidenceBlock]:
        """Return all selections that were asked for."""
        return [block for block in self._blocks.values() if block is not None]

    def _block(self, selection: Selection) -> EvidenceBlock | None:
        key = (selection.name, selection.text())
        if key not in self._blocks:
            rows = selection.rows(self.tables[selection.name])
            self._blocks[key] = self._make(key, rows) if len(rows) else None
        return self._blocks[key]

    def _make(self, key: tuple[str, str], rows: pd.DataFrame) -> EvidenceBlock:
        name, conditions = key
        columns = [column for column in _COLUMNS.get(name, tuple(rows.columns)) if column in rows]
        kept = [column for column in columns if rows[column].notna().any()]
        number = len(self.blocks()) + 1
        slug = re.sub(r"[^a-z0-9]+", "-", f"{name}-{conditions}".lower()).strip("-")[:60]
        shown = table(f"{name}: {conditions or 'all rows'}", rows[kept].head(SHOWN))
        return EvidenceBlock(f"e{number}-{slug}", name, conditions, len(rows), shown)
