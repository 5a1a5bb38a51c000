"""The notebook study's comparisons: what LoRA gives, which cells are as good as the best, what each mend changes."""

from __future__ import annotations

from typing import Any

import pandas as pd

from peft_atlas.analysis.contrasts import Comparison, Levels, by_seed, compare
from peft_atlas.studies.notebook.jobs import NAME

Setting = tuple[int, float]


def contrasts(runs: pd.DataFrame, curves: pd.DataFrame, levels: Levels) -> list[dict[str, Any]]:
    """Return the comparisons of the notebook study as rows of the contract ``contrasts``.

    Parameters
    ----------
    runs, curves
        Tables of those contracts, of the notebook study alone.
    levels
        Confidence level of the intervals; 1 minus it is the level of the tests.
    """
    comparisons = [
        *_lora_against_full(runs),
        *_protocol_mend(runs),
        *_dropout_mend(runs),
        *_budget_mend(runs, curves),
        *_sweep_against_selected(runs),
        *_sweep_against_full(runs, curves),
    ]
    return compare(NAME, comparisons, levels.confidence)


def _baseline(runs: pd.DataFrame, task: str, method: str) -> pd.Series[float]:
    return by_seed(runs, experiment="baseline", task=task, method=method)


def _lora_setting(runs: pd.DataFrame) -> Setting:
    """Return rank and alpha of the baseline's LoRA."""
    row = runs[(runs["experiment"] == "baseline") & (runs["method"] == "LoRA")].iloc[0]
    return int(row["rank"]), float(row["alpha"])


def _lora_against_full(runs: pd.DataFrame) -> list[Comparison]:
    """Return LoRA against the full model, trained alike, for each protocol."""
    return [
        Comparison(
            "lora_against_full",
            task,
            "LoRA",
            *_lora_setting(runs),
            "full model, same epochs",
            _baseline(runs, task, "LoRA"),
            _baseline(runs, task, "full"),
        )
        for task in ("held_out", "as_published")
    ]


def _protocol_mend(runs: pd.DataFrame) -> list[Comparison]:
    """Return what is measured on held-out data against what the notebook's own test rows give."""
    settings = {"full": (None, None), "LoRA": _lora_setting(runs)}
    return [
        Comparison(
            "held_out_against_as_published",
            "held_out",
            method,
            *setting,
            "the same training judged on the notebook's test rows",
            _baseline(runs, "held_out", method),
            _baseline(runs, "as_published", method),
        )
        for method, setting in settings.items()
    ]


def _dropout_mend(runs: pd.DataFrame) -> list[Comparison]:
    """Return dropout before A against the notebook's dropout after A."""
    written = by_seed(runs, experiment="dropout_after_A", task="held_out")
    mended = _baseline(runs, "held_out", "LoRA")
    reference = "dropout after A, as the notebook has it"
    return [Comparison("dropout_place", "held_out", "LoRA", *_lora_setting(runs), reference, mended, written)]


def _full_at(runs: pd.DataFrame, curves: pd.DataFrame) -> tuple[int, pd.Series[float]]:
    """Return the sweep's epochs and the full model's test accuracy after as many, by seed.

    Where the full model trained for fewer epochs than the sweep, there is no such point and all are nan.
    """
    epochs = int(runs.loc[runs["experiment"] == "sweep", "epochs"].iloc[0])
    reached = by_seed(curves, experiment="baseline", task="held_out", method="full", epoch=epochs)
    return epochs, reached.reindex(_baseline(runs, "held_out", "full").index)


def _budget_mend(runs: pd.DataFrame, curves: pd.DataFrame) -> list[Comparison]:
    """Return the notebook's reference, the full model at its last epoch, against it at the sweep's budget."""
    epochs, reached = _full_at(runs, curves)
    final = _baseline(runs, "held_out", "full")
    return [
        Comparison("reference_budget", "held_out", "full", None, None, f"itself after {epochs} epochs", final, reached)
    ]


def selected_cell(runs: pd.DataFrame) -> Setting:
    """Return rank and alpha of the sweep's cell with the best mean validation accuracy.

    Validation selects, so that test accuracies stay unbiased; of equal cells the smallest rank, then alpha.
    """
    sweep = runs[runs["experiment"] == "sweep"]
    means = sweep.groupby(["rank", "alpha"], sort=True)["validation_accuracy"].mean()
    rank, alpha = means.index[int(means.to_numpy().argmax())]
    return int(rank), float(alpha)


def _cells(runs: pd.DataFrame) -> list[tuple[Setting, pd.Series[float]]]:
    """Return every cell of the sweep with its test accuracy by seed."""
    sweep = runs[runs["experiment"] == "sweep"]
    settings = sweep[["rank", "alpha"]].drop_duplicates().sort_values(["rank", "alpha"])
    pairs = [(int(rank), float(alpha)) for rank, alpha in settings.itertuples(index=False)]
    return [(pair, by_seed(sweep, rank=pair[0], alpha=pair[1])) for pair in pairs]


def _sweep_against_selected(runs: pd.DataFrame) -> list[Comparison]:
    """Return every other cell of the sweep against the one that validation selects."""
    chosen = selected_cell(runs)
    cells = dict(_cells(runs))
    name = f"rank {chosen[0]}, alpha {chosen[1]:g}, selected on validation"
    return [
        Comparison("sweep_against_selected", "held_out", "LoRA", *setting, name, outcome, cells[chosen])
        for setting, outcome in cells.items()
        if setting != chosen
    ]


def _sweep_against_full(runs: pd.DataFrame, curves: pd.DataFrame) -> list[Comparison]:
    """Return every cell of the sweep against the full model after as many epochs."""
    epochs, reached = _full_at(runs, curves)
    name = f"full model after {epochs} epochs"
    return [
        Comparison("sweep_against_full", "held_out", "LoRA", *setting, name, outcome, reached)
        for setting, outcome in _cells(runs)
    ]
