"""Every finding on the record of published runs; a source that is not in the tables brings none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from peft_atlas.analysis.finding import Finding
from peft_atlas.studies.findings import Given
from peft_atlas.studies.record.audit import audit
from peft_atlas.studies.record.batch import batch_findings
from peft_atlas.studies.record.conclusions import conclusions
from peft_atlas.studies.record.hidden import hidden_settings
from peft_atlas.studies.record.images import image_findings
from peft_atlas.studies.record.passes import MATH
from peft_atlas.studies.record.rates import paper_findings, rate_findings
from peft_atlas.studies.record.speed import over_passes, pair_findings
from peft_atlas.studies.record.sweep import sweep_findings


def findings(given: Given) -> list[Finding]:
    """Return answers, claims and checks of the published runs."""
    return list(_found(given.tables))


def _found(tables: Mapping[str, pd.DataFrame]) -> Iterator[Finding]:
    runs, rates, statements = (tables[name] for name in ("benchmark_runs", "rate_runs", "rate_statements"))
    # Without the main line there is no machine to compare runs on.
    if (runs["benchmark"].eq(MATH) & runs["pull_request"].isna()).any():
        yield from conclusions(runs)
        yield from over_passes(runs)
        yield from audit(runs)
    yield from pair_findings(tables["training_runs"])
    yield from image_findings(runs)
    yield from rate_findings(rates)
    yield from batch_findings(tables["rate_means"])
    yield from paper_findings(tables["tuning_audit"])
    yield from sweep_findings(rates, tables["rate_sweeps"], statements)
    yield from hidden_settings(tables["training_runs"], tables["adapter_counts"], statements)
