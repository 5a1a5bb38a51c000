"""The closed form against the trace, part by part, on small models of many families and several settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from peft_atlas.planning.moments import peak
from peft_atlas.planning.planner import step_of
from peft_atlas.planning.read_config import architecture_of
from peft_atlas.planning.settings import Settings
from peft_atlas.planning.trace import GRADIENTS, LOGITS, OPTIMIZER, SAVED, WEIGHTS, WORKING, build, trace_step

PARTS = (WEIGHTS, OPTIMIZER, GRADIENTS, "kept or working", LOGITS)
_SIZES = {
    "vocab_size": 4000,
    "num_hidden_layers": 6,
    "num_attention_heads": 8,
    "hidden_size": 512,
    "intermediate_size": 1408,
}
_GROUPED = {**_SIZES, "num_key_value_heads": 2}


@dataclass(frozen=True)
class Case:
    """A model: its configuration class in transformers, sizes, and the class of its task."""

    name: str
    config: str
    sizes: Mapping[str, Any]
    model: str = "AutoModelForCausalLM"


CASES = (
    Case("llama", "LlamaConfig", _GROUPED),
    Case("qwen2", "Qwen2Config", {**_GROUPED, "tie_word_embeddings": True}),
    Case("qwen3", "Qwen3Config", {**_GROUPED, "head_dim": 64}),
    Case("mistral", "MistralConfig", {**_GROUPED, "head_dim": 64}),
    Case("gemma", "GemmaConfig", {**_SIZES, "num_key_value_heads": 1, "head_dim": 64}),
    Case("gemma3", "Gemma3TextConfig", {**_GROUPED, "head_dim": 64}),
    Case("phi", "PhiConfig", {**_SIZES, "num_key_value_heads": 8}),
    Case("phi3", "Phi3Config", {**_GROUPED, "pad_token_id": 0}),
    Case("gpt2", "GPT2Config", {"vocab_size": 4000, "n_embd": 512, "n_layer": 6, "n_head": 8, "resid_pdrop": 0.0,
                                "attn_pdrop": 0.0, "embd_pdrop": 0.0}),
    Case("gpt_neox", "GPTNeoXConfig", _SIZES),
    Case("mixtral", "MixtralConfig", {**_GROUPED, "num_local_experts": 4}),
    Case("bert", "BertConfig", {**_SIZES, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
         "AutoModelForSequenceClassification"),
    Case("vit", "ViTConfig", {**_SIZES, "image_size": 224}, "AutoModelForImageClassification"),
)  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """A method and settings; ``options`` go to peft's LoraConfig."""

    name: str
    method: str
    targets: tuple[str, ...] = ()
    options: tuple[tuple[str, object], ...] = ()
    changes: tuple[tuple[str, Any], ...] = ()


SETTINGS = (
    Setting("full, bf16", "full"),
    Setting("full, fp32", "full", changes=(("precision", "fp32"),)),
    Setting("full, bf16, checkpointing", "full", changes=(("checkpointing", True),)),
    Setting("full, bf16 mixed", "full", changes=(("precision", "bf16-mixed"),)),
    Setting("LoRA, default targets", "lora"),
    Setting("LoRA, all linear", "lora", ("all-linear",)),
    Setting("DoRA, all linear", "dora", ("all-linear",), (("use_dora", True),)),
    Setting("LoRA, all linear, checkpointing", "lora", ("all-linear",), changes=(("checkpointing", True),)),
    Setting("LoRA, all linear, autocast", "lora", ("all-linear",), changes=(("autocast", True),)),
    Setting("LoRA, all linear, eager", "lora", ("all-linear",), changes=(("kernel", "eager"),)),
)
RANK, BATCH, LENGTH = 16, 2, 256


@dataclass(frozen=True)
class Comparison:
    """Both ways on one model and setting: bytes by part."""

    case: str
    setting: str
    closed: Mapping[str, int]
    traced: Mapping[str, int]

    @property
    def difference(self) -> float:
        """Return the closed form's peak relative to the traced one, less one."""
        return sum(self.closed.values()) / sum(self.traced.values()) - 1


def compare(case: Case, setting: Setting) -> Comparison:
    """Return the peak of one model at one setting both ways."""
    import transformers

    config = getattr(transformers, case.config)(**case.sizes)
    settings = Settings(micro_batch=BATCH, sequence=LENGTH, **dict(setting.changes))
    architecture = architecture_of(config.to_dict(), case.name)
    rank = None if setting.method == "full" else RANK
    step = step_of(architecture, setting.method, rank, setting.targets, settings)
    adapter = None if setting.method == "full" else _adapter(step.attachment.linears, case, dict(setting.options))
    dtype = torch.bfloat16 if settings.precision == "bf16" else torch.float32
    model = build(getattr(transformers, case.model), config, dtype=dtype, kernel=settings.kernel, adapter=adapter)
    traced = trace_step(
        model, lambda: _batch(case, dtype), words=architecture.vocabulary or -1, sequence=step.sequence,
        checkpointing=settings.checkpointing, autocast=settings.casts,
    )  # fmt: skip
    return Comparison(case.name, setting.name, _closed(step), _grouped(traced.parts))


def _adapter(linears: Any, case: Case, options: Mapping[str, Any]) -> Any:
    from peft import LoraConfig

    names = sorted({linear.name for _, linear in linears})
    task = {"AutoModelForCausalLM": "CAUSAL_LM", "AutoModelForSequenceClassification": "SEQ_CLS"}.get(case.model)
    saved = ["classifier"] if case.model == "AutoModelForImageClassification" else None
    return LoraConfig(r=RANK, target_modules=names, task_type=task, modules_to_save=saved, **options)


def _batch(case: Case, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    if case.model == "AutoModelForImageClassification":
        return {
            "pixel_values": torch.empty(BATCH, 3, 224, 224, dtype=dtype),
            "labels": torch.zeros(BATCH, dtype=torch.long),
        }
    ids = torch.zeros(BATCH, LENGTH, dtype=torch.long)
    if case.model == "AutoModelForCausalLM":
        return {"input_ids": ids, "labels": ids, "use_cache": False}  # type: ignore[dict-item]
    return {"input_ids": ids, "labels": torch.zeros(BATCH, dtype=torch.long)}


def _closed(step: Any) -> dict[str, int]:
    parts = peak(step).parts
    return {
        WEIGHTS: parts.frozen_weights + parts.adapter, OPTIMIZER: parts.optimizer, GRADIENTS: parts.gradients,
        "kept or working": parts.activations + parts.adapter_inputs + parts.working, LOGITS: parts.logits,
    }  # fmt: skip


def _grouped(parts: Mapping[str, int]) -> dict[str, int]:
    together = parts.get(SAVED, 0) + parts.get(WORKING, 0)
    return {name: together if name == "kept or working" else parts.get(name, 0) for name in PARTS}
