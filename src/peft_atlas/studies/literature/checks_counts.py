"""Checks of printed counts and percentages of trained parameters against documented configurations."""

from __future__ import annotations

import pandas as pd

from peft_atlas.analysis.finding import ATLAS, Finding
from peft_atlas.studies.literature.check_finding import check
from peft_atlas.studies.literature.printed_numbers import place
from peft_atlas.studies.literature.printed_rows import exact_cells
from peft_atlas.studies.literature.recomputation import COUNT, NOTHING, PADDED, PERCENT, match_printed

_NAMES = {PERCENT: "percentage", COUNT: "count"}


def recomputed_numbers(published: pd.DataFrame, parameters: pd.DataFrame) -> list[Finding]:
    """Return, for each source, whether a documented configuration gives every count and percentage it prints."""
    matched = match_printed(published, parameters)
    return [
        _recomputed(str(source), str(metric), rows, published)
        for (source, metric), rows in matched.groupby(["source", "metric"], sort=False)
    ]


def _recomputed(source: str, metric: str, rows: pd.DataFrame, published: pd.DataFrame) -> Finding:
    wrong = rows[rows["fit"] == NOTHING]
    name = _NAMES[metric]
    printed = exact_cells(published[(published["source"] == source) & (published["metric"] == metric)])
    return check(
        f"recomputed_{name}_{source}",
        f"A documented configuration gives every {name} that {source} prints, at the printed decimals; zeros at the "
        "end may be padding",
        source,
        len(wrong),
        len(rows),
        f"{name}s",
        _recomputed_detail(rows, wrong, len(printed) - len(rows)),
        f"published: source={source}, metric={metric}; parameters: base_model, method",
    )


def _recomputed_detail(rows: pd.DataFrame, wrong: pd.DataFrame, unknown: int) -> str:
    """Return how many numbers a configuration gives and which it does not."""
    padded = rows[rows["fit"] == PADDED]
    said = [f"{len(rows) - len(wrong)} of {len(rows)} are reached."]
    if len(padded):
        numbers = ", ".join(dict.fromkeys(padded["printed"]))
        said.append(f"{len(padded)} only once zeros are dropped: {numbers}.")
    said += [
        f"{row.base_model} {row.method} prints {row.printed} ({place(row.table, [row.line])}); the nearest of "
        f"{row.tried} documented configurations, {row.setting}, gives {row.percent:.4f}."
        for row in wrong.itertuples()
    ]
    if unknown:
        said.append(f"{unknown} more have no documented configuration here and are not judged.")
    return " ".join(said)


def counted_two_ways(parameters: pd.DataFrame) -> Finding:
    """Return whether both ways of counting agree on every configuration."""
    by_setting = parameters.groupby(["base_model", "method", "setting"])
    differ = [rows for _, rows in by_setting if len(set(rows["trainable_params"])) > 1]
    twice = [rows for _, rows in by_setting if len(set(rows["way"])) > 1]
    return check(
        "counted_two_ways",
        "The closed form and a model with the adapter attached count the same trainable parameters",
        ATLAS,
        len(differ),
        len(twice),
        "configurations",
        f"{len(twice)} of {len(by_setting)} configurations are counted in two ways; {len(differ)} differ.",
        "parameters: way, trainable_params",
    )
