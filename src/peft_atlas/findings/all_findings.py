"""Every finding of the studies that were run and of the literature, in the order of telling."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd

from peft_atlas.findings.encoder_answers import encoder_answers
from peft_atlas.findings.finding import Finding, as_rows
from peft_atlas.findings.notebook_answers import notebook_answers
from peft_atlas.findings.notebook_errata import notebook_errata
from peft_atlas.findings.published_findings import published_findings

# One entry a measured study: its findings from the result tables, the checks that ran, and the confidence level.
StudyFindings = Callable[[Mapping[str, pd.DataFrame], pd.DataFrame, float], list[Finding]]
LITERATURE = ("published", "parameters", "references", "application_verdicts", "memory", "conflicts")
MEASUREMENTS = ("runs", "curves", "summary", "contrasts")


def _notebook(tables: Mapping[str, pd.DataFrame], checks: pd.DataFrame, confidence: float) -> list[Finding]:
    runs, contrasts = tables["runs"], tables["contrasts"]
    return [
        *notebook_answers(runs, contrasts, confidence),
        *notebook_errata(runs, contrasts, checks, confidence),
    ]


def _encoder(tables: Mapping[str, pd.DataFrame], checks: pd.DataFrame, confidence: float) -> list[Finding]:
    return encoder_answers(tables["runs"], tables["contrasts"], tables["published"], confidence)


_FINDINGS: dict[str, StudyFindings] = {"notebook": _notebook, "encoder": _encoder}


def all_findings(tables: Mapping[str, pd.DataFrame], checks: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Return the findings of each study that has runs, of the literature, and the checks that ran.

    Parameters
    ----------
    tables
        The result tables named in `MEASUREMENTS` and `LITERATURE`.
    checks
        Checks that ran as jobs of their own, of the contract ``findings``, in the order of telling.
    confidence
        Confidence level of the intervals.
    """
    found: list[Finding] = []
    for study, findings in _FINDINGS.items():
        own = {name: tables[name][tables[name]["study"] == study] for name in MEASUREMENTS}
        own["published"] = tables["published"]
        if len(own["runs"]):
            found += findings(own, checks, confidence)
    printed, counted, cited, domains, memory, conflicting = (tables[name] for name in LITERATURE)
    found += published_findings(printed, counted, cited, domains, memory, conflicting, found)
    rows = pd.concat([as_rows(found), checks], ignore_index=True)
    return rows.assign(position=range(len(rows)))
