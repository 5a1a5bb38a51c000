"""The bytes that training takes, by base model, method and precision, and the peak of a step at one stated setting."""

from __future__ import annotations

import pandas as pd

from peft_atlas.accounting.architectures import DECODERS, DecoderGeometry
from peft_atlas.accounting.memory import COLUMNS, FULL, memory_table
from peft_atlas.accounting.parameters import SETTINGS, LowRank, Prefix
from peft_atlas.planning import Plan, Settings, plan
from peft_atlas.planning.architecture import Architecture
from peft_atlas.planning.read_config import architecture_of
from peft_atlas.step import Step

# The setting of the peaks: the one that the planner of the report opens with.
MICRO_BATCH, SEQUENCE = 4, 1024
PEAK_COLUMNS = ("micro_batch", "sequence", "peak_bytes", "peak_low_bytes", "peak_high_bytes")


def memory_step(step: Step) -> None:
    """Compute the bytes."""
    step.write("memory", memory_with_peaks())


def memory_with_peaks() -> pd.DataFrame:
    """Return `memory_table` with the predicted peak of each row at the stated setting.

    Returns
    -------
    pandas.DataFrame
        Rows of the contract ``memory``. The peaks are null for methods that `peft_atlas.planning` does not model.
    """
    rows = memory_table()
    models = {geometry.name: _architecture(geometry) for geometry in DECODERS}
    keys = zip(rows["base_model"], rows["method"], rows["setting"], rows["precision"], strict=True)
    peaks = pd.DataFrame([_peak(models[model], *key) for model, *key in keys], columns=list(PEAK_COLUMNS))
    return pd.concat([rows[list(COLUMNS)], peaks.astype("Int64")], axis=1)


def _architecture(geometry: DecoderGeometry) -> Architecture:
    """Return a LLaMA of the published tables as the planner takes it."""
    config = {
        "model_type": "llama", "hidden_size": geometry.hidden, "intermediate_size": geometry.intermediate,
        "num_hidden_layers": geometry.layers, "num_attention_heads": geometry.heads, "vocab_size": geometry.vocabulary,
        "max_position_embeddings": 2048,
    }  # fmt: skip
    return architecture_of(config, geometry.name)


def _peak(model: Architecture, method: str, setting: str, precision: str) -> tuple[int | None, ...]:
    """Return the columns of the peak for one row."""
    found = _plan(model, method, setting, precision)
    if found is None:
        return (None,) * len(PEAK_COLUMNS)
    return MICRO_BATCH, SEQUENCE, found.peak_bytes, found.low_bytes, found.high_bytes


def _plan(model: Architecture, method: str, setting: str, precision: str) -> Plan | None:
    """Return the plan of a configuration; one that is not modelled has none.

    In bf16 mixed precision full fine-tuning keeps fp32 weights under autocast, and an adapter in fp32 lies over
    frozen weights in bf16: the bytes a parameter are those of `peft_atlas.accounting.memory`.
    """
    full = method == FULL
    chosen = "fp32" if precision == "fp32" else "bf16-mixed" if full else "bf16"
    settings = Settings(micro_batch=MICRO_BATCH, sequence=SEQUENCE, precision=chosen)
    if full:
        return plan(model, "full", settings=settings)
    match next(one.adapter for one in SETTINGS if (one.method, one.setting) == (method, setting)):
        case LowRank(rank=rank, modules=modules, magnitude=magnitude):
            return plan(model, "dora" if magnitude else "lora", rank=rank, targets=modules, settings=settings)
        case Prefix(virtual_tokens=tokens):
            return plan(model, "prefix", rank=tokens, settings=settings)
    return None
