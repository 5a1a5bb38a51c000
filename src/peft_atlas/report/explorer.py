"""Data for the explorer: every cell measured here, added or published, with all its known metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf
from typing import Any

import pandas as pd

from peft_atlas.analysis.comparison import MEASURED, task_label
from peft_atlas.analysis.statistics import Estimate, mean_interval
from peft_atlas.config import FigureStyle
from peft_atlas.figures.style import CONTROLS, METHODS, method_mark
from peft_atlas.report.content import Explorer
from peft_atlas.report.material import Material
from peft_atlas.report.method_rows import FULL
from peft_atlas.studies.study import Study

# What a run records besides accuracy, and what its mean can be.
_POSSIBLE = {
    "trainable_params": (0, inf),
    "forgetting": (-100, 100),
    "adapter_bytes": (0, inf),
    "learning_rate": (0, inf),
}
# The columns that identify a cell of a study, and those that find its comparison with full fine-tuning.
_KEYS = ["task", "method", "setting", "rank", "alpha"]
_COMPARED = [*_KEYS, "shift_rank", "train_examples"]


@dataclass(frozen=True)
class Metric:
    """A quantity to plot: name, unit, kind of axis, and whether lower is better; None where neither end is."""

    name: str
    unit: str
    log: bool
    lower_is_better: bool | None
    about: str


METRICS = {
    "params_percent": Metric("Trainable parameters", "%", True, True, "share of the full model's parameters"),
    "trainable_params": Metric("Trainable parameters, count", "", True, True, "parameters that are trained"),
    "accuracy": Metric("Accuracy", "%", False, False, "test accuracy after the last epoch, or as printed or added"),
    "seconds": Metric(
        "Training time", "s", True, True, "training seconds per run, or its share of the block or job it was trained in"
    ),
    "memory_bytes": Metric("Memory", "bytes", True, True, "peak of the job, or recomputed: weights to optimiser"),
    "forgetting": Metric("Forgetting", "points", False, True, "accuracy lost on the source task by adapting"),
    "adapter_bytes": Metric("Adapter file", "bytes", True, True, "size of the saved adapter"),
    "learning_rate": Metric("Best learning rate", "", True, None, "the rate that validation chose, or the only one"),
    "rank": Metric("Rank", "", True, None, "inner width of the update"),
}


def explorer(material: Material, studies: Sequence[Study]) -> Explorer:
    """Collect the explorer's points, the metrics they have, and each method's colour and marker."""
    points = [*_measured(material, studies), *_of_studies(material, studies), *_published(material)]
    used = [key for key in METRICS if any(point["values"].get(key) is not None for point in points)]
    methods = list(dict.fromkeys(point["method"] for point in points))
    known = [*METHODS, *CONTROLS]
    methods.sort(key=lambda name: (known.index(name) if name in known else len(known), name))
    marks = {name: method_mark(name, FigureStyle()) for name in methods}
    return Explorer(
        {
            "metrics": [{"key": key, **asdict(METRICS[key])} for key in used],
            "methods": [{"name": name, **asdict(mark)} for name, mark in marks.items()],
            "points": points,
            "start": _fullest_tasks(points) | {study.name: study.first_task for study in studies if study.first_task},
        }
    )


def _fullest_tasks(points: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the task of each study that has the most points, with which a panel opens; of equal ones the first."""
    counts: dict[str, Counter[str]] = {}
    for point in points:
        counts.setdefault(point["study"], Counter())[point["task"]] += 1
    return {study: tasks.most_common(1)[0][0] for study, tasks in counts.items()}


def _measured(material: Material, studies: Sequence[Study]) -> list[dict[str, Any]]:
    """Turn the measured cells into points."""
    points = []
    for study in studies:
        cells = material.cells_of(study.name) if study.name in material.studies else pd.DataFrame()
        if cells.empty:
            continue
        costs, means = _costs(study, material), _of_runs(material, study.name)
        differences = _against_full(material, study.name)
        for row in cells.to_dict("records"):
            key = _key(row)
            values = {"accuracy": _number(row["value"]), "params_percent": _number(row["params_percent"])}
            values |= costs.get(key, {}) | {"rank": _number(row["rank"])}
            intervals = {"accuracy": (_number(row["low"]), _number(row["high"]))}
            for name, estimate in means.get(key, {}).items():
                values[name] = _number(estimate.mean)
                if name == "forgetting":
                    intervals[name] = (_number(estimate.low), _number(estimate.high))
            seeds = f"{int(row['n'])} seeds" if _known(row["n"]) else "no seeds"
            source = f"Measured here, {seeds}, {row['interval']}"
            own = point(row, study.name, values, intervals, source, measured=True)
            points.append(own | ({"against_full": differences[key]} if key in differences else {}))
    return points


def _against_full(material: Material, study: str) -> dict[tuple[str, ...], list[float]]:
    """Return each cell's paired difference from full fine-tuning and its interval, in points; full's own is 0.

    Two cells of a task compare by these too: what they differ by is bounded by their differences from one reference.
    """
    runs, contrasts = material.tables["runs"], material.tables["contrasts"]
    own = runs[(runs["study"] == study) & runs["selected"].fillna(value=True)]
    cells = own.assign(label=task_label(own)).drop_duplicates(["label", *_COMPARED])
    rows = contrasts[(contrasts["study"] == study) & (contrasts["metric"] == "test_accuracy")]
    rows = rows[rows["reference"].str.startswith("full fine-tuning") & rows["low"].notna() & rows["high"].notna()]
    joined = cells[["label", *_COMPARED]].merge(
        rows[["question", *_COMPARED, "difference", "low", "high"]], on=_COMPARED
    )
    # A comparison names no experiment: it belongs to that of which its question compares most cells.
    matched = joined.groupby(["label", "question"])["method"].transform("size")
    most = matched.groupby([joined["question"], joined["task"], joined["train_examples"]]).transform("max")
    joined = joined[matched == most].assign(task=joined["label"])
    found = {
        _key(row): [100 * row[name] for name in ("difference", "low", "high")] for row in joined.to_dict("records")
    }
    full = cells[(cells["method"] == FULL) & cells["setting"].isna() & cells["label"].isin(joined["label"])]
    found |= {_key(row): [0.0, 0.0, 0.0] for row in full.assign(task=full["label"]).to_dict("records")}
    return {key: [round(value, 3) for value in values] for key, values in found.items()}


def _of_studies(material: Material, studies: Sequence[Study]) -> Iterator[dict[str, Any]]:
    """Yield the points that studies give themselves, of cells that are not in the table ``comparison``."""
    for study in studies:
        if study.name in material.studies:
            give = getattr(study.part("section"), "explored", None)
            yield from give(material) if give else ()


def _key(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Identify a cell by strings, so that missing values compare equal."""
    return tuple("" if not _known(row[name]) else str(row[name]) for name in _KEYS)


def _known(value: Any) -> bool:
    return value is not None and not pd.isna(value)


def _number(value: Any) -> float | None:
    return round(float(value), 6) if _known(value) else None


def _costs(study: Study, material: Material) -> dict[tuple[str, ...], dict[str, float | None]]:
    """Look up seconds and memory per cell, if the study reports costs."""
    give = getattr(study.part("section"), "costs", None)
    if give is None:
        return {}
    costs = give(material)
    return {
        _key(row): {name: _number(row[name]) for name in ("seconds", "memory_bytes")}
        for row in costs.to_dict("records")
    }


def _of_runs(material: Material, study: str) -> dict[tuple[str, ...], dict[str, Estimate]]:
    """Average, over each cell's seeds, what its runs record besides accuracy."""
    runs = material.tables["runs"]
    own = runs[(runs["study"] == study) & (runs["status"] == "ok") & runs["selected"].fillna(value=True)]
    own = own.assign(
        task=task_label(own),
        forgetting=100 * (own["source_accuracy_before"].astype(float) - own["source_accuracy"].astype(float)),
    )
    found: dict[tuple[str, ...], dict[str, Estimate]] = {}
    for key, rows in own.groupby(_KEYS, dropna=False):
        known = [name for name in _POSSIBLE if rows[name].notna().any()]
        cell = _key(dict(zip(_KEYS, key, strict=True)))
        found[cell] = {
            name: mean_interval(rows[name].astype(float), material.confidence).within(*_POSSIBLE[name])
            for name in known
        }
    return found


def _published(material: Material) -> list[dict[str, Any]]:
    """Turn published accuracies into points, with counts and memory if a known configuration matches."""
    comparison = material.tables["comparison"]
    rows = comparison[comparison["source"] != MEASURED]
    published = material.tables["published"]
    titles = published.drop_duplicates("source").set_index("source")[["source_title", "source_version"]]
    points = []
    for row in rows.to_dict("records"):
        title, version = titles.loc[row["source"]]
        where = f"{title}, {version}" if _known(version) else str(title)
        values = {"accuracy": _number(row["value"]), "params_percent": _number(row["params_percent"])}
        values |= _recomputed(material, row)
        points.append(point(row, "literature", values, {}, f"{row['source']}: {where}; no interval printed"))
    return points


def _recomputed(material: Material, row: Mapping[str, Any]) -> dict[str, float | None]:
    """Take count and memory from the documented configuration whose percentage is within 2 % of the printed one."""
    parameters, memory = material.tables["parameters"], material.tables["memory"]
    if not _known(row["params_percent"]):
        return {}
    same = parameters[(parameters["base_model"] == row["base_model"]) & (parameters["method"] == row["method"])]
    near = (same["percent_with_adapter"] / row["params_percent"] - 1).abs()
    if near.empty or near.min() > 0.02:
        return {}
    best = same.loc[near.idxmin()]
    bytes_ = memory[
        (memory["base_model"] == row["base_model"])
        & (memory["method"] == row["method"])
        & (memory["trainable_params"] == best["trainable_params"])
        & (memory["precision"] == "bf16_mixed")
    ]["total_bytes"]
    return {
        "trainable_params": float(best["trainable_params"]),
        "memory_bytes": _number(bytes_.iloc[0]) if len(bytes_) else None,
    }


def point(
    row: Mapping[str, Any],
    study: str,
    values: Mapping[str, float | None],
    intervals: Mapping[str, tuple[float | None, float | None]],
    source: str,
    *,
    measured: bool = False,
) -> dict[str, Any]:
    """Return one point, without the metrics that are unknown.

    Parameters
    ----------
    row
        What was run: ``task``, ``base_model``, ``method``, ``setting``, ``rank``, ``alpha``; null where there is none.
    study
        The study that the point is shown with.
    values
        Value of each of `METRICS`, in its unit; None where it is not known.
    intervals
        Both ends of the interval of a value; None where there is none.
    source
        Where the values come from, and what the intervals are.
    measured
        Whether it was measured in this run; other points are drawn open.
    """
    rank = f"r = {int(row['rank'])}" if _known(row["rank"]) else ""
    alpha = f"α = {row['alpha']:g}" if _known(row["alpha"]) else ""
    setting = str(row["setting"]) if _known(row["setting"]) else ""
    return {
        "study": study,
        "task": str(row["task"]).removeprefix(f"{study}: "),
        "model": row["base_model"],
        "method": row["method"],
        "setting": ", ".join(filter(None, (rank, alpha, setting))),
        "source": source,
        "measured": measured,
        "values": {name: value for name, value in values.items() if value is not None},
        "intervals": {name: ends for name, ends in intervals.items() if None not in ends},
    }
