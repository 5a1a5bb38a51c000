"""Printed numbers that cannot hold as stated: peaks below their floor, counts that need an unstated setting."""

from __future__ import annotations

import re

import pandas as pd

from peft_atlas.analysis.evidence import select
from peft_atlas.analysis.finding import Effect, Finding
from peft_atlas.errors import AtlasError
from peft_atlas.planning.architecture import Architecture
from peft_atlas.planning.counts import attach, count
from peft_atlas.planning.methods import find_method
from peft_atlas.planning.shapes import find_architecture
from peft_atlas.studies.record.wording import REGRET, TINKER, check, listed

# Weights and gradients in bf16 take 2 bytes each, the two moments of AdamW as much again each.
_FLOOR_BYTES = 8
_UNITS = {"GB": 1e9, "GiB": 2**30}
_POST, _COUNTED = "lora-without-regret", "meta-llama/Llama-3.1-8B"
_KINDS = ("mlp", "attention")
_COUNT = re.compile(r"(mlp|attention|all) r(\d+) (\d+\.\d+)B")


def hidden_settings(measurements: pd.DataFrame, counts: pd.DataFrame, statements: pd.DataFrame) -> list[Finding]:
    """Return the checks of printed peaks and counts.

    Parameters
    ----------
    measurements, counts, statements
        Tables of the contracts ``training_runs``, ``adapter_counts`` and ``rate_statements``.
    """
    return [
        *([] if measurements.empty else [_below_floor(measurements)]),
        *([] if counts.empty or statements.empty else [_counts(counts, statements)]),
        *([] if counts.empty else [_counts_of_models(counts)]),
    ]


def full_runs(measurements: pd.DataFrame) -> pd.DataFrame:
    """Return full fine-tuning in bf16 with AdamW on one GPU, with ``bytes`` measured and ``floor_bytes``."""
    rows = measurements[
        measurements["method"].eq("full")
        & measurements["value_kind"].eq("measured")
        & measurements["n_gpus"].eq(1).fillna(value=False).astype(bool)
        & measurements["precision"].str.lower().str.startswith("bf").fillna(value=False).astype(bool)
        & measurements["optimizer"].fillna("AdamW").eq("AdamW")
        & measurements["peak_as_printed"].notna()
    ]
    known = rows.assign(parameters=[_parameters(model) for model in rows["model"]]).dropna(subset=["parameters"])
    return known.assign(
        bytes=known["peak_as_printed"].astype(float) * known["unit_as_printed"].map(_UNITS),
        floor_bytes=_FLOOR_BYTES * known["parameters"].astype(float),
    )


def _architecture(model: str) -> Architecture | None:
    """Return a model's architecture, None where its shape is not known."""
    try:
        return find_architecture(model)
    except AtlasError:
        return None


def _parameters(model: str) -> int | None:
    known = _architecture(model)
    return None if known is None else known.parameters


def _below_floor(measurements: pd.DataFrame) -> Finding:
    rows = full_runs(measurements)
    below = rows[rows["bytes"] < rows["floor_bytes"]]
    unstated = "" if below.empty else " Some setting of theirs is not stated."
    words = listed(
        [
            f"{row.model} with {row.bytes / 1e9:.1f} of {row.floor_bytes / 1e9:.1f} GB ({row.repository})"
            for row in below.itertuples()
        ]
    )
    return check(
        "peaks_below_floor",
        "Printed peaks of full fine-tuning hold weights, gradients and moments as stated",
        listed(sorted(set(rows["repository"]))),
        below.empty,
        select("training_runs", below if len(below) else rows, ("record_id",)),
        f"With bf16 weights, gradients and moments AdamW takes at least {_FLOOR_BYTES} bytes per parameter. Below it "
        f"lie {len(below)} of {len(rows)} rows on one GPU: {words}.{unstated}",
        Effect(float(len(below)), "rows below the floor", n=len(rows)),
    )


def printed_counts(statements: pd.DataFrame) -> pd.DataFrame:
    """Return the counts that the post prints: modules, rank, ``printed`` as text, in units of 10^9."""
    rows = statements[(statements["source_id"] == _POST) & (statements["claim_kind"] == "counts")]
    found = [match for text in rows["statement"].dropna() for match in _COUNT.findall(text)]
    return pd.DataFrame(found, columns=["modules", "rank", "printed"]).astype({"rank": int})


def _counts(counts: pd.DataFrame, statements: pd.DataFrame) -> Finding:
    """Return whether the post's counts follow from the modules that it names."""
    per_rank = counts.set_index("model").loc[_COUNTED]
    mlp, attention = (int(per_rank[f"{name}_params_per_rank"]) for name in ("mlp", "attention"))
    modules = {"mlp": mlp, "attention": attention, "all": mlp + attention}
    head = int(per_rank["unembedding_params_per_rank"])
    words, plain, with_head = [], 0, 0
    printed = printed_counts(statements)
    for row in printed.itertuples():
        stated, more = (int(row.rank) * (modules[row.modules] + extra) for extra in (0, head))
        plain, with_head = plain + _prints(stated, row.printed), with_head + _prints(more, row.printed)
        words.append(f"{row.modules} at rank {row.rank}: printed {row.printed}B, {stated:,} without, {more:,} with it")
    return check(
        "counts_need_unembedding",
        "The post's parameter counts for Llama-3.1-8B follow from the modules that it names",
        REGRET,
        plain == len(printed),
        f"adapter_counts: model={_COUNTED}; rate_statements: source_id={_POST}, claim_kind=counts",
        f"{plain} of {len(printed)} do as named; {with_head} do if the unembedding is adapted too, which is not said: "
        f"{'; '.join(words)}.",
        Effect(float(len(printed) - plain), "counts that need an unstated setting", n=len(printed)),
    )


def _prints(count: int, printed: str) -> bool:
    """Return whether a count prints as this text in units of 10^9, rounded or cut."""
    digits = len(printed.split(".")[1])
    cut = int(count / 1e9 * 10**digits) / 10**digits
    return printed in (f"{count / 1e9:.{digits}f}", f"{cut:.{digits}f}")


def recounted(counts: pd.DataFrame) -> pd.DataFrame:
    """Return the models whose shape is known, with LoRA's parameters per rank as listed and by the closed form.

    Returns
    -------
    pandas.DataFrame
        model, then listed and recounted for mlp, attention and unembedding.
    """
    found = []
    for row in counts.itertuples():
        known = _architecture(row.model.rsplit("/", 1)[-1])
        if known is not None:
            closed = [count(known, attach(known, find_method("lora"), 1, (kind,))).adapter for kind in _KINDS]
            listed_counts = (row.mlp_params_per_rank, row.attention_params_per_rank, row.unembedding_params_per_rank)
            found.append((row.model, *map(int, listed_counts), *closed, known.hidden + known.vocabulary))
    names = [f"{kind}_{way}" for way in ("listed", "recounted") for kind in (*_KINDS, "unembedding")]
    return pd.DataFrame(found, columns=["model", *names])


def _counts_of_models(counts: pd.DataFrame) -> Finding:
    """Return whether the listed counts follow from the shapes of the models."""
    rows = recounted(counts)
    kinds = (*_KINDS, "unembedding")
    wrong = sum(int((rows[f"{kind}_listed"] != rows[f"{kind}_recounted"]).sum()) for kind in kinds)
    return check(
        "counts_of_models",
        "LoRA's listed parameters per rank follow from the shapes of the models",
        TINKER,
        wrong == 0,
        f"adapter_counts: model={' and '.join(rows['model'])}",
        f"{len(kinds) * len(rows) - wrong} of {len(kinds) * len(rows)} counts of {len(rows)} models do, by the closed "
        f"form of peft-atlas count; the shapes of the other {len(counts) - len(rows)} models are not at hand.",
        Effect(float(wrong), "counts that do not follow", n=len(kinds) * len(rows)),
    )
