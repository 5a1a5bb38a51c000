"""Collect every finding: answers, claims, errata and checks."""

from pathlib import Path

import pandas as pd

from peft_atlas.findings.finding import as_rows
from peft_atlas.findings.notebook_answers import notebook_answers
from peft_atlas.findings.notebook_errata import notebook_errata
from peft_atlas.findings.published_findings import published_findings
from peft_atlas.job import job
from peft_atlas.records import CONTRACTS, CONTRASTS, FINDINGS, RUNS, read_table, write_table

with job(snakemake.log[0]):
    paths, confidence = snakemake.input, snakemake.params.confidence
    runs, contrasts = read_table(RUNS, paths.runs), read_table(CONTRASTS, paths.contrasts)
    checks = read_table(FINDINGS, paths.checks)
    names = ("published", "parameters", "references", "application_verdicts", "memory", "conflicts")
    literature = [read_table(CONTRACTS[name], paths[name]) for name in names]
    found = [
        *notebook_answers(runs, contrasts, confidence),
        *notebook_errata(runs, contrasts, checks, confidence),
    ]
    found += published_findings(*literature, so_far=found)
    rows = pd.concat([as_rows(found), checks.sort_values("position")], ignore_index=True)
    write_table(FINDINGS, rows.assign(position=range(len(rows))), Path(snakemake.output.findings))
