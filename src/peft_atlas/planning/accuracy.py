"""Predicted against measured peaks, as a table; imports no torch.

Nothing is fitted to measured peaks but the interval and the two rules of `peft_atlas.planning.stacks` that were read
off litgpt's resource tables. In ``predicted_gb`` and the interval of a row, nothing comes from the row's own source:
the interval leaves its errors out, and the two rules are taken back on the table that they were read off.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median

import pandas as pd

from peft_atlas.planning.intervals import Factor, breaks_floor, factors, group_of, interval_from, interval_rows, usable
from peft_atlas.planning.measured import OBSERVED_ON, Run, measured_runs, predict, stated_floor
from peft_atlas.planning.verdict import verdict

_TYPES = {
    **dict.fromkeys(("source", "record", "model", "method", "setting", "verdict", "measure", "moment"), "string"),
    **dict.fromkeys(("fitted_without_source", "assumed", "finding", "origin"), "string"),
    **dict.fromkeys(("predicted_gb", "low_gb", "high_gb", "measured_gb", "card_gb", "relative_error"), "Float64"),
    **dict.fromkeys(("predicted_with_all_rules_gb", "floor_gb", "full_gb"), "Float64"),
    "out_of_memory": "boolean",
}
COLUMNS = (
    "source",
    "record",
    "model",
    "method",
    "setting",
    "predicted_gb",
    "low_gb",
    "high_gb",
    "measured_gb",
    "out_of_memory",
    "verdict",
    "fitted_without_source",
    "relative_error",
    "card_gb",
    "measure",
    "moment",
    "predicted_with_all_rules_gb",
    "floor_gb",
    "finding",
    "full_gb",
    "assumed",
    "origin",
)


def predicted_against_measured(path: Path | None = None) -> pd.DataFrame:
    """Return one row for every measured run that can be predicted, of the shipped table or of another like it.

    Returns
    -------
    pandas.DataFrame
        source, record, model, method, setting; predicted_gb, low_gb, high_gb, measured_gb and card_gb (10^9 bytes,
        the card's as on its label); out_of_memory; verdict on the card where it is known; fitted_without_source
        (what the interval rests on); relative_error (predicted / measured - 1); measure (allocated, reserved or
        unstated); moment of the peak; predicted_with_all_rules_gb (with rules read off the same source); floor_gb and
        finding where a printed peak cannot hold; full_gb (of a run with LoRA: what full fine-tuning took at the same
        setting of the same source, the median where it ran several times); assumed (what the source leaves open);
        origin.
    """
    runs = [run for run in measured_runs(path) if not run.excluded]
    known, full = factors(), _full_peaks(runs)
    rows = [_row(run, known) | {"full_gb": full.get(_setting_of(run)) if _is_paired(run) else None} for run in runs]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(_TYPES)


def _full_peaks(runs: Iterable[Run]) -> Mapping[tuple[object, ...], float]:
    """Return the median measured peak of full fine-tuning at each setting of each source."""
    peaks: dict[tuple[object, ...], list[float]] = defaultdict(list)
    for run in runs:
        if run.method == "full" and usable(run) and run.measured_gb is not None:
            peaks[_setting_of(run)].append(run.measured_gb)
    return {setting: median(found) for setting, found in peaks.items()}


def _is_paired(run: Run) -> bool:
    """Return whether a run is one of LoRA, over a base that is not quantised, and prints a peak."""
    assert run.settings is not None
    return run.method == "lora" and run.settings.quantization == "none" and usable(run)


def _setting_of(run: Run) -> tuple[object, ...]:
    """Return what two runs share that differ in the method alone; the adapter's own settings are the method's."""
    assert run.settings is not None
    settings = replace(run.settings, adapter_dtype="fp32", dropout=0.0)
    return run.source, run.model, run.gpu_gb, run.measure, settings


def excluded_runs(path: Path | None = None) -> pd.DataFrame:
    """Return the measured runs that cannot be predicted: what they are, measured_gb, reason and origin."""
    runs = [run for run in measured_runs(path) if run.excluded]
    rows = [(run.source, run.record, run.model, run.method, run.measured_gb, run.excluded, run.origin) for run in runs]
    return pd.DataFrame(rows, columns=["source", "record", "model", "method", "measured_gb", "reason", "origin"])


def error_table(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return errors of the rows that print a peak that can hold: runs, median and 90th percentile of the absolute
    relative error, share within 20 %, share within the interval, and the median of the signed error.
    """  # noqa: D205
    known = table[table["measured_gb"].notna() & table["finding"].eq("")].copy()
    known["absolute"] = known["relative_error"].abs()
    known["within"] = known["measured_gb"].between(known["low_gb"], known["high_gb"])
    known["near"] = known["absolute"] <= 0.2
    groups = known.groupby(by) if by else known.groupby(lambda _: "all")
    return groups.agg(
        runs=("absolute", "size"), median=("absolute", "median"), p90=("absolute", lambda part: part.quantile(0.9)),
        within_20_percent=("near", "mean"), within_interval=("within", "mean"), bias=("relative_error", "median"),
    )  # fmt: skip


def _row(run: Run, known: tuple[Factor, ...]) -> dict[str, object]:
    assert run.settings is not None
    own = run.source in OBSERVED_ON
    moment = predict(run, observed=not own)
    predicted = moment.parts.total / 1e9
    interval = interval_from(known, group_of(run.settings.quantization), run.source)
    low, high = predicted * interval.low, predicted * interval.high
    return {
        "source": run.source, "record": run.record, "model": run.model, "method": run.method, "setting": _setting(run),
        "predicted_gb": predicted, "low_gb": low, "high_gb": high, "measured_gb": run.measured_gb,
        "out_of_memory": run.out_of_memory,
        "verdict": verdict(low * 1e9, high * 1e9, run.gpu_gb) if run.gpu_gb else None,
        "fitted_without_source": f"interval from {interval.runs} runs of {interval.sources} other sources"
        + ("; rules read off this source taken back" if own else ""),
        "relative_error": predicted / run.measured_gb - 1 if run.measured_gb else None, "card_gb": run.gpu_gb,
        "measure": run.measure, "moment": moment.name,
        "predicted_with_all_rules_gb": predict(run).parts.total / 1e9, "assumed": run.assumed, "origin": run.origin,
    } | _finding(run)  # fmt: skip


def _finding(run: Run) -> dict[str, object]:
    """Return what there is to say of a printed peak that cannot hold."""
    if not breaks_floor(run):
        return {"floor_gb": None, "finding": ""}
    floor = stated_floor(run) / 1e9
    return {
        "floor_gb": floor,
        "finding": f"printed {run.measured_gb:.2f} GB; weights, gradients and moments as stated take {floor:.2f} GB",
    }


def _setting(run: Run) -> str:
    """Return the settings of a run as a line to read."""
    settings = run.settings
    assert settings is not None
    base = settings.precision if settings.quantization == "none" else settings.quantization
    words = [f"{settings.micro_batch} x {settings.sequence} tokens", base, settings.optimizer, settings.stack]
    words += [f"rank {run.rank}"] if run.rank else []
    return ", ".join(
        [
            *words,
            *(["checkpointing"] if settings.checkpointing else []),
            *(["on " + " ".join(run.targets)] if run.targets else []),
        ]
    )


def write_intervals(path: Path) -> None:
    """Write the table of intervals that the package ships; run it after a change of the closed form or of the runs."""
    rows = interval_rows()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
