"""The study's own tables and answers, from this run or from the released ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pandas as pd

from peft_atlas.analysis.finding import Finding, as_rows
from peft_atlas.step import Step
from peft_atlas.studies.decoder.advice import decoder_advice
from peft_atlas.studies.decoder.answers import cost_answers, decoder_answers
from peft_atlas.studies.decoder.cells import decoder_cells
from peft_atlas.studies.decoder.released import read_all_released
from peft_atlas.tables.contract import read_table, write_table
from peft_atlas.tables.schemas import CONTRACTS, FINDINGS

HERE = "this run"
_KEYS = ["task", "method", "setting", "rank"]
_COSTS = ("cpu_seconds", "evaluation_seconds", "examples_per_second", "peak_memory_mb")


def cost_rows(runs: pd.DataFrame, costs: pd.DataFrame, origin: str) -> Iterator[dict[str, Any]]:
    """Yield rows of the contract ``decoder_costs``: means over the tested runs of each cell."""
    tested = runs[runs["selected"].fillna(value=True) & runs["test_examples"].notna()]
    joined = tested.merge(costs, on="run_id", how="inner")
    for key, part in joined.groupby(_KEYS, dropna=False, sort=True):
        names = dict(zip(_KEYS, (None if pd.isna(value) else value for value in key), strict=True))
        names |= {name: part[name].iloc[0] for name in ("model", "train_examples", "epochs", "device")}
        means = {name: _mean(part[name]) for name in _COSTS}
        if all(value is None for value in means.values()):
            continue
        size = _mean(part["adapter_bytes"])
        size = None if size is None else round(size)
        yield {**names, **means, "adapter_bytes": size, "n": len(part), "origin": origin}


def _mean(values: pd.Series[Any]) -> float | None:
    known = values.dropna().astype(float)
    return float(known.mean()) if len(known) else None


def _as_released(checks: pd.DataFrame, origin: str) -> list[Finding]:
    """Return the checks of the released run under names that say so."""
    found = [Finding.of_row(row) for row in checks.to_dict("records")]
    return [replace(each, statement=f"{each.statement} ({origin})") for each in found]


def tabulate_step(step: Step) -> None:
    """Write the cells, the costs and the answers of the study; nothing where it neither ran nor was released."""
    confidence, checks = step.params["confidence"], list[Finding]()
    if step.paths("runs"):
        runs, items = step.read_all("runs"), step.read_all("per_item", "items")
        spent, origin = list(cost_rows(runs, step.read_all("costs"), HERE)), HERE
    elif step.paths("released"):
        released = read_all_released(step.paths("released"))
        runs, items, origin = released[0].runs, released[0].items, released[0].origin
        spent = [row for each in released for row in cost_rows(each.runs, each.costs, each.origin)]
        checks = _as_released(released[0].checks, origin)
    else:
        for name in ("decoder_cells", "decoder_costs"):
            step.write(name, [])
        _write(step, "answers", [])
        _write(step, "cost_answers", [])
        return
    step.write("decoder_cells", decoder_cells(runs, items, confidence, origin))
    step.write("decoder_costs", spent)
    cells, costs = (read_table(CONTRACTS[name], step.output(name)) for name in ("decoder_cells", "decoder_costs"))
    answers = decoder_answers(cells, runs, step.read("published"), 1 - confidence)
    _write(step, "answers", [*answers, *decoder_advice(cells, 1 - confidence), *checks])
    _write(step, "cost_answers", cost_answers(costs))


def _write(step: Step, name: str, findings: list[Finding]) -> None:
    write_table(FINDINGS, as_rows(findings) if findings else [], step.output(name))
