"""The section on predicted and measured peaks of training memory, and what the planner's page says of its errors."""

from __future__ import annotations

import pandas as pd

from peft_atlas.planning.verdict import CANNOT_TELL, DOES_NOT_FIT, FITS
from peft_atlas.report.content import Block, Paragraph, Section, Table, table
from peft_atlas.report.material import Material

FAR = 0.2
_PRINTED = "predictions: predicted_gb, measured_gb, relative_error"


def memory_section(material: Material) -> Section:
    """Return the section: figure, errors by source and by method, pairs, and what cannot hold or be predicted."""
    rows = material.tables["predictions"]
    held = _held(rows)
    blocks: list[Block] = [
        Paragraph(f"{accuracy_in_words(rows)} {_out_of_memory(rows)}", _PRINTED),
        *material.figures_of(section="memory"),
        _errors("Errors of the predicted peak by source.", held, "source"),
        _errors("Errors of the predicted peak by method.", held, "method"),
        _pairs(rows),
        *_impossible(rows),
        _excluded(rows),
    ]
    return Section("memory", "Memory: predicted against measured", blocks)


def accuracy_in_words(rows: pd.DataFrame) -> str:
    """Return how far predicted peaks are from measured ones, in a sentence; ``rows`` of the contract predictions."""
    held = _held(rows)
    if held.empty:
        return "No measured peak can be compared with a prediction."
    errors = held["relative_error"].abs()
    # Runs that repeat a setting in later versions of the software have one prediction.
    distinct = held.assign(error=errors).groupby(["source", "model", "method", "predicted_gb"])["error"].median()
    inside = held["measured_gb"].between(held["low_gb"], held["high_gb"]).mean()
    return (
        f"Over {len(held)} measured peaks from {held['source'].nunique()} sources the median error is "
        f"{_percent(errors.median())} ({_percent(distinct.median())} over their {len(distinct)} distinct settings); "
        f"{_percent((errors <= FAR).mean())} are within {_percent(FAR, 0)}, and {_percent(inside)} within the 90 % "
        "interval, which rests on all other sources."
    )


def _held(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the runs whose printed peak can hold and is predicted."""
    return rows[rows["relative_error"].notna() & rows["finding"].isna()]


def _percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f} %"


def _out_of_memory(rows: pd.DataFrame) -> str:
    """Return what was predicted for the runs that ran out of memory on a known card."""
    lost = rows[rows["out_of_memory"].fillna(value=False) & rows["verdict"].notna()]
    if lost.empty:
        return ""
    counts = lost["verdict"].value_counts()
    said = ", ".join(f"“{verdict}” for {counts.get(verdict, 0)}" for verdict in (FITS, DOES_NOT_FIT, CANNOT_TELL))
    return f"For {len(lost)} runs that ran out of memory on a known card the planner says {said}."


def _errors(caption: str, held: pd.DataFrame, by: str) -> Table:
    """Tabulate errors in percent by source or method, the one with the most runs first."""
    known = held.assign(error=100 * held["relative_error"].abs(), signed=100 * held["relative_error"])
    known = known.assign(near=100 * (known["error"] <= 100 * FAR), card=known["measured_gb"])
    groups = known.groupby(by, sort=False)
    shown = groups.agg(
        runs=("error", "size"), median=("error", "median"), p90=("error", lambda part: part.quantile(0.9)),
        near=("near", "mean"), signed=("signed", "median"), least=("card", "min"), most=("card", "max"),
    )  # fmt: skip
    shown = shown.sort_values("runs", ascending=False, kind="stable").reset_index()
    names = {
        "median": "median error (%)", "p90": "90th percentile (%)", "near": f"within {100 * FAR:.0f} % (%)",
        "signed": "median, signed (%)", "least": "smallest peak (GB)", "most": "largest peak (GB)",
    }  # fmt: skip
    formats = dict.fromkeys(list(names.values()), ".1f") | {names["signed"]: "+.1f"}
    return table(caption, shown.rename(columns=names), formats)


def _pairs(rows: pd.DataFrame) -> Table:
    """Tabulate measured peaks of full fine-tuning and of LoRA at one setting of one source, the least saving first."""
    paired = rows[rows["full_gb"].notna()]
    keys = ["source", "model", "setting"]
    shown = paired.groupby(keys, sort=False).agg(
        runs=("record", "size"), full=("full_gb", "median"), lora=("measured_gb", "median")
    )
    shown = shown.assign(times=shown["full"] / shown["lora"]).sort_values("times").reset_index()
    names = {"full": "full fine-tuning (GB)", "lora": "LoRA (GB)", "times": "full over LoRA"}
    caption = (
        "Measured peaks of full fine-tuning and of LoRA by the same source, on the same GPU and at the same setting; "
        "medians where a setting ran several times."
    )
    formats = {"full fine-tuning (GB)": ".2f", "LoRA (GB)": ".2f", "full over LoRA": ".2f"}
    return table(caption, shown.rename(columns=names), formats)


def _impossible(rows: pd.DataFrame) -> list[Block]:
    """Tabulate the printed peaks that cannot hold, if there are any."""
    wrong = rows[rows["finding"].notna()]
    if wrong.empty:
        return []
    caption = (
        "Printed peaks that cannot hold as stated: they are below weights, gradients and moments of their own setting. "
        "They are in no error above."
    )
    names = {"measured_gb": "printed (GB)", "floor_gb": "needed at least (GB)", "predicted_gb": "predicted (GB)"}
    shown = wrong[["source", "record", "model", "method", "setting", *names]].rename(columns=names)
    return [table(caption, shown, dict.fromkeys(names.values(), ".2f"))]


def _excluded(rows: pd.DataFrame) -> Table:
    """Tabulate how many runs cannot be predicted, and why."""
    left = rows[rows["excluded"].notna()]
    # What names one run of one method is one reason: the method is not modelled.
    reason = left["excluded"].str.replace(r"^method \S+ \(.*\) is", "the method is", regex=True)
    reason = reason.str.replace(r"^method .* is", "the method is", regex=True)
    shown = left.assign(reason=reason).groupby("reason").agg(runs=("record", "size"), sources=("source", "nunique"))
    shown = shown.sort_values("runs", ascending=False, kind="stable").reset_index()
    return table(f"{len(left)} measured runs are not predicted.", shown)
