"""Every finding of the adaptation study."""

from __future__ import annotations

from peft_atlas.analysis.finding import Finding
from peft_atlas.studies.adaptation.advice import adaptation_advice
from peft_atlas.studies.adaptation.answers import adaptation_answers
from peft_atlas.studies.adaptation.checks import adaptation_checks
from peft_atlas.studies.adaptation.claims import adaptation_claims
from peft_atlas.studies.adaptation.jobs import NAME
from peft_atlas.studies.findings import Given


def findings(given: Given) -> list[Finding]:
    """Return answers, claims, checks and advice."""
    runs, contrasts = given.of(NAME, "runs"), given.of(NAME, "contrasts")
    return [
        *adaptation_answers(runs, contrasts, given.confidence),
        *adaptation_claims(runs, contrasts, given.confidence),
        *adaptation_checks(runs, given.confidence),
        *adaptation_advice(runs, contrasts, given.confidence),
    ]
