"""What the published tables answer, and what checking them finds."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_UP, Decimal
from typing import Any

import pandas as pd

from peft_atlas.findings.finding import ATLAS, SEED_NOTEBOOK, Finding

# Sources whose printed percentages are compared: what the seed quotes, and the later, corrected print.
QUOTED, CORRECTED = "seed_notebook", "reft_v3"
_AVERAGE = "Avg"
_FAMILIES = ("commonsense", "arithmetic")


def published_findings(
    published: pd.DataFrame, parameters: pd.DataFrame, references: pd.DataFrame, verdicts: pd.DataFrame
) -> list[Finding]:
    """Return answers, errata and checks of the published tables.

    Parameters
    ----------
    published, parameters, references, verdicts
        Tables of the contracts ``published``, ``parameters``, ``references`` and ``application_verdicts``.
    """
    return [
        _best(published),
        _cost(parameters),
        *_wrong_references(references),
        _domain_numbers(verdicts),
        _percentages(published),
        _row_means(published),
        _two_ways(parameters),
    ]


def _best(published: pd.DataFrame) -> Finding:
    """Return the method with the highest printed average in each family of tasks and on each model."""
    rows = published[(published["source"] == CORRECTED) & (published["task"] == _AVERAGE)]
    rows = rows[rows["table"].isin(_FAMILIES) & rows["base_model"].str.startswith("LLaMA")]
    best = rows.loc[rows.groupby(["table", "base_model"])["value"].idxmax()]
    told = [f"{row.method} in {row.table} on {row.base_model} ({row.printed} %)" for row in best.itertuples()]
    return Finding(
        "answer",
        "published_best",
        "published",
        "Which method would the published numbers have one choose?",
        CORRECTED,
        "measured",
        f"published: source={CORRECTED}, task={_AVERAGE}, tables {' and '.join(_FAMILIES)}",
        f"Highest printed averages: {', '.join(told)}. They are printed without intervals, so none of the differences "
        "can be tested.",
        n=len(rows),
    )


def _cost(parameters: pd.DataFrame) -> Finding:
    """Return what LoRA trains on LLaMA-7B, recomputed."""
    rows = parameters[(parameters["base_model"] == "LLaMA-7B") & (parameters["method"] == "LoRA")]
    row = rows.iloc[0]
    return Finding(
        "answer",
        "published_cost",
        "published",
        "What does LoRA cost on a large model?",
        ATLAS,
        "measured",
        "parameters: base_model=LLaMA-7B, method=LoRA",
        f"With {row['setting']}, LoRA trains {row['trainable_params']:,} parameters beside the "
        f"{row['base_params']:,} of LLaMA-7B, {row['percent_with_adapter']:.4f} % of the two together.",
        effect=float(row["percent_with_adapter"]),
        unit="percent of base and adapter",
        n=len(rows),
    )


def _wrong_references(references: pd.DataFrame) -> list[Finding]:
    """Return each of the seed's references whose identifier is another work's."""
    return [
        Finding(
            "erratum",
            f"reference_{row.number}",
            "published",
            f"Reference {row.number}, {row.authors}, is given as arXiv:{row.claimed_arxiv_id}",
            SEED_NOTEBOOK,
            "mended",
            f"references: number={row.number}",
            f"{row.title} is arXiv:{row.true_arxiv_id}.",
            n=1,
        )
        for row in references[references["verdict"] == "wrong"].itertuples()
    ]


def _domain_numbers(verdicts: pd.DataFrame) -> Finding:
    """Return how many of the seed's percentages by application domain have a source."""
    counts = verdicts["status"].value_counts()
    return Finding(
        "erratum",
        "domain_percentages",
        "published",
        "LoRA's percentage by application domain is given without a source for any value",
        SEED_NOTEBOOK,
        "open",
        "application_verdicts",
        f"{counts.get('supported', 0)} of {len(verdicts)} are supported by a source that was seen, "
        f"{counts.get('bound', 0)} is a bound drawn as a value, {counts.get('unsupported', 0)} have no support.",
        effect=float(counts.get("unsupported", 0)),
        unit="values without support",
        n=len(verdicts),
    )


def _percentages(published: pd.DataFrame) -> Finding:
    """Return which of the seed's percentages the sources corrected later, beyond the rounding to two decimals."""
    rows = published[published["metric"] == "trainable_params_percent"]
    keys = ["base_model", "method", "task"]
    quoted = rows[(rows["source"] == QUOTED) & (rows["table"] == QUOTED)].set_index(keys)
    later = rows[(rows["source"] == CORRECTED) & (rows["table"] == "parameters")].set_index(keys)
    both = quoted.join(later[["printed", "value"]], suffixes=("", "_later"), how="inner").reset_index()
    # The survey's third decimal is padding: its sources print two.
    changed = both[(both["value"] - both["value_later"]).abs() > 0.005]
    listed = "; ".join(
        f"{row.method} on {row.base_model} {row.printed} against {row.printed_later}" for row in changed.itertuples()
    )
    return Finding(
        "erratum",
        "corrected_percentages",
        "published",
        "Parameter percentages of the survey, as the seed quotes them, are those before a correction",
        SEED_NOTEBOOK,
        "mended",
        f"published: metric=trainable_params_percent, source={QUOTED} and {CORRECTED}",
        f"{len(changed)} of {len(both)} differ from ReFT v3 beyond rounding: {listed}. Figures show both.",
        effect=float(len(changed)),
        unit="percentages",
        n=len(both),
    )


def rounds_to(mean: Decimal, printed: str) -> bool:
    """Return whether a mean may print as ``printed``: to the nearest, and a tie to either side.

    So 72.25 may print as 72.2 or 72.3, and 71.96 as 72.0 alone.
    """
    shown = Decimal(printed)
    step = Decimal(1).scaleb(int(shown.as_tuple().exponent))
    below, above = mean.quantize(step, ROUND_DOWN), mean.quantize(step, ROUND_UP)
    distance = min(abs(mean - below), abs(mean - above))
    return shown in (below, above) and abs(mean - shown) == distance


def _row_means(published: pd.DataFrame) -> Finding:
    """Return which printed averages are not the mean of the tasks printed beside them."""
    wrong, checked = [], 0
    for _, row in published[(published["task"] == _AVERAGE) & published["value"].notna()].iterrows():
        tasks = _tasks_of(published, row)
        if len(tasks) < 2:
            continue
        checked += 1
        mean = sum((Decimal(text) for text in tasks), Decimal(0)) / len(tasks)
        if not rounds_to(mean, row["printed"]):
            wrong.append(f"{row['table']}.csv:{row['line']} prints {row['printed']}, mean {mean.normalize():f}")
    return Finding(
        "check",
        "row_means",
        "published",
        "Printed averages are the means of the tasks printed beside them, rounded to the nearest, ties either way",
        "published sources",
        "fail" if wrong else "pass",
        f"published: task={_AVERAGE}",
        f"{checked - len(wrong)} of {checked} are. {'; '.join(wrong)}".strip(),
        effect=float(len(wrong)),
        unit="averages",
        n=checked,
    )


def _tasks_of(published: pd.DataFrame, average: pd.Series[Any]) -> list[str]:
    """Return the printed cells that an average is taken over: same table, source, model, method and rank."""
    same = (published["task"] != _AVERAGE) & (published["metric"] == average["metric"])
    for column in ("table", "source", "base_model", "method", "locator"):
        same &= published[column] == average[column]
    rank = published["rank"]
    same &= rank.isna() if pd.isna(average["rank"]) else (rank == average["rank"]).fillna(value=False)
    return published.loc[same & published["value"].notna(), "printed"].tolist()


def _two_ways(parameters: pd.DataFrame) -> Finding:
    """Return whether closed form and attached model give the same counts."""
    counts = parameters.groupby(["base_model", "method", "setting"])["trainable_params"]
    differing = int((counts.max() != counts.min()).sum())
    return Finding(
        "check",
        "counted_two_ways",
        "published",
        "Closed form and adapters attached to a model of that shape give the same number of trainable parameters",
        ATLAS,
        "fail" if differing or not (counts.size() > 1).all() else "pass",
        "parameters: way",
        f"{counts.ngroups - differing} of {counts.ngroups} counts agree to the last parameter.",
        effect=float(differing),
        unit="counts",
        n=counts.ngroups,
    )
