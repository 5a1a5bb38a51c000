"""The rows that runs of the decoder study, its references and its controls leave in the result tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from peft_atlas.models.decoder import parameter_counts
from peft_atlas.studies.decoder.config import DecoderTaskConfig
from peft_atlas.studies.decoder.jobs import NAME
from peft_atlas.studies.decoder.run import Answered, Run
from peft_atlas.tables.schemas import COSTS, ITEMS
from peft_atlas.training.divergence import METRICS, diverged_reason
from peft_atlas.training.rows import Row, curve_row, epoch_row, finetuning_cost, method_size, run_row, stopped, trained
from peft_atlas.training.tuning import Selected, Tables


def rows_of_run(run: Run, selected: Selected) -> Tables:
    """Return a run's rows."""
    identity = _identity(run, selected.chosen)
    points = [_point(run, identity, epoch) for epoch in range(max(run.epochs, 1))]
    outcome = {} if run.history.diverged else {name: points[-1][name] for name in METRICS}
    validated = any(loss is not None for loss in run.history.validation_loss)
    ended = {
        **_status(run),
        **outcome,
        "edge": selected.edge,
        "validation_examples": len(run.validation_rows()) if validated else None,
        "test_examples": None if run.test is None else len(run.test.correct),
        "head_params": 0,
        "text_loss_before": run.text_loss_before,
        "text_loss": run.text_loss,
        "adapter_bytes": run.bytes,
    }
    total, _ = parameter_counts(run.model)
    row = run_row(identity, ended, total_params=total, device=run.part.device, precision=run.part.precision)
    items = [] if run.test is None else items_of(identity["run_id"], run.test_rows(), run.test)
    return Tables(
        [row],
        points,
        [finetuning_cost(identity["run_id"], run.history, run.epochs * run.part.task.train_examples)],
        items,
    )


def _status(run: Run) -> Row:
    """Return how the run ended, and why where it did not end well."""
    if run.history.diverged:
        return {"status": "diverged", "reason": diverged_reason()}
    if run.epochs < run.part.task.epochs:
        return stopped(run.epochs, run.part.task.epochs)
    return {"status": "ok", "reason": None}


def _point(run: Run, identity: Row, epoch: int) -> Row:
    """Return what an epoch measured, counted from 0; the last one has the test rows, where read."""
    last = epoch == run.part.task.epochs - 1 and run.test is not None
    test = {"test_loss": run.test.loss, "test_accuracy": run.test.accuracy} if last and run.test is not None else {}
    return epoch_row(identity, run.history, epoch, test)


def items_of(run_id: str, rows: pd.DataFrame, found: Answered) -> list[Row]:
    """Return which test rows a run answers rightly, and the loss of each."""
    each = zip(rows["stratum"], found.correct, found.losses, strict=False)
    return [
        {**ITEMS.blank(), "run_id": run_id, "row": place, "correct": right, "stratum": stratum, "loss": loss}
        for place, (stratum, right, loss) in enumerate(each)
    ]


def _identity(run: Run, chosen: bool | None) -> Row:
    """Return the columns that name a run and its cell."""
    part, trial = run.part, run.trial
    return {
        **cell(part.task, part.config.model, trial.setting.label),
        "run_id": trial.run_id(part.task.name),
        "experiment": trial.experiment,
        **method_size(trial.setting.method),
        "dropout": getattr(trial.setting.method, "lora_dropout", None),
        "setting": trial.setting.setting,
        "learning_rate": trial.rate,
        "seed": trial.seed,
        "selected": chosen,
        **trained(run.attached.adapter_params(), run.full_params),
    }


def cell(task: DecoderTaskConfig, model: str, method: str) -> Row:
    """Return what names the runs of a method, a reference or a control on a task."""
    return {
        "study": NAME,
        "task": task.name,
        "model": model,
        "method": method,
        "train_examples": task.train_examples,
        "epochs": task.epochs,
    }


@dataclass(frozen=True)
class Untrained:
    """What is not trained by gradient: a reference or control with its name and seed, and what it answers.

    Parameters
    ----------
    experiment, method, setting
        Part of the study, and its name there.
    seed
        Seed of what it draws.
    rows
        The test rows that it read.
    found
        What it made of them; without losses where it gives no probabilities of tokens.
    total_params
        Parameters of the model, 0 where there is none.
    text_loss
        Loss on plain text, of a language model.
    """

    experiment: str
    method: str
    setting: str | None
    seed: int
    rows: pd.DataFrame
    found: Answered
    total_params: int = 0
    text_loss: float | None = None


def rows_of_untrained(task: DecoderTaskConfig, model: str, device: str, each: Untrained, spent: Row) -> Tables:
    """Return the rows of a reference or control; ``spent`` holds what it cost, by the names of the contract."""
    named = each.method if each.setting is None else f"{each.method}/{each.setting}"
    run_id = f"{NAME}/{each.experiment}/{task.name}/{named}/seed={each.seed}"
    # A reference sees no training rows of its own, whatever is put before its prompt.
    identity: dict[str, Any] = {
        **cell(task, model, each.method),
        "run_id": run_id,
        "experiment": each.experiment,
        "setting": each.setting,
        "seed": each.seed,
    }
    known = {"test_accuracy": each.found.accuracy}
    if each.found.loss is not None:
        known["test_loss"] = each.found.loss
    ended = {
        **known,
        "status": "ok",
        "test_examples": len(each.found.correct),
        "text_loss_before": each.text_loss,
        "text_loss": each.text_loss,
    }
    run = run_row(identity, ended, total_params=each.total_params, device=device, precision=None)
    items = items_of(run_id, each.rows, each.found)
    cost = {**COSTS.blank(), "rule": "finetune", "job": run_id, "run_id": run_id, **spent}
    return Tables([run], [curve_row(identity, 0, known)], [cost], items)
