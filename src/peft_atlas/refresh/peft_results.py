"""Rows of the contract ``benchmark_runs`` from the result files of peft's method comparison."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from peft_atlas.errors import AtlasError
from peft_atlas.refresh.git_history import Clone, Version

REPOSITORY = "huggingface/peft"
_FOLDER = "method_comparison"
Row = dict[str, str]


@dataclass(frozen=True)
class Benchmark:
    """One of the benchmarks: its folder, the CSV file that holds its runs, and the metric of its test set."""

    name: str
    table: str
    metric: str

    @property
    def results(self) -> str:
        """Return the folder of its results."""
        return f"{_FOLDER}/{self.name}/results"

    @property
    def experiments(self) -> str:
        """Return the folder of its experiments."""
        return f"{_FOLDER}/{self.name}/experiments"


BENCHMARKS = (
    Benchmark("MetaMathQA", "metamathqa.csv", "test accuracy"),
    Benchmark("image-gen", "image_generation.csv", "test dino_similarity"),
)


def imported_rows(clone: Clone, benchmark: Benchmark) -> list[Row]:
    """Return every run that the history of a clone holds, as text, by experiment and date; the first commit of each.

    Raises
    ------
    AtlasError
        If a result file is not as the benchmark writes it; the message names commit and path.
    """
    now = set(clone.now(benchmark.results))
    rows: dict[tuple[str, str], Row] = {}
    last: dict[str, tuple[str, str]] = {}
    for version in clone.versions(benchmark.results):
        row = _row(version, benchmark)
        key = (row["experiment"], row["run_date"])
        # A file that was rewritten, with other keys for example, is the same run.
        rows.setdefault(key, row)
        last[version.path] = key
    newest = {key for path, key in last.items() if path in now}
    for key, row in rows.items():
        row["in_newest_commit"] = str(key in newest).lower()
    return [rows[key] for key in sorted(rows)]


def without_result(clone: Clone, benchmark: Benchmark) -> list[str]:
    """Return the experiments that the newest commit describes and holds no result of."""
    parts = [PurePosixPath(path).relative_to(benchmark.experiments).parts for path in clone.now(benchmark.experiments)]
    described = {"/".join(each[:2]) for each in parts if len(each) > 2}
    found = {PurePosixPath(path).stem.replace("--", "/", 1) for path in clone.now(benchmark.results)}
    return sorted(described - found)


def _row(version: Version, benchmark: Benchmark) -> Row:
    """Return one run as a row of text; what a file does not have is empty."""
    place = f"{version.commit[:12]}:{version.path}"
    values = result_values(version.text, place, benchmark)
    return {
        "benchmark": benchmark.name,
        **{name: _text(value) for name, value in values.items()},
        "metric": benchmark.metric.replace(" ", "_"),
        "pull_request": "",
        "repository": REPOSITORY,
        "path": version.path,
        "commit": version.commit,
    }


def result_values(text: str, place: str, benchmark: Benchmark) -> dict[str, Any]:
    """Return the values of a result file by column of the contract ``benchmark_runs``, as far as the file has them.

    Raises
    ------
    AtlasError
        If the text is not as the benchmark writes it; the message begins with the place.
    """
    try:
        content = json.loads(text)
        values = _values(content["run_info"], content["train_info"], content["meta_info"], benchmark)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise AtlasError(f"{place}: not a result of {benchmark.name}: {type(error).__name__} {error}") from None
    if not values["experiment"] or not values["run_date"]:
        raise AtlasError(f"{place}: without experiment_name or created_at; a result of {benchmark.name} has both")
    return values


def _values(
    run: Mapping[str, Any], train: Mapping[str, Any], meta: Mapping[str, Any], benchmark: Benchmark
) -> dict[str, Any]:
    """Return the values of a run by column."""
    settings, adapter = run["train_config"], run["peft_config"] or {}
    optimizer, last = settings["optimizer_kwargs"], train["metrics"][-1]
    packages, system = meta["package_info"], meta["system_info"]
    windows = train["metrics"][:-1]
    # Until July 2025 the keys named the GPU's interface.
    memory = {key.removeprefix("cuda_").removeprefix("accelerator_"): value for key, value in train.items()}
    return {
        "experiment": run["experiment_name"],
        "run_date": run["created_at"],
        "peft_type": adapter.get("peft_type", "FULL"),
        "base_model": settings["model_id"],
        "dtype": settings["dtype"],
        "rank": adapter.get("r"),
        "alpha": adapter.get("lora_alpha", adapter.get("alpha")),
        "target_modules": _modules(adapter.get("target_modules")),
        "use_rslora": adapter.get("use_rslora"),
        "use_dora": adapter.get("use_dora"),
        "learning_rate": optimizer["lr"],
        "weight_decay": optimizer.get("weight_decay"),
        "lr_scheduler": settings.get("lr_scheduler"),
        "steps": settings["max_steps"],
        "batch_size": settings["batch_size"],
        "seed": settings["seed"],
        "gradient_checkpointing": settings.get("use_gc"),
        "autocast_adapter_dtype": settings.get("autocast_adapter_dtype"),
        "gpu": system.get("accelerator", system.get("gpu")),
        "transformers": packages["transformers-version"],
        "torch": packages["torch-version"],
        "peft": packages["peft-version"],
        "score": last[benchmark.metric],
        "forgetting": last.get("forgetting"),
        "train_loss": last["train loss"],
        "trainable_params": train.get("num_trainable_params"),
        "total_params": train.get("num_total_params"),
        "memory_max_reserved_bytes": memory.get("memory_max"),
        "memory_reserved_p99_bytes": memory.get("memory_reserved_99th"),
        "train_seconds": train["train_time"],
        "step_seconds_sum": sum(window["train time"] for window in windows),
        "eval_seconds_sum": sum(window["eval time"] for window in windows),
        "checkpoint_bytes": train.get("file_size"),
        "status": train["status"],
    }


def _modules(modules: Any) -> str | None:
    """Return the names of adapted modules in a fixed order; files differ in the order alone."""
    return "|".join(sorted(modules)) if isinstance(modules, list) else modules


def _text(value: Any) -> str:
    """Return a value as the CSV files write it."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
