"""What a report is built from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from peft_atlas.config import StudyConfig
from peft_atlas.report.content import FigureBlock
from peft_atlas.report.render import read_figures
from peft_atlas.report.tables import cells_of
from peft_atlas.snakemake_support.provenance import code_version, machine, package_versions
from peft_atlas.studies.study import studies_of
from peft_atlas.tables.contract import read_table
from peft_atlas.tables.schemas import CONTRACTS


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
    missing: tuple[str, ...] = ()

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
        return cells_of(self.tables["comparison"], study)


def load_material(
    tables: Mapping[str, str | Path],
    figures: Iterable[Path],
    config: Mapping[str, Any],
    root: Path,
    missing: Sequence[str] = (),
) -> Material:
    """Return what a report is built from.

    Parameters
    ----------
    tables
        Path of each result table, by the name of its contract.
    figures
        The figures' paths without an ending, in the report's order.
    config
        The study.
    root
        The repository, whose commit the report names.
    missing
        Files that should be part of the report and do not exist.
    """
    study = StudyConfig.model_validate(config)
    return Material(
        tables={name: read_table(CONTRACTS[name], Path(path)) for name, path in tables.items()},
        figures=read_figures(figures),
        studies=tuple(each.name for each in studies_of(study.studies)),
        config=yaml.safe_dump(dict(config), sort_keys=False),
        seeds=tuple(study.seeds),
        confidence=study.statistics.confidence,
        versions=package_versions(),
        code=code_version(root),
        machine=machine(),
        missing=tuple(missing),
    )
