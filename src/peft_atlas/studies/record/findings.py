"""Every finding on the record of published runs."""

from __future__ import annotations

from peft_atlas.analysis.finding import Finding
from peft_atlas.studies.findings import Given
from peft_atlas.studies.record.audit import audit
from peft_atlas.studies.record.conclusions import conclusions
from peft_atlas.studies.record.hidden import hidden_settings
from peft_atlas.studies.record.images import image_findings
from peft_atlas.studies.record.rates import rate_findings
from peft_atlas.studies.record.speed import speed_findings
from peft_atlas.studies.record.sweep import sweep_findings


def findings(given: Given) -> list[Finding]:
    """Return answers, claims and checks of the published runs."""
    tables = given.tables
    return [
        *conclusions(tables["benchmark_runs"]),
        *speed_findings(tables["benchmark_runs"], tables["training_runs"]),
        *image_findings(tables["benchmark_runs"]),
        *rate_findings(tables["rate_runs"], tables["tuning_audit"]),
        *sweep_findings(tables["rate_runs"], tables["rate_sweeps"], tables["rate_statements"]),
        *audit(tables["benchmark_runs"]),
        *hidden_settings(tables["training_runs"], tables["adapter_counts"], tables["rate_statements"]),
    ]
