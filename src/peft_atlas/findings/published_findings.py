"""All findings on the literature, in the order of telling."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from peft_atlas.accounting.memory import memory_table
from peft_atlas.findings.claims import claims
from peft_atlas.findings.conflicts import conflicts
from peft_atlas.findings.finding import Finding
from peft_atlas.findings.published_answers import published_answers
from peft_atlas.findings.published_checks import published_checks
from peft_atlas.findings.published_errata import published_errata
from peft_atlas.findings.published_tables import PublishedTables


def published_findings(
    published: pd.DataFrame,
    parameters: pd.DataFrame,
    references: pd.DataFrame,
    verdicts: pd.DataFrame,
    memory: pd.DataFrame | None = None,
    conflicting: pd.DataFrame | None = None,
    so_far: Sequence[Finding] = (),
) -> list[Finding]:
    """Return answers, claims, errata and checks of the published tables.

    Parameters
    ----------
    published, parameters, references, verdicts
        Tables of the contracts ``published``, ``parameters``, ``references`` and ``application_verdicts``.
    memory, conflicting
        Tables of the contracts ``memory`` and ``conflicts``; worked out where they are not given.
    so_far
        The findings of the measured studies. Claims on what was measured rest on their answers, and are undecided
        without them.
    """
    tables = PublishedTables(
        published=published,
        parameters=parameters,
        memory=memory_table() if memory is None else memory,
        conflicts=conflicts(published, parameters) if conflicting is None else conflicting,
        application_verdicts=verdicts,
        references=references,
    )
    measured = {finding.id: finding for finding in so_far if finding.kind == "answer"}
    checks = published_checks(published, parameters, tables.conflicts, verdicts, references)
    judged = claims(tables, measured)
    return [*published_answers(tables, [*judged, *checks]), *judged, *published_errata(tables, checks), *checks]
