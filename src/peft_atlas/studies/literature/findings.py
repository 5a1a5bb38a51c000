"""Every finding on the literature."""

from __future__ import annotations

from peft_atlas.analysis.finding import Finding
from peft_atlas.studies.findings import LITERATURE, Given
from peft_atlas.studies.literature.answers import published_answers
from peft_atlas.studies.literature.checks import published_checks
from peft_atlas.studies.literature.claims import claims
from peft_atlas.studies.literature.errata import published_errata
from peft_atlas.studies.literature.published_tables import PublishedTables


def findings(given: Given) -> list[Finding]:
    """Return answers, claims, errata and checks of the published tables.

    Claims on what was measured rest on the answers of the measured studies, and are undecided without them.
    """
    tables = PublishedTables(**{name: given.tables[name] for name in LITERATURE})
    measured = {finding.id: finding for finding in given.so_far if finding.kind == "answer"}
    checks = published_checks(
        tables.published, tables.parameters, tables.conflicts, tables.application_verdicts, tables.references
    )
    judged = claims(tables, measured)
    return [*published_answers(tables, [*judged, *checks]), *judged, *published_errata(tables, checks), *checks]
