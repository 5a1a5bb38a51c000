"""Image generation: whether LoRA's balance of quality and cost holds in another modality."""

from __future__ import annotations

import pandas as pd

from peft_atlas.analysis.finding import Effect, Finding
from peft_atlas.studies.record.wording import ONE_SEED, PEFT, answer, listed

IMAGE = "image-gen"
_LORA = "lora/flux2-klein-default"
_COSTS = {"trainable_params": "parameters", "memory_max_reserved_bytes": "peak memory"}


def finished(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the newest run of each experiment on images that took the usual number of steps, by experiment."""
    rows = runs[(runs["benchmark"] == IMAGE) & runs["in_newest_commit"].astype(bool)]
    return rows[rows["steps"] == rows["steps"].mode().iloc[0]].set_index("experiment")


def dominators(rows: pd.DataFrame, experiment: str) -> pd.DataFrame:
    """Return the runs with a higher score than an experiment, no more parameters and no higher peak."""
    own = rows.loc[experiment]
    kept = rows["score"] > own["score"]
    for column in _COSTS:
        kept &= (rows[column] <= own[column]).fillna(value=False).astype(bool)
    return rows[kept]


def image_findings(runs: pd.DataFrame) -> list[Finding]:
    """Return whether any method beats LoRA on images in quality, parameters and memory at once.

    Parameters
    ----------
    runs
        Table of the contract ``benchmark_runs``.
    """
    rows = finished(runs) if (runs["benchmark"] == IMAGE).any() else pd.DataFrame()
    if _LORA not in rows.index:
        return []
    better, own, best = dominators(rows, _LORA), rows.loc[_LORA], rows["score"].idxmax()
    words = [
        f"{row.Index} (similarity {row.score:.3f}, {row.trainable_params:,} parameters, "
        f"{row.memory_max_reserved_bytes / 1e9:.2f} GB)"
        for row in better.itertuples()
    ]
    return [
        answer(
            "images",
            "Does LoRA's balance hold for images?",
            PEFT,
            f"benchmark_runs: benchmark={IMAGE}, score, trainable_params, memory_max_reserved_bytes",
            f"On FLUX.2-klein-base-4B, {len(rows)} runs with equal steps, LoRA's default has a similarity of "
            f"{own['score']:.3f} with {own['trainable_params']:,} parameters and a peak of "
            f"{own['memory_max_reserved_bytes'] / 1e9:.2f} GB. Better in all three: {listed(words)}. The highest "
            f"similarity is that of {best} ({rows.loc[best, 'score']:.3f}). {ONE_SEED}",
            Effect(float(len(better)), "runs better in quality, parameters and memory", n=len(rows)),
        )
    ]
