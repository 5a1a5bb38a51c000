"""The rows that the runs of the adaptation study leave in the result tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from peft_atlas.methods.attach import Attached
from peft_atlas.methods.storage import adapter_bytes
from peft_atlas.studies.adaptation.cells import Cell, Study, Target
from peft_atlas.studies.adaptation.jobs import NAME
from peft_atlas.tables.schemas import COSTS, CURVES
from peft_atlas.training.divergence import METRICS, diverged_reason, first_divergence, known, outcome
from peft_atlas.training.population import Curves
from peft_atlas.training.resource_usage import Spent
from peft_atlas.training.rows import Row, curve_row, method_size, run_row, trained


def pretraining_rows(study: Study, curves: Curves, epochs: int) -> tuple[list[Row], list[Row]]:
    """Return the runs of pretraining and their curves, one run per seed."""
    values = {name: getattr(curves, name).numpy() for name in METRICS}
    runs, points = [], []
    for index, seed in enumerate(study.seeds):
        identity = _pretraining_identity(study, seed)
        history = [{name: values[name][epoch, index, 0] for name in METRICS} for epoch in range(epochs)]
        diverged = first_divergence(row["train_loss"] for row in history)
        ok = [diverged is None or epoch < diverged for epoch in range(1, epochs + 1)]
        points += [curve_row(identity, epoch, known(row, ok=ok[epoch - 1])) for epoch, row in enumerate(history, 1)]
        ended = {**outcome(diverged), **known(history[-1], ok=ok[-1])}
        runs.append(run_row(identity, ended, total_params=study.shape.params(), device=study.device))
    return runs, points


def cell_rows(
    study: Study, target: Target, cell: Cell, epochs: int, attached: Attached, readings: Sequence[Mapping[str, Any]]
) -> list[Row]:
    """Return the runs of a cell, one per reading: a seed at a learning rate, with what was measured of it."""
    own = study.shape.params()
    adapter, head = attached.adapter_params(), attached.head_params()
    sizes = {"head_params": head, "adapter_bytes": adapter_bytes(attached)}
    total = own + (adapter if attached.targets() else 0)
    return [
        run_row(
            {
                **_identity(study, target, cell, epochs, row["seed"], row["learning_rate"]),
                **trained(adapter + head, own),
            },
            {**sizes, **row},
            total_params=total,
            device=study.device,
        )
        for row in readings
    ]


def unadapted_rows(study: Study, target: Target, cell: Cell, read: Mapping[str, Tensor], before: Tensor) -> list[Row]:
    """Return the base as it is on the target task, a run per seed that trains nothing.

    Parameters
    ----------
    study, target, cell
        What the rows belong to.
    read
        Loss and accuracy on validation and test by the name of their column, each of shape ``(seeds,)``.
    before
        Accuracy on the source task, shape ``(seeds,)``.
    """
    return [
        run_row(
            _identity(study, target, cell, 0, seed, None),
            {
                **trained(0, study.shape.params()),
                **outcome(None),
                **{name: float(values[index]) for name, values in read.items()},
                "validation_examples": study.config.data.validation_examples,
                "test_examples": study.config.data.test_examples,
                "source_accuracy_before": float(before[index]),
                "source_accuracy": float(before[index]),
            },
            total_params=study.shape.params(),
            device=study.device,
        )
        for index, seed in enumerate(study.seeds)
    ]


def readings(study: Study, rates: Sequence[float], curves: Curves, after: Tensor, before: Tensor) -> list[Row]:
    """Return what was measured of each seed and rate, with test at every rate and none chosen yet; see `choose`.

    Parameters
    ----------
    study
        Settings and seeds.
    rates
        Learning rates that trained together.
    curves
        What training them gave.
    after, before
        Accuracy on the source task after training, shape ``(seeds, rates)``, and before, shape ``(seeds,)``.
    """
    values = {name: getattr(curves, name)[-1].numpy() for name in METRICS}
    read = []
    for index, seed in enumerate(study.seeds):
        for place, rate in enumerate(rates):
            numbers = {name: values[name][index, place] for name in METRICS}
            ok = first_divergence([numbers["train_loss"]]) is None
            read.append(
                {
                    "seed": seed,
                    "learning_rate": rate,
                    "validation_examples": study.config.data.validation_examples,
                    "test_examples": study.config.data.test_examples,
                    **_ended(ok=ok),
                    **known(numbers, ok=ok),
                    "source_accuracy_before": float(before[index]),
                    "source_accuracy": float(after[index, place]) if ok else None,
                }
            )
    return read


def choose(rows: Sequence[Row], chosen: float) -> None:
    """Say in the runs of a cell which rate was chosen and whether it is an end of those tried; drop the others' test.

    What is kept of the source task stays at every rate, since nothing is chosen by it.
    """
    rates = {row["learning_rate"] for row in rows}
    for row in rows:
        row["selected"] = row["learning_rate"] == chosen
        if not row["selected"]:
            row.update(dict.fromkeys(("test_loss", "test_accuracy", "test_examples")))
        elif len(rates) > 1:
            row["edge"] = chosen in (min(rates), max(rates))


def _ended(*, ok: bool) -> Row:
    """Return status and reason of a run whose loss was read at its end."""
    if ok:
        return outcome(None)
    return {"status": "diverged", "reason": diverged_reason(loss="training loss of the last epoch")}


def cost_rows(runs: Sequence[Row], spent: Spent) -> list[Row]:
    """Return what each of the runs that trained together cost: an equal share of the time, and all of the memory.

    The time holds reading validation and test once; the memory is the whole process's, with the data.
    """
    seconds = spent.seconds / len(runs)
    return [
        {
            **COSTS.blank(),
            "rule": "adapt",
            "job": run["run_id"],
            "run_id": run["run_id"],
            "cpu_seconds": spent.cpu_seconds / len(runs),
            "train_seconds": seconds,
            "examples_per_second": run["epochs"] * run["train_examples"] / seconds,
            "peak_memory_mb": spent.peak_megabytes,
        }
        for run in runs
    ]


def last_points(runs: Sequence[Row]) -> list[Row]:
    """Return the last point of each run's learning curve; the others are not kept."""
    names = set(CURVES.schema().names)
    return [{**{name: value for name, value in run.items() if name in names}, "epoch": run["epochs"]} for run in runs]


def _model_name(study: Study) -> str:
    shape = study.shape
    return f"MLP {shape.in_features}-{shape.hidden_features}-{shape.classes}"


def _identity(study: Study, target: Target, cell: Cell, epochs: int, seed: int, rate: float | None) -> Row:
    """Return the columns that name a run and its cell."""
    size = method_size(cell.method)
    named = {
        **{"shift": target.shift_rank, "examples": target.train_examples},
        **{"rank": size["rank"], "alpha": size["alpha"], "rate": rate},
    }
    setting = "/".join(f"{key}={value:g}" for key, value in named.items() if value is not None)
    rule = "/rslora" if getattr(cell.method, "use_rslora", False) else ""
    placed = f"/{target.kind or 'first'}/{cell.setting}" if cell.experiment == "placement" else ""
    return {
        "run_id": f"{NAME}/{cell.experiment}/{cell.label}/{setting}{rule}{placed}/seed={seed}",
        "study": NAME,
        "experiment": cell.experiment,
        "task": target.name,
        "model": _model_name(study),
        "method": cell.label,
        "setting": cell.setting,
        **size,
        "dropout": None if size["alpha"] is None else 0.0,
        "shift_rank": target.shift_rank,
        "train_examples": target.train_examples,
        "epochs": epochs,
        "seed": seed,
    }


def _pretraining_identity(study: Study, seed: int) -> Row:
    """Return the columns that name a run of pretraining."""
    config, params = study.config, study.shape.params()
    return {
        "run_id": f"{NAME}/pretraining/full/seed={seed}",
        "study": NAME,
        "experiment": "pretraining",
        "task": "source",
        "model": _model_name(study),
        "method": "full",
        "learning_rate": config.pretraining.learning_rate,
        "train_examples": config.data.source_examples,
        "epochs": config.pretraining.epochs,
        **trained(params, params),
        "seed": seed,
    }
