"""Tables shown both in the report and in the LaTeX output."""

from __future__ import annotations

from typing import Any

import pandas as pd

from peft_atlas.analysis.comparison import MEASURED, study_prefix, task_label
from peft_atlas.report.content import Table, table


def cells_of(comparison: pd.DataFrame, study: str) -> pd.DataFrame:
    """Select the final test accuracy (percent) of each cell of a study."""
    return comparison[(comparison["source"] == MEASURED) & comparison["task"].str.startswith(study_prefix(study))]


def costs_of(runs: pd.DataFrame, costs: pd.DataFrame, study: str) -> pd.DataFrame:
    """Average seconds and peak bytes per run over each cell of a study, using the runs with recorded costs."""
    spent = costs.dropna(subset=["run_id"])[["run_id", "train_seconds", "peak_memory_mb"]]
    joined = runs[runs["study"] == study].merge(spent, on="run_id", how="inner")
    cells = joined.assign(
        task=task_label(joined), seconds=joined["train_seconds"], memory_bytes=1e6 * joined["peak_memory_mb"]
    )
    names = ["task", "method", "setting", "rank", "alpha"]
    return cells.groupby(names, dropna=False, sort=False)[["seconds", "memory_bytes"]].mean().reset_index()


def parameters_table(parameters: pd.DataFrame) -> Table:
    """Tabulate the recomputed parameter counts and how each was obtained."""
    columns = ["base_model", "method", "setting", "trainable_params", "percent_with_adapter", "percent_without_adapter"]
    keys = ["base_model", "method", "setting"]
    ways = parameters.groupby(keys)["way"].agg(lambda way: ", ".join(sorted(way)).replace("_", " "))
    agree = parameters.groupby(keys)["trainable_params"].nunique().max() == 1
    shown = parameters.drop_duplicates(keys)[columns]
    shown = shown.assign(counted=[ways[key] for key in shown[keys].itertuples(index=False, name=None)])
    caption = (
        "Trainable parameters recomputed from the architecture and a documented configuration. Where two ways of "
        f"counting are listed, they {'agree to the last parameter' if agree else 'DISAGREE'}."
    )
    formats = {"trainable_params": ",d", "percent_with_adapter": ".4f", "percent_without_adapter": ".4f"}
    return table(caption, shown, formats)


def memory_table(memory: pd.DataFrame) -> Table:
    """Tabulate the memory needed for training, in 10^9 bytes, and the GPU sizes that can hold it."""
    parts = ["weights_bytes", "master_weights_bytes", "gradients_bytes", "optimizer_bytes", "total_bytes"]
    shown = memory[["base_model", "method", "setting", "precision"]].assign(
        precision=memory["precision"].str.replace("_", " ")
    )
    for part in parts:
        shown[part.removesuffix("_bytes")] = memory[part].astype(float) / 1e9
    sizes = sorted(int(name[5:-2]) for name in memory.columns if name.startswith("fits_"))
    shown["fits GPUs of"] = [_sizes_that_fit(row, sizes) for _, row in memory.iterrows()]
    step = memory.dropna(subset=["micro_batch"])
    setting = f"{step['micro_batch'].iloc[0]} × {step['sequence'].iloc[0]:,} tokens" if len(step) else "no setting"
    shown["predicted peak"] = [_interval(row) for _, row in memory.iterrows()]
    caption = (
        "Memory for training in GB (10^9 bytes), without activations, and the GPU sizes in GB that can hold it. If a "
        "size is not listed, training with AdamW on one such GPU at that precision is impossible without offloading; "
        f"if it is listed, activations may still make it impossible. Predicted peak: activations included, a step of "
        f"{setting} without checkpointing, with the 90 % interval of errors on measured runs."
    )
    return table(caption, shown, {part.removesuffix("_bytes"): ".2f" for part in parts})


def _interval(row: pd.Series[Any]) -> str:
    """Return a row's predicted peak with its interval in 10^9 bytes, or a dash."""
    if pd.isna(row["peak_bytes"]):
        return "–"
    peak, low, high = (row[name] / 1e9 for name in ("peak_bytes", "peak_low_bytes", "peak_high_bytes"))
    return f"{peak:.1f} [{low:.1f}, {high:.1f}]"


def _sizes_that_fit(row: pd.Series[Any], sizes: list[int]) -> str:
    return ", ".join(str(size) for size in sizes if row[f"fits_{size}gb"]) or "none"
