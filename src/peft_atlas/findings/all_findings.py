"""Every finding of the studies that were run and of the literature, in the order of telling."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from peft_atlas.findings.adaptation_answers import adaptation_answers
from peft_atlas.findings.adaptation_checks import adaptation_checks
from peft_atlas.findings.adaptation_claims import adaptation_claims
from peft_atlas.findings.encoder_answers import encoder_answers
from peft_atlas.findings.finding import Finding, as_rows
from peft_atlas.findings.notebook_answers import notebook_answers
from peft_atlas.findings.notebook_errata import notebook_errata
from peft_atlas.findings.published_findings import published_findings
from peft_atlas.findings.random_base import random_base
from peft_atlas.records import FINDINGS

LITERATURE = ("published", "parameters", "references", "application_verdicts", "memory", "conflicts")
MEASUREMENTS = ("runs", "curves", "summary", "contrasts")
Tables = Mapping[str, pd.DataFrame]


def _of(study: str, tables: Tables) -> dict[str, pd.DataFrame]:
    """Return the rows of the measurements that belong to a study."""
    return {name: tables[name][tables[name]["study"] == study] for name in MEASUREMENTS}


def _notebook(tables: Tables, checks: pd.DataFrame, confidence: float) -> list[Finding]:
    own = _of("notebook", tables)
    return [
        *notebook_answers(own["runs"], own["contrasts"], confidence),
        *notebook_errata(own["runs"], own["contrasts"], checks, confidence),
        random_base(_of("adaptation", tables)["runs"], confidence),
    ]


def _adaptation(tables: Tables, checks: pd.DataFrame, confidence: float) -> list[Finding]:
    own = _of("adaptation", tables)
    return [
        *adaptation_answers(own["runs"], own["contrasts"], confidence),
        *adaptation_claims(own["runs"], own["contrasts"], confidence),
        *adaptation_checks(own["runs"], confidence),
    ]


def _encoder(tables: Tables, checks: pd.DataFrame, confidence: float) -> list[Finding]:
    own = _of("encoder", tables)
    return encoder_answers(own["runs"], own["contrasts"], tables["published"], confidence)


# One entry a measured study: its findings from the result tables, the checks that ran, and the confidence level.
_FINDINGS: dict[str, Callable[[Tables, pd.DataFrame, float], list[Finding]]] = {
    "notebook": _notebook,
    "adaptation": _adaptation,
    "encoder": _encoder,
}


def all_findings(tables: Tables, checked: Sequence[pd.DataFrame], confidence: float) -> pd.DataFrame:
    """Return the findings of each study that has runs, of the literature, and the checks that ran.

    Parameters
    ----------
    tables
        The result tables named in `MEASUREMENTS` and `LITERATURE`.
    checked
        Checks that ran as jobs of their own, tables of the contract ``findings``; none is allowed.
    confidence
        Confidence level of the intervals.
    """
    ordered = [table.sort_values("position") for table in checked]
    checks = pd.concat(ordered) if ordered else pd.DataFrame(columns=FINDINGS.schema().names)
    found: list[Finding] = []
    for study, findings in _FINDINGS.items():
        if (tables["runs"]["study"] == study).any():
            found += findings(tables, checks, confidence)
    printed, counted, cited, domains, memory, conflicting = (tables[name] for name in LITERATURE)
    found += published_findings(printed, counted, cited, domains, memory, conflicting, found)
    rows = pd.concat([as_rows(found), checks], ignore_index=True)
    return rows.assign(position=range(len(rows)))
