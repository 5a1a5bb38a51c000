"""The decoder study in the report: of this run or of the released one, which its first sentence says."""

from __future__ import annotations

from typing import Any

import pandas as pd

from peft_atlas.figures.style import METHODS
from peft_atlas.report.content import Block, Paragraph, table
from peft_atlas.report.material import Material
from peft_atlas.report.method_rows import ComparedTask, measured_rows
from peft_atlas.report.tables import costs_of
from peft_atlas.studies.decoder.cells import ACCURACY, FORGOTTEN, row_name
from peft_atlas.studies.decoder.contrasts import AGAINST_FULL, chosen_runs
from peft_atlas.studies.decoder.data.items import ALL_ROWS
from peft_atlas.studies.decoder.description import STUDY
from peft_atlas.studies.decoder.packaged import PACKAGED_MODEL, task_in_words
from peft_atlas.studies.decoder.tabulate import HERE

_FROM_4_BITS = f" {PACKAGED_MODEL} is an instruction-tuned model whose weights were stored in 4 bits."


def available(material: Material) -> bool:
    """Return whether there are cells, of this run or of the released one."""
    return "decoder_cells" in material.tables and bool(len(material.tables["decoder_cells"]))


def blocks(material: Material) -> list[Block]:
    """Return the study's figures, and its cells task by task."""
    cells = material.tables["decoder_cells"]
    if cells.empty:
        return [Paragraph(f"No run of this study ended. {STUDY.about}")]
    found: list[Block] = [_intro(cells), *material.figures_of(study=STUDY.name)]
    order = {name: place for place, name in enumerate(METHODS)}
    cells = cells.sort_values(["role", "method"], key=lambda names: names.map(lambda each: _place(order, each)))
    for task in sorted(cells["task"].unique()):
        own = cells[cells["task"] == task]
        found += [_methods(own, material.tables["decoder_costs"]), *_strata(own)]
    return found


def _place(order: dict[str, int], name: str) -> int:
    """Return the place of a role or a method: methods, ranks, references, controls, and methods as in all figures."""
    roles = {"method": 0, "rank": 1, "reference": 2, "control": 3}
    return roles.get(name, order.get(name, len(order)))


def _intro(cells: pd.DataFrame) -> Paragraph:
    first = cells[cells["role"] == "method"].iloc[0]
    origin = str(first["origin"])
    begin = "" if origin == HERE else f"{origin[0].upper()}{origin[1:]}. "
    packed = _FROM_4_BITS if first["model"] == PACKAGED_MODEL else ""
    return Paragraph(
        f"{begin}Each method starts from the same model and sees the same training rows, which a seed draws, as often. "
        "Its rate is the one with the lowest loss of the answers on validation rows; a grid grows where its end is "
        "chosen, and a choice that stays at an end is marked edge. Full fine-tuning learns all weights but the table "
        "of tokens. What is forgotten is the rise of the loss on plain text that is not trained on. Intervals of "
        "accuracy differences hold for other seeds and other test rows; rows of one noun are taken as independent. "
        f"Holm's method adjusts tests over all methods and tasks.{packed}",
        "decoder_cells",
    )


def _methods(own: pd.DataFrame, costs: pd.DataFrame) -> Any:
    """Return the table of a task: every cell with accuracy, difference, forgetting, rate and what the runs cost."""
    first = own.iloc[0]
    whole = own[own["stratum"] == ALL_ROWS]
    accuracy = whole[whole["metric"] == ACCURACY]
    keys = ["method", "setting", "rank"]
    shown = accuracy[[*keys, "params_percent", "learning_rate", "edge", "n", "rows"]].copy()
    shown["accuracy (%)"] = [_interval(row, "value", "low", "high", 100, ".1f") for _, row in accuracy.iterrows()]
    ends = ("difference", "difference_low", "difference_high")
    shown["difference from full (points)"] = [_interval(row, *ends, 100, "+.1f") for _, row in accuracy.iterrows()]
    rows = whole[whole["metric"] == FORGOTTEN]
    values = [_interval(row, "value", "low", "high", 1, ".2f") for _, row in rows.iterrows()]
    shown = shown.merge(rows[keys].assign(forgotten=values), on=keys, how="left")
    spent = costs[(costs["task"] == first["task"]) & (costs["origin"] == first["origin"])]
    known = [name for name in ("cpu_seconds", "peak_memory_mb") if spent[name].notna().any()]
    shown = shown.merge(spent[[*keys, *known]], on=keys, how="left")
    shown.insert(0, "name", [row_name(row) for _, row in shown.iterrows()])
    shown["learning_rate"] = [_rate(row) for _, row in shown.iterrows()]
    names = {
        "name": "method",
        "params_percent": "% trained",
        "learning_rate": "rate",
        "n": "seeds",
        "rows": "test rows",
        "cpu_seconds": "CPU s",
        "peak_memory_mb": "MB",
    }
    intervals = dict.fromkeys(accuracy["interval"].dropna())
    differences = dict.fromkeys(accuracy["difference_interval"].dropna())
    caption = (
        f"{task_in_words(str(first['task']))[:1].upper()}{task_in_words(str(first['task']))[1:]}, "
        f"{int(first['train_examples'])} training rows, {int(first['epochs'])} epochs. Accuracy with "
        f"{' or '.join(intervals)}; differences with {' or '.join(differences) or 'no interval'}; forgotten is "
        "the rise of the loss on plain text in nats per token; MB of the process, or what torch allocated on a GPU."
    )
    columns = ["name", "accuracy (%)", "difference from full (points)", "forgotten", "params_percent"]
    columns += ["learning_rate", "n", "rows", *known]
    return table(caption, shown[columns].rename(columns=names), {"% trained": ".3g", "CPU s": ".0f", "MB": ",.0f"})


def _rate(row: pd.Series[Any]) -> str | None:
    if pd.isna(row["learning_rate"]):
        return None
    edge = not pd.isna(row["edge"]) and bool(row["edge"])
    return f"{row['learning_rate']:g}{' (edge)' if edge else ''}"


def _interval(row: pd.Series[Any], name: str, low: str, high: str, scale: float, form: str) -> str | None:
    """Return a value with its interval as text, None where it was not measured."""
    if pd.isna(row[name]):
        return None
    ends = "" if pd.isna(row[low]) else f" [{scale * row[low]:{form}}, {scale * row[high]:{form}}]"
    return f"{scale * row[name]:{form}}{ends}"


def _strata(own: pd.DataFrame) -> list[Block]:
    """Return accuracy by kind of test row, where a task has kinds."""
    rows = own[(own["stratum"] != ALL_ROWS) & (own["metric"] == ACCURACY) & own["role"].isin(["method", "rank"])]
    if rows.empty:
        return []
    rows = rows.assign(name=[row_name(row) for _, row in rows.iterrows()], percent=100 * rows["value"])
    shown = rows.pivot_table(index="name", columns="stratum", values="percent", sort=False).reset_index()
    formats = {column: ".1f" for column in shown.columns if column != "name"}
    counts = ", ".join(f"{stratum} {int(part['rows'].iloc[0])}" for stratum, part in rows.groupby("stratum"))
    caption = f"Accuracy (%) by kind of test row, means over seeds; rows of each kind: {counts}."
    return [table(caption, shown.rename(columns={"name": "method"}), formats)]


def compared(material: Material) -> list[ComparedTask]:
    """Return the methods of each task of this run, at the rates that validation chose."""
    runs, costs = material.tables["runs"], material.tables["costs"]
    own, contrasts = chosen_runs(runs[runs["study"] == STUDY.name]), material.tables["contrasts"]
    rows = contrasts[contrasts["question"] == AGAINST_FULL]
    return [
        ComparedTask(
            task_in_words(str(task)),
            f"{part['model'].iloc[0]} on {task_in_words(str(task))}: {part['train_examples'].iloc[0]} training rows, "
            f"{part['seed'].nunique()} seeds; every method searches its rate on validation.",
            measured_rows(part, rows[rows["task"] == task], costs.dropna(subset=["run_id"])),
        )
        for task, part in own.groupby("task", sort=True)
    ]


def costs(material: Material) -> pd.DataFrame:
    """Return the seconds and bytes of memory of a run of each cell, means over its runs."""
    return costs_of(material.tables["runs"], material.tables["costs"], STUDY.name)
