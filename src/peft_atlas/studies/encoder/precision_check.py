"""The check that all runs of the encoder study took their matrix products in the same precision."""

from __future__ import annotations

import pandas as pd

from peft_atlas.analysis.finding import ATLAS, Effect, Finding
from peft_atlas.studies.encoder.jobs import NAME


def precision_check(runs: pd.DataFrame) -> Finding:
    """Return whether the study's runs can be compared: a job takes bfloat16 only where its machine has it.

    Parameters
    ----------
    runs
        Table of that contract, of the encoder study alone.
    """
    counts = runs["precision"].dropna().value_counts().sort_index()
    listed = ", ".join(f"{precision} {count:,}" for precision, count in counts.items())
    return Finding(
        "check",
        "encoder_precision",
        NAME,
        "All runs of the encoder study take matrix products in one precision",
        ATLAS,
        "pass" if len(counts) < 2 else "fail",
        "runs: study=encoder, precision",
        f"Runs by precision: {listed}. Weights and optimiser states are in float32. In a cluster whose machines "
        "differ, encoder.precision = float32 makes all the same.",
        effect=Effect(float(len(counts)), "precisions", n=int(counts.sum())),
    )
