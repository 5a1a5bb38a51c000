"""What the prespecified setting costs against full fine-tuning: processor time and memory of single runs."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

import numpy as np
import pandas as pd

from peft_atlas.analysis.finding import ATLAS, Effect, Finding, as_rows
from peft_atlas.analysis.statistics import interval_name, paired_difference
from peft_atlas.methods.names import setting_name
from peft_atlas.step import Step
from peft_atlas.studies.encoder.contrasts import chosen_runs, main_task
from peft_atlas.studies.encoder.jobs import NAME
from peft_atlas.studies.encoder.packaged import task_in_short


@dataclass(frozen=True)
class Spent:
    """What runs of a setting took, by seed, and the share of the parameters that they train, in percent."""

    cpu_seconds: pd.Series[float]
    megabytes: pd.Series[float]
    percent: float


def cost_answers(runs: pd.DataFrame, costs: pd.DataFrame, method: str, confidence: float) -> list[Finding]:
    """Return processor time and peak memory of a setting over those of full fine-tuning, on the main task.

    Ratios are compared seed by seed on the logarithmic scale, so that the interval is that of their geometric mean.

    Parameters
    ----------
    runs, costs
        Tables of those contracts, of the encoder study alone.
    method
        The setting.
    confidence
        Confidence level of the intervals.
    """
    task = main_task(runs)
    chosen = chosen_runs(runs)
    joined = chosen[chosen["task"] == task].merge(costs, on="run_id", how="inner")
    own, full = _spent(joined, method), _spent(joined, "full")
    if own is None or full is None:
        return []
    first = joined.iloc[0]
    examples = f"{first['train_examples']} training examples of {task_in_short(task)}"
    scope = f"On {first['model']} with {examples} and one processor thread"
    time = _ratio(own.cpu_seconds, full.cpu_seconds, confidence)
    memory = _ratio(own.megabytes, full.megabytes, confidence)
    evidence = "costs: rule=finetune, {}; runs: study=encoder, experiment=methods, selected=True, task=" + task
    return [
        _finding(
            "encoder_cost",
            "How much processor time does LoRA save?",
            evidence.format("cpu_seconds"),
            f"{scope}, {method} takes {_words(time)} times the processor time of full fine-tuning in training "
            f"({own.cpu_seconds.mean():.1f} against {full.cpu_seconds.mean():.1f} s per run, {time.n} seeds), and "
            f"trains {own.percent:.2f} % of the parameters. The interval is over the seeds of one run; another run, "
            "processor or model, a GPU or longer texts can change the ratio by more.",
            time,
        ),
        _finding(
            "encoder_memory",
            "How much memory does LoRA save?",
            evidence.format("peak_memory_mb"),
            f"{scope}, {method} has {_words(memory)} times the peak memory of full fine-tuning "
            f"({own.megabytes.mean():.0f} against {full.megabytes.mean():.0f} MB of the whole process, {memory.n} "
            "seeds): gradients and optimiser states shrink, weights and activations do not, so that larger batches or "
            "longer texts bring the ratio nearer to 1.",
            memory,
        ),
    ]


def _spent(joined: pd.DataFrame, name: str) -> Spent | None:
    """Return what the runs of a setting took; None where there are none."""
    settings = joined["setting"].astype(object).where(joined["setting"].notna(), None)
    names = [setting_name(method, setting) for method, setting in zip(joined["method"], settings, strict=True)]
    own = joined[[each == name for each in names]].set_index("seed")
    if own.empty:
        return None
    cpu, memory = own["cpu_seconds"].astype(float), own["peak_memory_mb"].astype(float)
    return Spent(cpu, memory, float(own["params_percent"].iloc[0]))


def _ratio(left: pd.Series[float], right: pd.Series[float], confidence: float) -> Effect:
    """Return the geometric mean of the ratios by seed, with Student's interval of its logarithm."""
    one, other = left.align(right, join="inner")
    found = paired_difference(np.log(one.to_numpy()), np.log(other.to_numpy()), confidence)
    size, low, high = (None if value is None else exp(value) for value in (found.mean, found.low, found.high))
    return Effect(size, "ratio", low, high, f"{interval_name(confidence)}, of the logarithm, paired", found.n)


def _words(ratio: Effect) -> str:
    interval = "" if ratio.low is None or ratio.high is None else f" [{ratio.low:.2f}, {ratio.high:.2f}]"
    return f"{ratio.size:.2f}{interval}"


def _finding(name: str, question: str, evidence: str, detail: str, effect: Effect) -> Finding:
    return Finding("answer", name, NAME, question, ATLAS, "measured", evidence, detail, effect=effect)


def costs_step(step: Step) -> None:
    """Compare the costs of single runs; a file of its own, since it holds times."""
    runs, costs = step.read_all("runs"), step.read_all("costs")
    step.write("findings", as_rows(cost_answers(runs, costs, step.params["method"], step.params["confidence"])))
