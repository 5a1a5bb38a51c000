"""Which conclusions of peft's benchmark hold in every pass of its history, beyond the noise of reruns."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Literal

import pandas as pd

from peft_atlas.analysis.finding import POINTS, Effect, Finding
from peft_atlas.studies.record.audit import MATH_ROWS, largest_noise
from peft_atlas.studies.record.passes import FULL, LORA, Noise, differences, math_runs, passes
from peft_atlas.studies.record.wording import ONE_SEED, PEFT, answer, claim, listed

Verdict = Literal["supported", "contradicted", "undecided"]
_INTERVAL = "95 % from the noise of reruns at one seed, mean over passes"
# Conclusions that readers draw from the newest table: what is said to be more accurate than what.
COMPARISONS = (
    ("full_above_lora", "Full fine-tuning is more accurate than LoRA of rank 32", FULL, LORA),
    (
        "mlp_above_attention",
        "At equal parameters LoRA on the MLP is more accurate than on query and value",
        "lora/llama-3.2-3B-rank10-target-mlp",
        LORA,
    ),
    ("rslora", "rsLoRA of rank 64 is more accurate than LoRA of rank 32", "lora/llama-3.2-3B-rank64-rslora", LORA),
    ("rank_64", "LoRA of rank 64 is more accurate than of rank 32", "lora/llama-3.2-3B-rank64", LORA),
    ("dora", "DoRA is more accurate than LoRA of the same rank", "lora/llama-3.2-3B-rank32-dora", LORA),
    ("lora_above_lorafa", "LoRA is more accurate than LoRA-FA", LORA, "lora/llama-3.2-3B-rank32-lorafa"),
    ("ia3_rate", "(IA)3 gains from a tenfold rate", "ia3/llama-3.2-3B-lr_0.001", "ia3/llama-3.2-3B-default"),
    (
        "prompt_tuning_rate",
        "Prompt tuning gains from a higher rate",
        "prompt_tuning/llama-3.2-3B-lr_0.001",
        "prompt_tuning/llama-3.2-3B-default",
    ),
)


def conclusions(runs: pd.DataFrame) -> list[Finding]:
    """Return the benchmark's conclusions with their verdicts, and the answer that counts them.

    A conclusion is supported if every pass has its sign and the interval of its mean excludes 0, contradicted if every
    pass has the other sign and the interval excludes 0, otherwise undecided.
    """
    rows = math_runs(runs)
    found, noise = passes(rows), largest_noise(rows)
    judged = [
        _compared(name, statement, (left, right), found, noise)
        for name, statement, left, right in COMPARISONS
        if differences(found, left, right)
    ]
    return [_survives(judged), _against_full(judged, found), _modules(judged, found), *judged]


def verdict(values: Mapping[str, float], effect: Effect) -> Verdict:
    """Return what passes and the interval of their mean say of a difference that is claimed to be positive."""
    if effect.excludes_zero and all(value > 0 for value in values.values()):
        return "supported"
    if effect.excludes_zero and all(value < 0 for value in values.values()):
        return "contradicted"
    return "undecided"


def difference(values: Mapping[str, float], noise: Noise) -> Effect:
    """Return the mean of a difference over passes, with the interval that the noise of reruns gives it."""
    mean, half = sum(values.values()) / len(values), noise.half_width(len(values))
    return Effect(mean, POINTS, mean - half, mean + half, _INTERVAL, len(values), noise.detectable(len(values)))


def _compared(
    name: str, statement: str, pair: tuple[str, str], found: Mapping[str, pd.DataFrame], noise: Noise
) -> Finding:
    """Return whether one experiment is more accurate than another, in every pass and beyond the noise."""
    values = differences(found, *pair)
    effect = difference(values, noise)
    judged = verdict(values, effect)
    each = listed([f"{value:+.1f} in {when}" for when, value in values.items()])
    more = "" if judged != "undecided" else f" What would decide it: {_seeds(effect, noise)}"
    return claim(
        f"conclusion_{name}",
        f"{statement} (Llama-3.2-3B, MetaMathQA to GSM8K)",
        PEFT,
        judged,
        f"{MATH_ROWS}, experiment={' and '.join(pair)}, score",
        f"{pair[0]} less {pair[1]}, in points: {each}; on average {effect.in_words()} over {len(values)} passes."
        f"{_also_differ(found, *pair)} {ONE_SEED}{more}",
        effect,
    )


def _seeds(effect: Effect, noise: Noise) -> str:
    """Return the number of paired seeds that would detect the difference that was seen, or a point if it is smaller."""
    wanted = max(abs(effect.size or 0.0), 1.0)
    needed = max(2, ceil((noise.detectable() / wanted) ** 2))
    return (
        f"{needed} seeds of both in one software version would detect {wanted:.1f} points with 80 % power, if seeds "
        "vary no more than reruns do."
    )


def _also_differ(found: Mapping[str, pd.DataFrame], left: str, right: str) -> str:
    """Return what else was set differently in the last pass that ran both."""
    rows = [passed.loc[[left, right]] for passed in found.values() if {left, right} <= set(passed.index)][-1]
    values = {
        name.replace("_", " "): [f"{value:g}" if pd.notna(value) else "not set" for value in rows[name]]
        for name in ("learning_rate", "weight_decay", "steps")
    }
    words = [f"{name} ({' and '.join(each)})" for name, each in values.items() if len(set(each)) > 1]
    return f" They differ in {listed(words)} too." if words else ""


def _survives(judged: list[Finding]) -> Finding:
    """Return how many conclusions hold in every pass beyond the noise."""
    by = {
        name: [each for each in judged if each.verdict == name] for name in ("supported", "contradicted", "undecided")
    }
    words = [
        f"{name}: {listed([each.statement.split(' (Llama')[0] for each in found])}"
        for name, found in by.items()
        if found
    ]
    return answer(
        "survives",
        "Which conclusions of peft's benchmark survive its own history?",
        PEFT,
        f"findings: kind=claim, id={' and '.join(each.id for each in judged)}",
        f"Of {len(judged)} conclusions of peft's method comparison {len(by['supported'])} have one sign in every pass "
        f"and exceed the noise of reruns. {'. '.join(word[0].upper() + word[1:] for word in words)}. {ONE_SEED}",
        Effect(float(len(by["supported"])), "conclusions that hold in every pass", n=len(judged)),
    )


def _against_full(judged: list[Finding], found: Mapping[str, pd.DataFrame]) -> Finding:
    """Return LoRA's accuracy less full fine-tuning's on a LLaMA model."""
    (full,) = [each for each in judged if each.id == "record_conclusion_full_above_lora"]
    known = full.effect or Effect(None)
    low, high = (None if end is None else -end for end in (known.high, known.low))
    size = None if known.size is None else -known.size
    effect = Effect(size, POINTS, low, high, known.interval, known.n, known.detectable)
    return answer(
        "against_full",
        "Is LoRA as accurate as full fine-tuning on a LLaMA model?",
        PEFT,
        full.evidence,
        f"On Llama-3.2-3B, trained on MetaMathQA and tested on GSM8K, LoRA of rank 32 less full fine-tuning is "
        f"{effect.in_words()} over {effect.n} passes of peft's benchmark ({effect.detectable_in_words()}), above 0 in "
        f"{_above_zero(found, LORA, FULL)}. {ONE_SEED} "
        "Full fine-tuning has one learning rate.",
        effect,
    )


def _above_zero(found: Mapping[str, pd.DataFrame], left: str, right: str) -> str:
    """Return in how many passes one experiment is above another."""
    values = differences(found, left, right).values()
    return f"{sum(value > 0 for value in values)} of {len(values)}"


def _modules(judged: list[Finding], found: Mapping[str, pd.DataFrame]) -> Finding:
    """Return what another choice of modules changes at nearly equal parameters."""
    (chosen,) = [each for each in judged if each.id == "record_conclusion_mlp_above_attention"]
    _, _, mlp, attention = next(each for each in COMPARISONS if chosen.id.endswith(each[0]))
    rows = [passed for passed in found.values() if {mlp, attention} <= set(passed.index)][-1]
    more = 100 * (rows.loc[mlp, "trainable_params"] / rows.loc[attention, "trainable_params"] - 1)
    effect = chosen.effect or Effect(None)
    return answer(
        "modules",
        "Does the choice of modules matter at equal parameters?",
        PEFT,
        chosen.evidence,
        f"On Llama-3.2-3B LoRA on the MLP (rank 10, {more:+.0f} % parameters) less LoRA on query and value (rank 32) "
        f"is {effect.in_words()} over {effect.n} passes of peft's benchmark, above 0 in "
        f"{_above_zero(found, mlp, attention)}. {ONE_SEED}",
        effect,
    )
