"""Gather what a report is built from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from peft_atlas.config import StudyConfig
from peft_atlas.provenance import code_version, machine, package_versions
from peft_atlas.records import CONTRACTS, read_table
from peft_atlas.report.render import read_figures
from peft_atlas.report.sections import Material


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
    return Material(
        tables={name: read_table(CONTRACTS[name], Path(path)) for name, path in tables.items()},
        figures=read_figures(figures),
        config=yaml.safe_dump(dict(config), sort_keys=False),
        seeds=tuple(StudyConfig.model_validate(config).seeds),
        versions=package_versions(),
        code=code_version(root),
        machine=machine(),
        missing=tuple(missing),
    )
