"""Every finding on the literature."""

from __future__ import annotations

import pandas as pd

from peft_atlas.analysis.finding import Finding
from peft_atlas.studies.findings import LITERATURE, Given
from peft_atlas.studies.literature.advice import published_advice
from peft_atlas.studies.literature.answers import published_answers
from peft_atlas.studies.literature.checks import published_checks
from peft_atlas.studies.literature.claims import claims
from peft_atlas.studies.literature.errata import published_errata
from peft_atlas.studies.literature.memory_findings import memory_checks
from peft_atlas.studies.literature.published_tables import PublishedTables

# The question of the contrasts whose margin decides whether LoRA reaches the full model.
NON_INFERIORITY = "lora_against_full_tuned"


def findings(given: Given) -> list[Finding]:
    """Return answers, claims, errata, checks and advice on the published tables.

    Claims on what was measured rest on the answers of the measured studies, and are undecided without them. The count
    of claims is that of the whole run, with those that other studies judge.
    """
    tables = PublishedTables(**{name: given.tables[name] for name in LITERATURE})
    measured = {
        finding.id: finding for finding in (*given.so_far, *_from_jobs(given.checks)) if finding.kind == "answer"
    }
    checks = published_checks(
        tables.published, tables.parameters, tables.conflicts, tables.application_verdicts, tables.references
    )
    checks += memory_checks(tables.predictions)
    judged = claims(tables, measured, _margin(given.tables["contrasts"]))
    elsewhere = [finding for finding in (*given.so_far, *_from_jobs(given.checks)) if finding.kind == "claim"]
    answers = published_answers(tables, [*elsewhere, *judged, *checks])
    advice = published_advice(tables, [*elsewhere, *judged, *checks])
    return [*answers, *judged, *published_errata(tables, checks), *checks, *advice]


def _from_jobs(checks: pd.DataFrame) -> list[Finding]:
    """Return the findings that jobs of their own wrote, such as answers on costs."""
    return [Finding.of_row(row) for row in checks.to_dict("records")]


def _margin(contrasts: pd.DataFrame) -> float | None:
    """Return the margin of non-inferiority, in percentage points, that the comparison with the full model was given."""
    margins = contrasts.loc[contrasts["question"] == NON_INFERIORITY, "margin"].dropna()
    return 100 * float(margins.iloc[0]) if len(margins) else None
