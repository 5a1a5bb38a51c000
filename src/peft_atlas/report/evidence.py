"""Links from statements to the result rows behind them, with one anchor per selection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from peft_atlas.analysis.evidence import rows_of
from peft_atlas.errors import AtlasError
from peft_atlas.report.content import EvidenceBlock, table

SHOWN = 5
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
    "memory": ("base_model", "method", "setting", "precision", "total_bytes", "peak_bytes"),
    "predictions": ("source", "record", "model", "method", "setting", "predicted_gb", "measured_gb", "verdict"),
    "conflicts": ("base_model", "method", "task", "metric", "readings", "verdict"),
    "benchmark_runs": ("experiment", "run_date", "transformers", "score", "step_seconds_sum", "forgetting", "path"),
    "rate_runs": ("model", "method", "rank", "learning_rate", "run", "metric", "score", "path", "line_in_source"),
    "rate_means": ("model", "method", "batch_size", "learning_rate", "mean", "sd", "how_read", "path"),
    "rate_sweeps": ("model", "runs_planned", "rows_printed", "runs_diverged", "rates_diverged", "path"),
    "rate_statements": ("source_id", "scaling_rule", "rank", "best_learning_rate", "statement", "repository", "path"),
    "decoder_cells": ("task", "method", "setting", "rank", "metric", "value", "difference", "p_adjusted", "n", "rows"),
    "decoder_costs": ("task", "method", "setting", "rank", "device", "cpu_seconds", "peak_memory_mb", "n"),
    "tuning_audit": ("method", "venue", "learning_rate_tuned", "batch_size_tuned", "rank_compared"),
    "training_runs": ("model", "method", "peak_as_printed", "unit_as_printed", "seconds", "repository", "path"),
    "findings": ("kind", "id", "statement", "source", "verdict"),
}


class Evidence:
    """Collects the evidence cited in a report and assigns an anchor to each distinct selection of rows."""

    def __init__(self, tables: Mapping[str, pd.DataFrame]) -> None:
        self.tables = tables
        self._blocks: dict[str, EvidenceBlock | None] = {}
        # Selections that differ only in the columns looked at are one block.
        self._by_rows: dict[tuple[Any, ...], EvidenceBlock] = {}

    def links(self, text: str) -> list[EvidenceBlock]:
        """Resolve an evidence string (see `rows_of`) to its selections, each once, skipping those without rows."""
        blocks = {block.id: block for part in text.split("; ") if (block := self._block(part)) is not None}
        return list(blocks.values())

    def blocks(self) -> list[EvidenceBlock]:
        """All selections cited so far."""
        return list(self._by_rows.values())

    def _block(self, part: str) -> EvidenceBlock | None:
        if part not in self._blocks:
            try:
                found = rows_of(part, self.tables)
            except AtlasError:
                # Free text, or a selection from a table that is not part of this report.
                found = []
            self._blocks[part] = self._shared(part, found[0]) if found else None
        return self._blocks[part]

    def _shared(self, part: str, rows: pd.DataFrame) -> EvidenceBlock:
        key = (part.partition(":")[0], *rows.index)
        if key not in self._by_rows:
            self._by_rows[key] = self._make(part, rows)
        return self._by_rows[key]

    def _make(self, part: str, rows: pd.DataFrame) -> EvidenceBlock:
        name, _, conditions = part.partition(": ")
        columns = [column for column in _COLUMNS.get(name, tuple(rows.columns)) if column in rows]
        kept = [column for column in columns if rows[column].notna().any()]
        slug = re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-")[:60]
        shown = table(f"{name}: {conditions or 'all rows'}", rows[kept].head(SHOWN))
        return EvidenceBlock(f"e{len(self.blocks()) + 1}-{slug}", name, conditions, len(rows), shown)
