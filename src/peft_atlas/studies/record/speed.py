"""LoRA's time against full fine-tuning's in published runs: over the benchmark's passes, and in other repositories."""

from __future__ import annotations

import pandas as pd

from peft_atlas.analysis.evidence import select
from peft_atlas.analysis.finding import Effect, Finding
from peft_atlas.analysis.statistics import mean_interval
from peft_atlas.studies.record.audit import MATH_ROWS
from peft_atlas.studies.record.passes import FULL, LORA, math_runs, passes
from peft_atlas.studies.record.wording import ONE_SEED, PEFT, answer, listed

# What two rows must share to be compared; the note names the data.
_SETUP = ["repository", "model", "micro_batch_size", "sequence_length", "note"]
_MODULES = {True: "attention", False: "all modules"}


def over_passes(runs: pd.DataFrame) -> list[Finding]:
    """Return LoRA's time of training steps relative to full fine-tuning's, over the passes of the benchmark.

    Parameters
    ----------
    runs
        Table of the contract ``benchmark_runs``.
    """
    ratios = {
        name: float(rows.loc[LORA, "step_seconds_sum"] / rows.loc[FULL, "step_seconds_sum"])
        for name, rows in passes(math_runs(runs)).items()
        if {LORA, FULL} <= set(rows.index)
    }
    if not ratios:
        return []
    estimate = mean_interval(list(ratios.values()), 0.95)
    unit, interval = "LoRA's time per full fine-tuning's", "95 % Student t over passes"
    effect = Effect(estimate.mean, unit, estimate.low, estimate.high, interval, estimate.n)
    found = answer(
        "time",
        "Does LoRA train faster than full fine-tuning?",
        PEFT,
        f"{MATH_ROWS}, experiment={FULL} and {LORA}, step_seconds_sum",
        "On Llama-3.2-3B and one L40S, without gradient checkpointing, the training steps of LoRA (rank 32, query and "
        f"value) take {_times(effect)} full fine-tuning's time over {estimate.n} passes of peft's benchmark, between "
        f"{min(ratios.values()):.2f} and {max(ratios.values()):.2f} in every pass. {ONE_SEED}",
        effect,
    )
    return [found]


def _times(effect: Effect) -> str:
    """Return a ratio with its interval, if it has one."""
    if effect.size is None or effect.low is None or effect.high is None:
        return "an unknown part of" if effect.size is None else f"{effect.size:.2f} times"
    return f"{effect.size:.2f} [{effect.low:.2f}, {effect.high:.2f}] times"


def time_pairs(measurements: pd.DataFrame) -> pd.DataFrame:
    """Return each timed LoRA run with the full fine-tuning of the same set-up: both record_ids and the ``ratio``."""
    rows = measurements[measurements["seconds"].notna() & measurements["value_kind"].eq("measured")]
    rows = rows.assign(**{name: rows[name].astype("string").fillna("") for name in _SETUP})
    full, lora = rows[rows["method"] == "full"], rows[rows["method"] == "LoRA"]
    pairs = lora.merge(full[[*_SETUP, "record_id", "seconds"]], on=_SETUP, suffixes=("", "_full"))
    modules = pairs["configuration"].str.contains("attention").map(_MODULES)
    return pairs.assign(modules=modules, ratio=pairs["seconds"] / pairs["seconds_full"])


def pair_findings(measurements: pd.DataFrame) -> list[Finding]:
    """Return whether LoRA is faster in every other published pair, by the modules that it is on.

    Parameters
    ----------
    measurements
        Table of the contract ``training_runs``.
    """
    pairs = time_pairs(measurements)
    if pairs.empty:
        return []
    words = [
        f"on {name} in {int((group['ratio'] < 1).sum())} of {len(group)} pairs ({group['ratio'].min():.2f} to "
        f"{group['ratio'].max():.2f} of the time)"
        for name, group in pairs.groupby("modules", sort=False)
    ]
    return [
        answer(
            "time_pairs",
            "Is LoRA faster than full fine-tuning in every published pair of one set-up?",
            listed(sorted(set(pairs["repository"]))),
            select("training_runs", pairs, ("record_id",)),
            f"Elsewhere it depends on the modules: in {len(pairs)} pairs of one set-up with gradient checkpointing and "
            f"rank 256, times with evaluation and saving, LoRA is faster {listed(words)}. One run each.",
            Effect(float((pairs["ratio"] > 1).sum()), "pairs in which LoRA is slower", n=len(pairs)),
        )
    ]
