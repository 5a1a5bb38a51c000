"""A check of the published tables as a finding, and how its id and source are written."""

from __future__ import annotations

import re

from peft_atlas.analysis.finding import SEED_NOTEBOOK, Effect, Finding
from peft_atlas.studies.literature.jobs import NAME
from peft_atlas.studies.literature.scores import SEED


def who(source: str) -> str:
    """Return how findings name a source: its id, the seed notebook in words."""
    return SEED_NOTEBOOK if source == SEED else source


def check(
    name: str, statement: str, source: str, failing: int, n: int, unit: str, detail: str, evidence: str
) -> Finding:
    """Return a check that passes where nothing fails; the effect is how many of ``n`` fail."""
    return Finding(
        kind="check",
        id=name,
        study=NAME,
        statement=statement,
        source=who(source),
        verdict="fail" if failing else "pass",
        evidence=evidence,
        detail=detail,
        effect=Effect(float(failing), unit, n=n),
    )


def slug(text: str) -> str:
    """Return a text as a part of an id: ``Commonsense Reasoning`` becomes ``commonsense_reasoning``."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
