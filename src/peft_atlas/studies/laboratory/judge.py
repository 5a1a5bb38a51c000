"""The job that judges the laboratory: its best rates as a table, its findings, and a page that can be read."""

from __future__ import annotations

import pandas as pd

from peft_atlas.analysis.contrasts import Levels
from peft_atlas.analysis.finding import Finding, as_rows
from peft_atlas.files import write_text
from peft_atlas.step import Step
from peft_atlas.studies.laboratory.best_rates import best_rates, mean_rates
from peft_atlas.studies.laboratory.claims import laboratory_claims
from peft_atlas.studies.laboratory.contrasts import contrasts
from peft_atlas.studies.laboratory.intruder_claims import intruder_claims
from peft_atlas.studies.laboratory.jobs import SCALING, VARIANTS
from peft_atlas.tables.schemas import CONTRASTS


def page(findings: list[Finding]) -> str:
    """Return the findings as Markdown: what is claimed, by whom, the verdict, and what it rests on."""
    parts = ["# Claims laboratory\n"]
    for finding in findings:
        verdict = finding.verdict.replace("_", " ")
        parts.append(f"## {finding.statement}: {verdict}\n\nSource: {finding.source}.\n\n{finding.detail}\n")
    return "\n".join(parts)


def judge_step(step: Step) -> None:
    """Judge the laboratory's claims."""
    runs = step.read_all("runs")
    levels = Levels(step.params["confidence"], step.params["margin"])
    compared = pd.DataFrame(contrasts(runs, pd.DataFrame(), levels), columns=CONTRASTS.schema().names)
    findings = laboratory_claims(runs, compared, levels)
    findings += intruder_claims(compared, step.read("laboratory_intruders"), levels)
    rates = best_rates(runs[runs["experiment"].isin((SCALING, VARIANTS))])
    step.write("best_rates", mean_rates(rates, levels.confidence))
    step.write("findings", as_rows(findings))
    write_text(step.output("page"), page(findings))
