"""The decoder study's questions, answered from its cells by rule, of this run or of the released one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from peft_atlas.analysis.finding import ATLAS, POINTS, Effect, Finding
from peft_atlas.analysis.pooled import TwoWay
from peft_atlas.studies.decoder.cells import ACCURACY, FORGOTTEN, row_name
from peft_atlas.studies.decoder.contrasts import NATS, cells, chosen_runs
from peft_atlas.studies.decoder.data.items import ALL_ROWS
from peft_atlas.studies.decoder.jobs import BASE, NAME, NOT_TRAINED
from peft_atlas.studies.decoder.packaged import ARITHMETIC, COMMONSENSE, task_in_words

# Reliability of the measured order of methods from which an order would be reported.
RELIABLE = 0.8
# The published table that asks what a task asks.
PUBLISHED = {COMMONSENSE: "commonsense", ARITHMETIC: "arithmetic"}
_SOURCE, _MODEL, _AVERAGE = "reft_v3", "LLaMA-7B", "Avg"


def decoder_answers(table: pd.DataFrame, runs: pd.DataFrame, published: pd.DataFrame, level: float) -> list[Finding]:
    """Return what the study says of methods, forgetting, references and the published tables, task by task.

    Parameters
    ----------
    table
        Cells, of the contract ``decoder_cells``.
    runs
        The runs that they are made of.
    published
        The published tables.
    level
        Level of the tests.
    """
    found: list[Finding] = []
    for task in dict.fromkeys(table["task"]):
        own = table[(table["task"] == task) & (table["stratum"] == ALL_ROWS)]
        own = own.assign(name=[row_name(row) for _, row in own.iterrows()])
        found += [*_learnt(own), *_against_full(own, level), *_forgetting(own, level), *_order(own, runs, published)]
    return found


def _metric(own: pd.DataFrame, metric: str, *roles: str) -> pd.DataFrame:
    return own[(own["metric"] == metric) & own["role"].isin(roles)]


def scope(own: pd.DataFrame) -> str:
    """Return where a task's numbers are from: model, task, and whether another machine made them."""
    first = own[own["method"] == "full"].iloc[0]
    # Version, machine and date are in the section's first sentence.
    origin = "" if first["origin"] == "this run" else f" ({first['origin'].partition(':')[0]})"
    return f"On {first['model']} and {task_in_words(first['task'])}{origin}"


def _learnt(own: pd.DataFrame) -> Iterator[Finding]:
    """Yield what fine-tuning adds to the untrained model, next to what controls reach."""
    methods, others = _metric(own, ACCURACY, "method"), _metric(own, ACCURACY, "reference", "control")
    if methods.empty or others.empty:
        return
    full, task = methods[methods["method"] == "full"].iloc[0], str(methods["task"].iloc[0])
    listed = "; ".join(f"{row['name']} {_percent(row)}" for _, row in others.iterrows())
    plain = others[(others["method"] == BASE) & others["setting"].str.startswith("0 ")]
    gains = [] if plain.empty else [100 * (end - plain["value"].iloc[0]) for end in _ends(methods["value"])]
    gain = f" The methods gain {gains[0]:.1f} to {gains[1]:.1f} points on the untrained model." if gains else ""
    yield Finding(
        "answer",
        f"decoder_learnt_{task}",
        NAME,
        f"What does fine-tuning add on {task}?",
        ATLAS,
        "measured",
        f"decoder_cells: task={task}, metric={ACCURACY}, stratum={ALL_ROWS}",
        f"{scope(own)}, the methods end at {_span(methods['value'])} % of {int(full['rows'])} test rows. Without "
        f"training, or without the model: {listed}.{gain} What a control without a language model reaches needs no "
        "language model. What shuffled answers add to the untrained model can come only from the form and the "
        "frequency of answers.",
        effect=Effect(100 * float(full["value"]), "percent", n=int(full["n"])),
    )


def _percent(row: pd.Series[Any]) -> str:
    interval = "" if pd.isna(row["low"]) else f" [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"
    how = "" if pd.isna(row["low"]) else f", {row['interval']}"
    return f"{100 * row['value']:.1f} %{interval} ({int(row['rows'])} rows{how})"


def _ends(values: pd.Series[float]) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _span(values: pd.Series[float]) -> str:
    low, high = (f"{100 * value:.1f}" for value in (values.min(), values.max()))
    return low if low == high else f"{low} to {high}"


def _against_full(own: pd.DataFrame, level: float) -> Iterator[Finding]:
    """Yield which methods differ from full fine-tuning in accuracy, and what would have been detected."""
    rows = _metric(own, ACCURACY, "method")
    yield from _compared(
        own, rows, level, "decoder_against_full", "Does any method differ from full fine-tuning", 100.0
    )


def _forgetting(own: pd.DataFrame, level: float) -> Iterator[Finding]:
    """Yield what the methods forget: how far the loss on plain text rises, and which differ from full in it."""
    rows = _metric(own, FORGOTTEN, "method")
    if rows["value"].notna().any():
        yield from _compared(
            own, rows, level, "decoder_forgetting", "Does any method forget more or less than full fine-tuning", 1.0
        )


def _compared(
    own: pd.DataFrame, rows: pd.DataFrame, level: float, kind: str, question: str, scale: float
) -> Iterator[Finding]:
    """Yield one answer on the differences of a metric to full fine-tuning."""
    compared = rows[rows["difference"].notna()]
    if compared.empty:
        return
    task, metric = str(rows["task"].iloc[0]), str(rows["metric"].iloc[0])
    points = scale > 1
    unit, form = (POINTS, ".1f") if points else (NATS, ".3f")
    tested = compared[compared["p_adjusted"].notna()]
    sure, alike = tested[tested["p_adjusted"] < level], tested[tested["p_adjusted"] >= level]
    effects = {str(row["name"]): difference_effect(row, unit, scale) for _, row in compared.iterrows()}
    digits = 1 if points else 3
    sentences = [f"{label} {effect.in_words(digits, '')}{_p(compared, label)}" for label, effect in effects.items()]
    full = rows[rows["method"] == "full"].iloc[0]
    level_of_full = f"{scale * full['value']:{form}} {'%' if points else NATS}"
    least = scale * float(alike["detectable"].max()) if alike["detectable"].notna().any() else None
    could = "unknown" if least is None else f"with 80 % power: {least:{form}} {_short(unit)}"
    tail = []
    if len(sure):
        tail.append(f"Different from full fine-tuning: {', '.join(sure['name'])}")
    if len(alike):
        tail.append(f"statistically indistinguishable from it: {', '.join(alike['name'])} (detectable {could})")
    if tested.empty:
        tail.append("One seed alone: no test")
    # Where something could have been missed, the finding says what would have been detected.
    first = (alike if len(alike) else compared).iloc[0]
    first = compared.loc[compared["difference"].abs().idxmax()] if alike.empty else first
    what = "Accuracy" if points else "The rise of the loss on plain text"
    yield Finding(
        "answer",
        f"{kind}_{task}",
        NAME,
        f"{question} on {task}?",
        ATLAS,
        "measured",
        f"decoder_cells: task={task}, metric={metric}, role=method, stratum={ALL_ROWS}",
        f"{scope(own)}, {what[0].lower()}{what[1:]} of full fine-tuning is {level_of_full}. Differences from it "
        f"in {_short(unit)}, {first['difference_interval']} for each alone, p adjusted by {first['adjustment']}: "
        f"{'; '.join(sentences)}. "
        f"{'; '.join(tail)[:1].upper()}{'; '.join(tail)[1:]}.",
        effect=effects[str(first["name"])],
    )


def difference_effect(row: pd.Series[Any], unit: str, scale: float) -> Effect:
    """Return the difference of a cell from full fine-tuning, in a unit of which the cell's is ``1 / scale``."""
    names = ("difference", "difference_low", "difference_high", "detectable")
    size, low, high, detectable = (None if pd.isna(row[name]) else scale * float(row[name]) for name in names)
    return Effect(size, unit, low, high, row["difference_interval"], int(row["n"]), detectable)


def _p(compared: pd.DataFrame, label: str) -> str:
    p = compared.loc[compared["name"] == label, "p_adjusted"].iloc[0]
    if pd.isna(p):
        return ""
    return " (p < 0.001)" if p < 0.001 else f" (p = {p:.3f})"


def _short(unit: str) -> str:
    return "points" if unit == POINTS else unit


def _order(own: pd.DataFrame, runs: pd.DataFrame, published: pd.DataFrame) -> Iterator[Finding]:
    """Yield whether the methods can be ranked here, and what that says of the published ranking."""
    task = str(own["task"].iloc[0])
    chosen = chosen_runs(runs)
    chosen = chosen[chosen["task"] == task]
    outcomes = _outcomes(chosen)
    if outcomes is None:
        return
    reliability = TwoWay(outcomes).reliability(range(len(outcomes)))
    rows = _metric(own, ACCURACY, "method").sort_values("value", ascending=False)
    order = ", ".join(rows["name"])
    could = rows["detectable"].max()
    can = "not reliable enough to rank them" if reliability < RELIABLE else f"reliable over seeds: {order}"
    yield Finding(
        "answer",
        f"decoder_order_{task}",
        NAME,
        f"What carries over from the published table to {task}?"
        if task in PUBLISHED
        else f"Is there a ranking on {task}?",
        ATLAS,
        "measured",
        f"decoder_cells: task={task}, metric={ACCURACY}, role=method, stratum={ALL_ROWS}; "
        f"published: table={PUBLISHED.get(task, 'none')}, task={_AVERAGE}, base_model={_MODEL}",
        f"{scope(own)}, {len(outcomes)} methods with {outcomes.shape[1]} seeds have an order that is {can} "
        f"(reliability over seeds {reliability:.2f}, on the same test rows; {RELIABLE:g} is required)."
        f"{_published_in_words(task, rows, published, could)}",
        effect=Effect(reliability, "reliability", n=outcomes.shape[1]),
    )


def _outcomes(chosen: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """Return the accuracy of each method and seed, over the seeds that all have; None where that is no table."""
    parts = [part.set_index("seed")["test_accuracy"].astype(float).dropna() for part in cells(chosen)]
    seeds = sorted(set.intersection(*(set(part.index) for part in parts))) if parts else []
    return np.array([part[seeds] for part in parts]) if len(parts) > 1 and len(seeds) > 1 else None


def _published_in_words(task: str, rows: pd.DataFrame, published: pd.DataFrame, detectable: float) -> str:
    """Return how far apart the published averages of the same methods are, against what is detectable here.

    Empty for a task that has no published counterpart.
    """
    if task not in PUBLISHED:
        return ""
    table = published[(published["table"] == PUBLISHED.get(task)) & (published["task"] == _AVERAGE)]
    table = table[(table["base_model"] == _MODEL) & (table["source"] == _SOURCE)]
    both = table[table["method"].isin(rows["method"]) & (table["method"] != "full")]
    if len(both) < 2 or pd.isna(detectable):
        count = "None" if both.empty else f"Only {len(both)}"
        return (
            f" {count} of the methods measured here is in the published table ({_MODEL}), so that no published "
            "difference can be checked."
        )
    apart = float(both["value"].max() - both["value"].min())
    seen = "could" if apart >= 100 * detectable else "could not"
    return (
        f" The published averages of {', '.join(both['method'])} on {_MODEL} lie {apart:.1f} points apart; a "
        f"difference of that size from full fine-tuning {seen} have been detected here ({100 * detectable:.1f} points "
        "with 80 % power). Levels "
        "are not comparable: models, tasks and training data differ."
    )


def cost_answers(costs: pd.DataFrame) -> list[Finding]:
    """Return what a run of each method costs, by task and by where it was measured.

    Processor time with memory, or memory alone where times were not kept. Of two measurements on the same kind of
    device the first is reported.
    """
    found: dict[str, Finding] = {}
    for (_, task), own in costs.groupby(["origin", "task"], sort=False):
        rows = own.assign(name=[row_name(row) for _, row in own.iterrows()])
        rows = rows[rows["peak_memory_mb"].notna() & ~rows["method"].isin(NOT_TRAINED)]
        if (rows["method"] == "full").any():
            answer = _cost_answer(str(task), rows)
            found.setdefault(answer.id, answer)
    return list(found.values())


def _cost_answer(task: str, rows: pd.DataFrame) -> Finding:
    """Return the answer of one task and one device, all numbers relative to full fine-tuning."""
    full = rows[rows["method"] == "full"].iloc[0]
    timed = rows["cpu_seconds"].notna().all()
    column, form, unit = ("cpu_seconds", ".0f", "s") if timed else ("peak_memory_mb", ",.0f", "MB")
    others = rows[rows["method"] != "full"]
    listed = "; ".join(
        f"{row['name']} {row[column] / full[column]:.2f}" + (f" ({row['peak_memory_mb']:,.0f} MB)" if timed else "")
        for _, row in others.iterrows()
    )
    spent = f"{full[column]:{form}} {unit}" + (f" and {full['peak_memory_mb']:,.0f} MB" if timed else "")
    kind, question = ("cost", "What does a run cost") if timed else ("memory", "How much memory does a run take")
    device = "GPU" if full["device"] == "cuda" else "processor"
    memory = "what torch allocated at its peak" if device == "GPU" else "peak memory of the process"
    what = f"processor time in training and {memory}" if timed else memory
    sizes = f"{int(full['train_examples']):,} training rows, {int(full['epochs'])} epochs"
    return Finding(
        "answer",
        f"decoder_{kind}_{task}_{device.lower()}",
        NAME,
        f"{question} on {task}?",
        ATLAS,
        "measured",
        f"decoder_costs: task={task}, device={full['device']}",
        f"{scope(rows)}, {sizes}, on a {device}, full fine-tuning takes {spent} ({what}; means over {int(full['n'])} "
        f"seeds). In times that: {listed}.",
        effect=Effect(float(full[column]), unit, n=int(full["n"])),
    )
