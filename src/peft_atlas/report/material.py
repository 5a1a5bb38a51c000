"""What a report is built from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from peft_atlas.report.content import FigureBlock


@dataclass(frozen=True)
class Material:
    """Result tables, figures in the report's order, the studies that were run, and the report's provenance."""

    tables: Mapping[str, pd.DataFrame]
    figures: Sequence[FigureBlock]
    studies: tuple[str, ...]
    config: str
    seeds: tuple[int, ...]
    confidence: float
    versions: Mapping[str, str]
    code: str
    machine: str

    def figures_of(self, *, section: str | None = None, study: str | None = None) -> list[FigureBlock]:
        """Return the figures of a section, of a study, or of both."""
        return [
            figure
            for figure in self.figures
            if section in (None, figure.section) and (study is None or study == figure.study)
        ]

    def findings(self, *kinds: str, study: str | None = None) -> pd.DataFrame:
        """Return the findings of some kinds, of one study or of all, in the order of telling."""
        findings = self.tables["findings"]
        chosen = findings["kind"].isin(kinds) & (study is None or findings["study"] == study)
        return findings[chosen].sort_values("position")

    def cells_of(self, study: str) -> pd.DataFrame:
        """Return the final test accuracies of a study's cells, in percent, from the table ``comparison``."""
        comparison = self.tables["comparison"]
        return comparison[(comparison["source"] == "measured here") & comparison["task"].str.startswith(f"{study}: ")]
