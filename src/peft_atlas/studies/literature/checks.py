"""Checks of the published tables, each over all the data: a new row or table is checked with no change here.

A check tests what a source says, so its failure is the source's; the detail names file and line of every failing cell.
"""

from __future__ import annotations

import pandas as pd

from peft_atlas.analysis.finding import Finding
from peft_atlas.studies.literature.check_finding import check
from peft_atlas.studies.literature.checks_agreement import (
    bounds,
    quotations,
    repeated_values,
    same_cells,
    same_percentages,
)
from peft_atlas.studies.literature.checks_averages import row_means
from peft_atlas.studies.literature.checks_counts import counted_two_ways, recomputed_numbers
from peft_atlas.studies.literature.percentages_without_counts import percentages_without_counts
from peft_atlas.studies.literature.scores import SEED


def published_checks(
    published: pd.DataFrame,
    parameters: pd.DataFrame,
    conflicting: pd.DataFrame,
    application_verdicts: pd.DataFrame,
    references: pd.DataFrame,
) -> list[Finding]:
    """Return the checks of the transcribed tables.

    Parameters
    ----------
    published, parameters, conflicting, application_verdicts, references
        Tables of the contracts ``published``, ``parameters``, ``conflicts``, ``application_verdicts`` and
        ``references``.
    """
    return [
        *row_means(published),
        *recomputed_numbers(published, parameters),
        counted_two_ways(parameters),
        *same_cells(published, conflicting),
        *same_percentages(published, conflicting),
        *quotations(published),
        *repeated_values(published, application_verdicts),
        *bounds(published),
        percentages_without_counts(published),
        _domains(application_verdicts),
        _references(references),
    ]


def _domains(application_verdicts: pd.DataFrame) -> Finding:
    """Return whether a source supports every percentage of the application domains."""
    lost = application_verdicts[application_verdicts["status"] != "supported"]
    listed = " ".join(f"{row.task} ({row.status}): {row.reason}" for row in lost.itertuples())
    return check(
        "application_percentages",
        "A source that was seen supports every percentage of the application domains",
        SEED,
        len(lost),
        len(application_verdicts),
        "numbers",
        f"{len(application_verdicts) - len(lost)} of {len(application_verdicts)} are supported. {listed}".strip(),
        "application_verdicts: status",
    )


def _references(references: pd.DataFrame) -> Finding:
    """Return whether every reference names the work by its right identifier."""
    wrong = references[references["verdict"] != "correct"]
    listed = " ".join(
        f"Reference {row.number} (references.csv), {row.title}: arXiv:{row.claimed_arxiv_id} given, it is "
        f"arXiv:{row.true_arxiv_id}."
        for row in wrong.itertuples()
    )
    return check(
        "references",
        "Every reference has its right identifier",
        SEED,
        len(wrong),
        len(references),
        "references",
        listed or "All have.",
        "references: verdict",
    )
