"""Every finding of the encoder study."""

from __future__ import annotations

from peft_atlas.analysis.finding import Finding
from peft_atlas.studies.encoder.advice import encoder_advice
from peft_atlas.studies.encoder.answers import encoder_answers
from peft_atlas.studies.encoder.jobs import NAME
from peft_atlas.studies.encoder.precision_check import precision_check
from peft_atlas.studies.findings import Given


def findings(given: Given) -> list[Finding]:
    """Return the check of its precision, the study's answers and its advice."""
    runs, contrasts = given.of(NAME, "runs"), given.of(NAME, "contrasts")
    costs = given.checks[given.checks["study"].eq(NAME) & given.checks["kind"].eq("answer")]
    return [
        precision_check(runs),
        *encoder_answers(runs, contrasts, given.confidence),
        *encoder_advice(runs, contrasts, costs, given.confidence),
    ]
