"""The rows that runs leave in the tables of runs and of curves; every study makes its own through these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

import torch

from peft_atlas.tables.schemas import COSTS, CURVES, RUNS
from peft_atlas.training.history import History
from peft_atlas.training.population import resolve_device

Row = dict[str, Any]


def run_row(
    identity: Mapping[str, Any],
    measured: Mapping[str, Any],
    *,
    total_params: int | None,
    device: str,
    precision: str | None = "float32",
) -> Row:
    """Return a run's row, with null in the columns that neither its identity nor what was measured names.

    Parameters
    ----------
    identity
        Columns that name the run and its cell, ``run_id`` and ``seed`` among them.
    measured
        The other columns: how the run ended and what was read.
    total_params
        Trainable and frozen parameters; None where they were not counted.
    device
        Device of the configuration, as `resolve_device` takes it.
    precision
        In which matrix products were taken; None where a run has none.
    """
    machine = {"device": resolve_device(device).type, "precision": precision, "torch_version": torch.__version__}
    return {**RUNS.blank(), **identity, "total_params": total_params, **machine, **measured}


def curve_row(identity: Mapping[str, Any], epoch: int, measured: Mapping[str, Any]) -> Row:
    """Return a run's row of one epoch, from 1; 0 where nothing was trained."""
    return {**CURVES.blank(), **identity, "epoch": epoch, **measured}


def epoch_row(identity: Mapping[str, Any], history: History, epoch: int, test: Mapping[str, Any]) -> Row:
    """Return a run's row of one epoch, counted from 0: the losses that were read after it, and what test said.

    Parameters
    ----------
    identity
        As for `run_row`.
    history
        What was measured.
    epoch
        The epoch; what was not read after it is null.
    test
        The columns of the test rows; empty where they were not read after this epoch.
    """
    read: dict[str, Sequence[float | None]] = {
        "train_loss": history.train_loss,
        "validation_loss": history.validation_loss,
        "validation_accuracy": history.validation_accuracy,
    }
    known = {name: values[epoch] if epoch < len(values) else None for name, values in read.items()}
    return curve_row(identity, epoch + 1, {**known, **test})


def stopped(epochs: int, planned: int) -> Row:
    """Return the columns of a run that a search of rates left before its last epoch."""
    reason = f"left after epoch {epochs} of {planned}: other rates were better on validation"
    return {"status": "stopped", "reason": reason}


def finetuning_cost(run_id: str, history: History, examples: int) -> Row:
    """Return a run's row of the table ``costs``.

    Parameters
    ----------
    run_id
        The run.
    history
        What was measured.
    examples
        Training examples that it has seen, repeats counted.
    """
    return {
        **COSTS.blank(),
        "rule": "finetune",
        "job": run_id,
        "run_id": run_id,
        "cpu_seconds": history.train_cpu_seconds,
        "train_seconds": history.train_seconds,
        "evaluation_seconds": history.evaluation_seconds,
        "examples_per_second": None if history.diverged else examples / history.train_seconds,
        "peak_memory_mb": history.peak_megabytes,
    }


def trained(trainable_params: int, full_params: int) -> Row:
    """Return the columns of what a run trains, the percentage relative to full fine-tuning."""
    return {"trainable_params": trainable_params, "params_percent": 100 * trainable_params / full_params}


def adapter_size(rank: int | None, alpha: float | None, *, rooted: bool = False) -> Row:
    """Return the columns of rank, alpha and scaling, null where a method has none.

    The scaling is ``alpha / rank`` (Hu et al. 2021, arXiv:2106.09685, section 4.1); ``rooted`` divides by the root of
    the rank (Kalajdzievski 2023, arXiv:2312.03732).
    """
    scaling = None if alpha is None or rank is None else alpha / (sqrt(rank) if rooted else rank)
    return {"rank": rank, "alpha": alpha, "scaling": scaling}


def method_size(method: object) -> Row:
    """Return the columns of a method's rank, alpha and scaling."""
    rank, alpha = getattr(method, "r", None), getattr(method, "lora_alpha", None)
    return adapter_size(rank, alpha, rooted=getattr(method, "use_rslora", False))
