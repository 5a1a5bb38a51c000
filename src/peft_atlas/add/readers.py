"""Runs from three kinds of file: a result of peft's benchmark, a trainer's state, and a CSV file by contract.

Every reader returns rows of text by column of the contract ``added_runs``, each with its place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peft_atlas.errors import AtlasError
from peft_atlas.refresh.difference import columns_of
from peft_atlas.refresh.peft_results import BENCHMARKS, Benchmark, result_values
from peft_atlas.tables.added_schemas import ADDED_RUNS
from peft_atlas.tables.csv_text import header, read_text, records

COLUMNS = tuple(columns_of(ADDED_RUNS))
_REQUIRED = tuple(column.name for column in ADDED_RUNS.columns if column.required and column.name in COLUMNS)
# What a trainer's state does not hold.
_TOLD = ("task", "model", "method", "seed", "split")
# Names of the benchmark for what other runs call otherwise.
_METHODS = {"FULL": "full", "LORA": "LoRA", "ADALORA": "AdaLoRA", "IA3": "(IA)3", "OFT": "OFT", "BOFT": "BOFT"}
_SCORES = {"test_accuracy": "accuracy", "test_dino_similarity": "similarity"}


@dataclass(frozen=True)
class AddedRow:
    """A run as text by column, and where it was read: file, with the line where there are lines."""

    place: str
    fields: Mapping[str, str]


def read_runs(path: Path, options: Mapping[str, str]) -> list[AddedRow]:
    """Return the runs that a file holds.

    Parameters
    ----------
    path
        A CSV file, a trainer's ``trainer_state.json``, or a result file of peft's method comparison.
    options
        Values by column that hold for the whole file, for what it does not say itself.

    Raises
    ------
    AtlasError
        If the file is of another kind, was not finished, or lacks something that ``options`` does not give.
    """
    if path.suffix.lower() == ".csv":
        return _from_csv(path, options)
    try:
        content = json.loads(read_text(path))
    except ValueError as error:
        raise AtlasError(f"{path}: neither CSV nor JSON ({error})") from None
    try:
        if isinstance(content, dict) and "log_history" in content:
            return [AddedRow(str(path), _from_trainer(content, path, options))]
        if isinstance(content, dict) and {"run_info", "train_info", "meta_info"} <= content.keys():
            return [AddedRow(str(path), _from_benchmark(content, path, options))]
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        cause = f"{type(error).__name__} {error}"
        raise AtlasError(f"{path}: not as a trainer or peft's method comparison writes it ({cause})") from None
    raise AtlasError(
        f"{path}: neither a trainer's state (log_history) nor a result of peft's method comparison (run_info, "
        "train_info, meta_info)"
    )


def _from_csv(path: Path, options: Mapping[str, str]) -> list[AddedRow]:
    """Return the rows of a CSV file; columns may be in any order, and those that may be empty may be missing."""
    given = header(path)
    unknown = [name for name in given if name not in COLUMNS]
    if unknown:
        raise AtlasError(f"{path}:1: column {unknown[0]!r}: unknown; allowed: {', '.join(COLUMNS)}")
    missing = [name for name in _REQUIRED if name not in {*given, *options, "source"}]
    if missing:
        raise AtlasError(f"{path}:1: no column {missing[0]}; needed: {', '.join(_REQUIRED)}")
    always = {"source": path.name, **options}
    return [AddedRow(f"{path}:{line}", _whole({**always, **_known(fields)})) for line, fields in records(path, given)]


def _from_trainer(content: Mapping[str, Any], path: Path, options: Mapping[str, str]) -> dict[str, str]:
    """Return the last evaluation of a trainer; the best one would be chosen on the split that it is measured on."""
    missing = [f"--{name}" for name in _TOLD if name not in options]
    if missing:
        raise AtlasError(f"{path}: a trainer's state does not say {', '.join(missing)}: give these options")
    metric = options.get("metric", "accuracy")
    logs = [entry for entry in content["log_history"] if isinstance(entry, dict)]
    scores = [entry[f"eval_{metric}"] for entry in logs if f"eval_{metric}" in entry]
    if not scores:
        found = sorted({name.removeprefix("eval_") for entry in logs for name in entry if name.startswith("eval_")})
        raise AtlasError(f"{path}: no eval_{metric}; --metric can be one of {', '.join(found) or 'none, it has none'}")
    rates = [entry["learning_rate"] for entry in logs if "learning_rate" in entry]
    seconds = [entry["train_runtime"] for entry in logs if "train_runtime" in entry]
    read = {
        "metric": metric,
        "score": scores[-1],
        "steps": content.get("global_step"),
        "batch_size": content.get("train_batch_size"),
        "learning_rate": max(rates, default=None),
        "train_seconds": seconds[-1] if seconds else None,
        "source": path.name,
    }
    return _whole({**_texts(read), **options})


def _from_benchmark(content: Mapping[str, Any], path: Path, options: Mapping[str, str]) -> dict[str, str]:
    """Return a run of peft's method comparison."""
    benchmark = _benchmark_of(content, path)
    values = result_values(json.dumps(content), str(path), benchmark)
    if values["status"] != "success":
        raise AtlasError(f"{path}: status = {values['status']!r}: a run that did not end cannot be compared")
    read = {
        "task": benchmark.name,
        "model": values["base_model"],
        "method": _METHODS.get(values["peft_type"], values["peft_type"]),
        "setting": values["experiment"],
        "metric": _SCORES[benchmark.metric.replace(" ", "_")],
        "split": "test",
        "train_seconds": values["step_seconds_sum"],
        "peak_memory_bytes": values["memory_max_reserved_bytes"],
        "file_bytes": values["checkpoint_bytes"],
        "software": f"transformers {values['transformers']}, torch {values['torch']}, peft {values['peft']}",
        "source": f"{path.name}, {values['run_date']}",
    }
    same = ("rank", "learning_rate", "seed", "score", "steps", "batch_size", "trainable_params", "total_params")
    return _whole({**_texts({**{name: values[name] for name in same}, **read}), **options})


def _benchmark_of(content: Mapping[str, Any], path: Path) -> Benchmark:
    """Return the benchmark whose metric the last entry of a result holds."""
    metrics: Sequence[Any] = content["train_info"].get("metrics") or [{}]
    for benchmark in BENCHMARKS:
        if benchmark.metric in metrics[-1]:
            return benchmark
    known = ", ".join(f"{each.metric} ({each.name})" for each in BENCHMARKS)
    raise AtlasError(f"{path}: cannot be compared, its last metrics have none of: {known}")


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: "" if value is None else str(value) for name, value in values.items()}


def _known(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value}


def _whole(values: Mapping[str, str]) -> dict[str, str]:
    return {name: values.get(name, "") for name in COLUMNS}
