"""Everything a report is built from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
    """Result tables, figures in report order, the studies that were run, those still to come, and provenance."""

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
    pending: tuple[str, ...] = ()
    settings: StudyConfig = field(default_factory=StudyConfig)

    def figures_of(self, *, section: str | None = None, study: str | None = None) -> list[FigureBlock]:
        """Select figures that have something to show, by section, by study, or by both; the appendix has its own."""
        return [
            figure
            for figure in self.figures
            if section in (None, figure.section)
            and (study is None or study == figure.study)
            and not (figure.appendix or figure.empty)
        ]

    @property
    def appendix(self) -> list[FigureBlock]:
        """Figures whose content another one shows better."""
        return [figure for figure in self.figures if figure.appendix and not figure.empty]

    def findings(self, *kinds: str, study: str | None = None) -> pd.DataFrame:
        """Select findings by kind, for one study or all, in report order."""
        findings = self.tables["findings"]
        chosen = findings["kind"].isin(kinds) & (study is None or findings["study"] == study)
        return findings[chosen].sort_values("position")

    def cells_of(self, study: str) -> pd.DataFrame:
        """Select the final test accuracy (percent) of each cell of a study from the table ``comparison``."""
        return cells_of(self.tables["comparison"], study)


def load_material(
    tables: Mapping[str, str | Path],
    figures: Iterable[Path],
    config: Mapping[str, Any],
    root: Path,
    missing: Sequence[str] = (),
) -> Material:
    """Read the tables and figures, and gather versions and provenance.

    Parameters
    ----------
    tables
        Path of each result table, keyed by contract name.
    figures
        Paths of the figures without extension, in report order.
    config
        The configuration of the run.
    root
        The repository; the report states its commit.
    missing
        Files that belong in the report but do not exist.
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
        pending=study.later,
        settings=study,
    )
