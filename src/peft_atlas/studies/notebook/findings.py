"""Every finding of the notebook study."""

from __future__ import annotations

from peft_atlas.analysis.finding import Finding
from peft_atlas.studies.findings import Given
from peft_atlas.studies.notebook.advice import notebook_advice
from peft_atlas.studies.notebook.answers import notebook_answers
from peft_atlas.studies.notebook.errata import notebook_errata
from peft_atlas.studies.notebook.jobs import NAME
from peft_atlas.studies.notebook.random_base import random_base


def findings(given: Given) -> list[Finding]:
    """Return answers, errata and advice; the random base is an erratum that the adaptation study resolves."""
    runs, contrasts = given.of(NAME, "runs"), given.of(NAME, "contrasts")
    answers = notebook_answers(runs, contrasts, given.confidence)
    return [
        *answers,
        *notebook_errata(runs, contrasts, given.checks, given.confidence),
        random_base(given.of("adaptation", "runs"), given.confidence),
        *notebook_advice(answers),
    ]
