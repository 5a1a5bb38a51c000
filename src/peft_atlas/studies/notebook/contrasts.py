"""The notebook study's comparisons: what LoRA gives, which cells are as good as the best, what each fix changes.

Primary is LoRA against the full model, both stopped by validation, at learning rates that validation chose for each
from one grid. The same at the notebook's fixed rate and epochs is exploratory.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from peft_atlas.analysis.contrasts import EXPLORATORY, Comparison, Levels, by_seed, compare
from peft_atlas.studies.notebook.early_stopping import stopped
from peft_atlas.studies.notebook.jobs import NAME, TUNED_PART

Setting = tuple[int, float]
TUNED = "lora_against_full_tuned"
STOPPED, LAST_EPOCH, EARLY = "lora_against_full_stopped", "lora_against_full", "lora_against_full_early"
SELECTED, SWEEP_AGAINST_FULL = "sweep_against_selected", "sweep_against_full"


def contrasts(runs: pd.DataFrame, curves: pd.DataFrame, levels: Levels) -> list[dict[str, Any]]:
    """Return the comparisons of the notebook study as rows of the contract ``contrasts``.

    Parameters
    ----------
    runs, curves
        Tables of those contracts, of the notebook study alone.
    levels
        Confidence level of the intervals, 1 minus which is the level of the tests, and the margin of equivalence.
    """
    comparisons = [
        *_tuned_against_full(runs, curves, levels.margin),
        *_stopped_against_full(runs, curves),
        *_lora_against_full(runs),
        *_early_against_full(runs, curves),
        *_protocol_fix(runs),
        *_dropout_fix(runs),
        *_budget_fix(runs, curves),
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


def _held_out(curves: pd.DataFrame, method: str, experiment: str = "baseline") -> pd.DataFrame:
    """Return the learning curves of a method on held-out data, of a search those at the chosen rate."""
    own = curves[(curves["experiment"] == experiment) & (curves["task"] == "held_out")]
    return own[(own["method"] == method) & own["selected"].fillna(value=True)]


def _tuned_against_full(runs: pd.DataFrame, curves: pd.DataFrame, margin: float) -> list[Comparison]:
    """Return the study's primary comparison: LoRA against the full model, rates tuned and stopped by validation."""
    left, right = (stopped(_held_out(curves, method, TUNED_PART)) for method in ("LoRA", "full"))
    reference, setting = "full model, rates of both tuned, both stopped by validation", _lora_setting(runs)
    return [Comparison(TUNED, "held_out", "LoRA", *setting, reference, left, right, margin=margin)]


def _stopped_against_full(runs: pd.DataFrame, curves: pd.DataFrame) -> list[Comparison]:
    """Return LoRA against the full model at the notebook's learning rate, each stopped by validation."""
    left, right = (stopped(_held_out(curves, method)) for method in ("LoRA", "full"))
    reference = "full model, both stopped by validation"
    setting = _lora_setting(runs)
    return [Comparison(STOPPED, "held_out", "LoRA", *setting, reference, left, right, role=EXPLORATORY)]


def _lora_against_full(runs: pd.DataFrame) -> list[Comparison]:
    """Return LoRA against the full model after their last epoch, for each protocol."""
    return [
        Comparison(
            question,
            task,
            "LoRA",
            *_lora_setting(runs),
            "full model, same epochs",
            _baseline(runs, task, "LoRA"),
            _baseline(runs, task, "full"),
            role=EXPLORATORY,
        )
        for question, task in ((LAST_EPOCH, "held_out"), ("lora_against_full_as_published", "as_published"))
    ]


def _early_against_full(runs: pd.DataFrame, curves: pd.DataFrame) -> list[Comparison]:
    """Return LoRA against the full model after as many epochs as the sweep trains."""
    epochs, full = _full_at(runs, curves)
    lora = by_seed(_held_out(curves, "LoRA"), epoch=epochs).reindex(full.index)
    reference, setting = f"full model, both after {epochs} epochs", _lora_setting(runs)
    return [Comparison(EARLY, "held_out", "LoRA", *setting, reference, lora, full, role=EXPLORATORY)]


def _protocol_fix(runs: pd.DataFrame) -> list[Comparison]:
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


def _dropout_fix(runs: pd.DataFrame) -> list[Comparison]:
    """Return dropout before A against the notebook's dropout after A."""
    written = by_seed(runs, experiment="dropout_after_A", task="held_out")
    fixed = _baseline(runs, "held_out", "LoRA")
    reference = "dropout after A, as in the notebook"
    return [Comparison("dropout_place", "held_out", "LoRA", *_lora_setting(runs), reference, fixed, written)]


def _full_at(runs: pd.DataFrame, curves: pd.DataFrame) -> tuple[int, pd.Series[float]]:
    """Return the sweep's epochs and the full model's test accuracy after as many, by seed.

    Where the full model trained for fewer epochs than the sweep, there is no such point and all are nan.
    """
    epochs = int(runs.loc[runs["experiment"] == "sweep", "epochs"].iloc[0])
    reached = by_seed(curves, experiment="baseline", task="held_out", method="full", epoch=epochs)
    return epochs, reached.reindex(_baseline(runs, "held_out", "full").index)


def _budget_fix(runs: pd.DataFrame, curves: pd.DataFrame) -> list[Comparison]:
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
        Comparison(SELECTED, "held_out", "LoRA", *setting, name, outcome, cells[chosen], role=EXPLORATORY)
        for setting, outcome in cells.items()
        if setting != chosen
    ]


def _sweep_against_full(runs: pd.DataFrame, curves: pd.DataFrame) -> list[Comparison]:
    """Return every cell of the sweep against the full model after as many epochs."""
    epochs, reached = _full_at(runs, curves)
    name = f"full model after {epochs} epochs"
    return [
        Comparison(SWEEP_AGAINST_FULL, "held_out", "LoRA", *setting, name, outcome, reached, role=EXPLORATORY)
        for setting, outcome in _cells(runs)
    ]
