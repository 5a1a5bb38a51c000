"""The notebook's six takeaways and its closing sentence, split into statements that the tables can test.

A statement is supported or contradicted by rows, or cannot be decided from what was seen, by the rules of
`peft_atlas.studies.literature.judging`; the quotations are in `peft_atlas.studies.literature.quotations`.
"""

from __future__ import annotations

from peft_atlas.analysis.finding import Finding
from peft_atlas.studies.literature.claims_advantage import advantage_claims, closing_claims
from peft_atlas.studies.literature.claims_efficiency import efficiency_claims
from peft_atlas.studies.literature.claims_performance import performance_claims
from peft_atlas.studies.literature.claims_sensitivity import sensitivity_claims
from peft_atlas.studies.literature.claims_transformers import transformer_claims
from peft_atlas.studies.literature.claims_versatility import versatility_claims
from peft_atlas.studies.literature.judging import Measured
from peft_atlas.studies.literature.published_tables import PublishedTables
from peft_atlas.studies.literature.quotations import quotation_claims


def claims(tables: PublishedTables, measured: Measured, margin: float | None = None) -> list[Finding]:
    """Return every statement of section 8 and of the quotations with its verdict.

    Parameters
    ----------
    tables
        The result tables.
    measured
        The answers of the measured studies by id; a claim whose answer is missing is undecided.
    margin
        Largest loss of accuracy, in percentage points, with which LoRA still reaches the full model; None where no
        study that asks this was run.
    """
    return [
        *efficiency_claims(tables, measured),
        *performance_claims(tables, measured, margin),
        *sensitivity_claims(tables, measured),
        *versatility_claims(tables),
        *advantage_claims(tables, measured),
        *transformer_claims(tables, measured),
        *closing_claims(tables),
        *quotation_claims(tables),
    ]
