"""The rows behind a statement, with an anchor for each selection of them."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd

from peft_atlas.analysis.evidence import rows_of
from peft_atlas.errors import AtlasError
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


class Evidence:
    """Collects the evidence that a report's texts name, and gives each selection of rows an anchor."""

    def __init__(self, tables: Mapping[str, pd.DataFrame]) -> None:
        self.tables = tables
        self._blocks: dict[str, EvidenceBlock | None] = {}

    def links(self, text: str) -> list[EvidenceBlock]:
        """Return the selections of an evidence text, as `rows_of` reads it; what selects no row is left out."""
        blocks = [self._block(part) for part in text.split("; ")]
        return [block for block in blocks if block is not None]

    def blocks(self) -> list[EvidenceBlock]:
        """Return all selections that were asked for."""
        return [block for block in self._blocks.values() if block is not None]

    def _block(self, part: str) -> EvidenceBlock | None:
        if part not in self._blocks:
            try:
                found = rows_of(part, self.tables)
            except AtlasError:
                # A text for readers, or a selection of a table that this report does not hold.
                found = []
            self._blocks[part] = self._make(part, found[0]) if found else None
        return self._blocks[part]

    def _make(self, part: str, rows: pd.DataFrame) -> EvidenceBlock:
        name, _, conditions = part.partition(": ")
        columns = [column for column in _COLUMNS.get(name, tuple(rows.columns)) if column in rows]
        kept = [column for column in columns if rows[column].notna().any()]
        slug = re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-")[:60]
        shown = table(f"{name}: {conditions or 'all rows'}", rows[kept].head(SHOWN))
        return EvidenceBlock(f"e{len(self.blocks()) + 1}-{slug}", name, conditions, len(rows), shown)
