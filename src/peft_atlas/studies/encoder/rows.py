"""The rows that a run of the encoder study leaves in the result tables."""

from __future__ import annotations

from peft_atlas.models.encoder import TextClassifier, load_encoder, parameter_count
from peft_atlas.studies.encoder.jobs import NAME
from peft_atlas.studies.encoder.run import Part, Run, Trial
from peft_atlas.tables.schemas import ITEMS
from peft_atlas.training.divergence import METRICS, diverged_reason
from peft_atlas.training.history import History
from peft_atlas.training.rows import Row, epoch_row, finetuning_cost, method_size, run_row, stopped, trained
from peft_atlas.training.tuning import Selected, Tables


def rows_of_run(run: Run, selected: Selected) -> Tables:
    """Return a run's rows."""
    identity = _identity(run, selected.chosen)
    points = [_point(run, identity, epoch) for epoch in range(max(run.epochs, 1))]
    outcome = {} if run.history.diverged else {name: points[-1][name] for name in METRICS}
    ended = {
        **_status(run),
        **outcome,
        "edge": selected.edge,
        "validation_examples": len(run.part.rows("validation")) if _validated(run.history) else None,
        "test_examples": None if run.test is None else len(run.test.labels),
        "head_params": run.attached.head_params(),
        "embedding_similarity": run.similarity() if run.test is not None else None,
        "adapter_bytes": run.bytes,
    }
    total = parameter_count(run.attached.model)
    row = run_row(identity, ended, total_params=total, device=run.part.device, precision=run.part.precision)
    return Tables(
        [row],
        points,
        [finetuning_cost(identity["run_id"], run.history, run.epochs * run.part.config.train_examples)],
        _items(run, identity["run_id"]),
    )


def rows_of_refusal(part: Part, trial: Trial, reason: str) -> Tables:
    """Return the one row of a method that cannot be trained; ``trial`` is the run that would have been its first."""
    classifier = TextClassifier(load_encoder(part.model), len(part.texts.classes), trial.seed)
    identity = {
        **_cell(part, trial),
        "run_id": "/".join((NAME, trial.experiment, part.task, trial.setting.label, "refused")),
        "learning_rate": None,
    }
    ended = {"status": "refused", "reason": reason}
    row = run_row(identity, ended, total_params=parameter_count(classifier), device=part.device, precision=None)
    return Tables([row])


def _status(run: Run) -> Row:
    """Return how the run ended, and why where it did not end well."""
    if run.history.diverged:
        return {"status": "diverged", "reason": diverged_reason()}
    if run.epochs < run.part.config.epochs:
        return stopped(run.epochs, run.part.config.epochs)
    collapse = run.collapse()
    return {"status": "ok" if collapse is None else "collapsed", "reason": collapse}


def _validated(history: History) -> bool:
    return any(loss is not None for loss in history.validation_loss)


def _point(run: Run, identity: Row, epoch: int) -> Row:
    """Return what an epoch measured, counted from 0; the last one has the test split, where read."""
    last = epoch == run.part.config.epochs - 1 and run.test is not None
    test = {"test_loss": run.test.loss, "test_accuracy": run.test.accuracy} if last and run.test is not None else {}
    return epoch_row(identity, run.history, epoch, test)


def _items(run: Run, run_id: str) -> list[Row]:
    """Return which test texts the run classifies rightly."""
    correct = [] if run.test is None else run.test.correct.tolist()
    known = ({"run_id": run_id, "row": row, "correct": right} for row, right in enumerate(correct))
    return [{**ITEMS.blank(), **each} for each in known]


def _identity(run: Run, chosen: bool | None) -> Row:
    """Return the columns that name a run and its cell."""
    trainable = run.attached.adapter_params() + run.attached.head_params()
    return {
        **_cell(run.part, run.trial),
        "selected": chosen,
        **trained(trainable, run.full_params),
    }


def _cell(part: Part, trial: Trial) -> Row:
    """Return what is known of a run before it starts."""
    return {
        "run_id": trial.run_id(part.task),
        "study": NAME,
        "experiment": trial.experiment,
        "task": part.task,
        "model": part.config.model,
        "method": trial.setting.label,
        **method_size(trial.setting.method),
        "dropout": getattr(trial.setting.method, "lora_dropout", None),
        "setting": trial.setting.setting,
        "train_examples": part.config.train_examples,
        "learning_rate": trial.rate,
        "epochs": part.config.epochs,
        "seed": trial.seed,
    }
