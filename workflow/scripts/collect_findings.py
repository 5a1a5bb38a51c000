"""Collect every finding: answers, claims, errata and checks."""

from pathlib import Path

import peft_atlas.without_gc  # noqa: F401
from peft_atlas.findings.all_findings import LITERATURE, MEASUREMENTS, all_findings
from peft_atlas.job import job
from peft_atlas.records import CONTRACTS, FINDINGS, read_table, write_table

with job(snakemake.log[0]):
    paths = snakemake.input
    tables = {name: read_table(CONTRACTS[name], paths[name]) for name in (*MEASUREMENTS, *LITERATURE)}
    checks = [read_table(FINDINGS, path) for path in paths.checks]
    findings = all_findings(tables, checks, snakemake.params.confidence)
    write_table(FINDINGS, findings, Path(snakemake.output.findings))
