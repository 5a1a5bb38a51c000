"""Every finding of the laboratory, all of which the job that judges it has written."""

from __future__ import annotations

from peft_atlas.analysis.finding import Finding
from peft_atlas.studies.findings import Given


def findings(given: Given) -> list[Finding]:
    """Return none: the claims are among the checks, so that they can be judged without the rest of a run."""
    return []
