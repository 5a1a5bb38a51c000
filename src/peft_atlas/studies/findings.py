"""The findings of every study of a run, and what they may rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from peft_atlas.analysis.finding import Finding, as_rows
from peft_atlas.step import Step
from peft_atlas.studies.study import studies_of
from peft_atlas.tables.contract import read_table
from peft_atlas.tables.expected_rows import expecting_rows
from peft_atlas.tables.names import ADDED, RECORD
from peft_atlas.tables.schemas import FINDINGS

MEASUREMENTS = ("runs", "curves", "summary", "contrasts")
LITERATURE = ("published", "parameters", "references", "application_verdicts", "memory", "predictions", "conflicts")


@dataclass(frozen=True)
class Given:
    """What the findings of a study may rest on.

    Parameters
    ----------
    tables
        The result tables named in `MEASUREMENTS`, `LITERATURE` and `RECORD`, whole; those in `ADDED` where they exist.
    checks
        Checks that ran as jobs of their own, rows of the contract ``findings``.
    confidence
        Confidence level of every interval.
    so_far
        Findings of the studies before this one in the report.
    """

    tables: Mapping[str, pd.DataFrame]
    checks: pd.DataFrame
    confidence: float
    so_far: Sequence[Finding] = field(default=())

    def of(self, study: str, table: str) -> pd.DataFrame:
        """Return the rows of a table of measurements that belong to a study."""
        rows = self.tables[table]
        return rows[rows["study"] == study]


def all_findings(
    tables: Mapping[str, pd.DataFrame], checked: Sequence[pd.DataFrame], confidence: float
) -> pd.DataFrame:
    """Return the findings of each study of the run, and the checks that ran, in the report's order.

    Parameters
    ----------
    tables
        The result tables named in `MEASUREMENTS`, `LITERATURE` and `RECORD`.
    checked
        Checks that ran as jobs of their own, tables of the contract ``findings``; there may be none.
    confidence
        Confidence level of the intervals.
    """
    ordered = [table.sort_values("position") for table in checked]
    checks = pd.concat(ordered) if ordered else pd.DataFrame(columns=FINDINGS.schema().names)
    found: list[Finding] = []
    for study in studies_of(tuple(tables["runs"]["study"].unique())):
        with expecting_rows(f"findings of the {study.name} study"):
            found += study.part("findings").findings(Given(tables, checks, confidence, tuple(found)))
    rows = pd.concat([as_rows(found), checks], ignore_index=True)
    return rows.assign(position=range(len(rows)))


def findings_step(step: Step) -> None:
    """Collect every finding: answers, claims, errata and checks."""
    added = [name for name in ADDED if name in step.inputs]
    tables = {name: step.read(name) for name in (*MEASUREMENTS, *LITERATURE, *RECORD, *added)}
    checks = [read_table(FINDINGS, path) for path in step.paths("checks")]
    step.write("findings", all_findings(tables, checks, step.params["confidence"]))
