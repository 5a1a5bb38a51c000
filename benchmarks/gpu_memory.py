"""Measure what training steps take on this machine's GPU, for settings that the planner has predicted before.

Run it as ``python benchmarks/gpu_memory.py OUT.csv``. Every case builds a model of the shipped shapes with random
weights, whose values change no memory, attaches a method of peft, and takes steps of torch's AdamW on random tokens
of full length; what the model returns besides the loss is dropped before the backward pass, as by Trainer. A row holds
the settings as in ``planning/data/measured.csv``, the largest memory that torch had allocated in all steps (GB of 10^9
bytes), what the planner predicts, and the median time of a step after the first two, which means nothing where other
jobs use the GPU. Neither the cases nor the closed form may be changed after a look at the result: it is a test, not a
fit. The rows are shipped as ``planning/data/measured_here.csv``.
"""

from __future__ import annotations

import csv
import gc
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import peft
import torch
import transformers
from torch import nn

from peft_atlas.planning.planner import plan
from peft_atlas.planning.settings import Settings
from peft_atlas.planning.shapes import rows
from peft_atlas.version import __version__

STEPS, WARM_UP = 6, 2
# Names in config.json of the columns of shipped shapes that these models need.
SIZES = (
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim",
    "vocab_size", "max_position_embeddings",
)  # fmt: skip
ALL_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
FIELDS = (
    "precision", "quantization", "adapter_dtype", "autocast", "optimizer", "micro_batch", "sequence", "checkpointing",
    "accumulation", "fused_step", "chunked_loss", "dropout", "stack",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A model, a method and settings."""

    model: str
    method: str
    micro_batch: int
    sequence: int
    rank: int | None = None
    targets: tuple[str, ...] = ("q_proj", "v_proj")
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def planned(self) -> Settings:
        """Return the planner's settings."""
        return Settings(micro_batch=self.micro_batch, sequence=self.sequence, **self.settings)

    @property
    def own_targets(self) -> tuple[str, ...]:
        """Return the matrices that the method is attached to, none for one that has no such choice."""
        return () if self.method in ("full", "prompt") else self.targets


CKPT = {"checkpointing": True}
CASES = (
    # The question that users ask, with checkpointing, and over a 4-bit base.
    Case("Llama-3-8B", "lora", 4, 1024, 8),
    Case("Llama-3-8B", "lora", 4, 1024, 8, settings=CKPT),
    Case("Llama-3-8B", "lora", 4, 1024, 8, settings={"quantization": "nf4", **CKPT}),
    Case("Llama-3-8B", "lora", 1, 1024, 16, ALL_LINEAR, {"quantization": "nf4-dq"}),
    Case("Llama-3-8B", "lora", 1, 2048, 16, ALL_LINEAR),
    Case("Llama-3-8B", "lora", 8, 2048, 64, ALL_LINEAR, CKPT),
    Case("Llama-3-8B", "dora", 2, 1024, 16),
    Case("Llama-3-8B", "ia3", 4, 512, targets=("k_proj", "v_proj", "down_proj")),
    Case("Llama-3-8B", "prompt", 4, 512, 20),
    Case("Llama-3-8B", "full", 1, 512, settings=CKPT),
    Case("Llama-3.2-3B", "full", 2, 1024),
    Case("Llama-3.2-3B", "full", 4, 1024, settings=CKPT),
    Case("Llama-3.2-3B", "lora", 2, 1024, 8),
    Case("Llama-3.2-3B", "lora", 2, 1024, 64, ALL_LINEAR),
    Case("Llama-3.2-3B", "dora", 2, 1024, 8),
    Case("Llama-3.2-3B", "vera", 2, 1024, 256),
    Case("Llama-3.2-3B", "ia3", 2, 1024, targets=("k_proj", "v_proj", "down_proj")),
    Case("Llama-3.2-3B", "lora", 2, 1024, 8, settings={"adapter_dtype": "bf16"}),
    Case("Llama-3.2-1B", "full", 4, 512, settings={"precision": "fp32"}),
    Case("Llama-3.2-1B", "full", 4, 512, settings={"precision": "bf16-mixed"}),
    Case("Llama-3.2-1B", "lora", 8, 1024, 16, ALL_LINEAR, {"precision": "bf16-mixed"}),
    Case("Llama-3.2-1B", "lora", 16, 512, 8, settings={"dropout": 0.05}),
    Case("Qwen2.5-7B", "lora", 2, 1024, 16, ALL_LINEAR),
    Case("Qwen2.5-7B", "lora", 8, 1024, 16, settings=CKPT),
    Case("Mistral-7B-v0.1", "lora", 4, 512, 64, ALL_LINEAR),
    Case("Mistral-7B-v0.1", "dora", 4, 512, 16, ALL_LINEAR, CKPT),
    Case("Qwen3-4B", "lora", 4, 768, 32),
    Case("Qwen3-4B", "full", 1, 512, settings=CKPT),
    Case("Gemma-2-2b", "lora", 2, 1024, 8),
    Case("SmolLM2-1.7B", "lora", 8, 512, 8, ALL_LINEAR),
    Case("SmolLM2-135M", "full", 16, 512),
    Case("SmolLM2-135M", "lora", 16, 512, 8, ALL_LINEAR),
)


def base_model(case: Case) -> nn.Module:
    """Return the model with random weights on the GPU."""
    shape = next(row for row in rows("shapes.csv") if row["name"] == case.model)
    stated: dict[str, Any] = {name: int(shape[name]) for name in SIZES if shape[name]}
    stated["tie_word_embeddings"] = shape["tie_word_embeddings"] == "true"
    config = transformers.AutoConfig.for_model(shape["model_type"], **stated)
    dtype = torch.bfloat16 if case.planned.precision == "bf16" else torch.float32
    with torch.device("cuda"):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=dtype)
    if case.planned.quantization != "none":
        quantise(model, double=case.planned.quantization == "nf4-dq")
    model.config.use_cache = False
    return model


def quantise(model: nn.Module, *, double: bool) -> None:
    """Put the matrices of the layers into 4 bits, one after another."""
    import bitsandbytes as bnb

    for name, module in list(model.named_modules()):
        if not isinstance(module, nn.Linear) or name == "lm_head":
            continue
        linear = bnb.nn.Linear4bit(
            module.in_features, module.out_features, bias=False, compute_dtype=torch.bfloat16,
            compress_statistics=double, quant_type="nf4", device="meta",
        )  # fmt: skip
        linear.weight = bnb.nn.Params4bit(
            module.weight.data.cpu(), requires_grad=False, compress_statistics=double, quant_type="nf4"
        )
        parent = model.get_submodule(name.rpartition(".")[0])
        setattr(parent, name.rpartition(".")[2], linear.cuda())
    model.is_loaded_in_4bit = True


def peft_config(case: Case) -> peft.PeftConfig:
    """Return peft's configuration of a case."""
    common: dict[str, Any] = {"task_type": "CAUSAL_LM"}
    targets = list(case.targets)
    match case.method:
        case "lora" | "dora":
            return peft.LoraConfig(
                r=case.rank, lora_alpha=2 * (case.rank or 0), target_modules=targets, use_dora=case.method == "dora",
                lora_dropout=case.planned.dropout, **common,
            )  # fmt: skip
        case "ia3":
            return peft.IA3Config(target_modules=targets, feedforward_modules=["down_proj"], **common)
        case "vera":
            return peft.VeraConfig(r=case.rank, target_modules=targets, **common)
        case "prompt":
            return peft.PromptTuningConfig(num_virtual_tokens=case.rank, **common)
    raise ValueError(case.method)


def adapted(case: Case) -> nn.Module:
    """Return the model ready to train."""
    model = base_model(case)
    if case.planned.checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if case.method == "full":
        return model.train()
    found = peft.get_peft_model(model, peft_config(case), autocast_adapter_dtype=case.planned.adapter_dtype == "fp32")
    return found.train()


def measure(case: Case) -> tuple[float, float]:
    """Return the peak of all steps in GB, and the median seconds of a step after the warm-up."""
    model = adapted(case)
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=1e-5)
    vocabulary = model.config.vocab_size
    mixed = case.planned.precision == "bf16-mixed"
    seconds = []
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    for step in range(STEPS):
        draws = torch.Generator().manual_seed(step)
        tokens = torch.randint(vocabulary, (case.micro_batch, case.sequence), generator=draws).cuda()
        torch.cuda.synchronize()
        start = time.perf_counter()
        with torch.autocast("cuda", torch.bfloat16) if mixed else nullcontext():
            loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        del loss
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return torch.cuda.max_memory_allocated() / 1e9, median(seconds[WARM_UP:])


def commit() -> str:
    """Return the commit of this code."""
    words = ["git", "rev-parse", "HEAD"]
    return subprocess.run(words, cwd=Path(__file__).parent, capture_output=True, text=True, check=True).stdout.strip()


def row_of(case: Case) -> dict[str, Any]:
    """Return the row of a case, measured or with why it could not be."""
    settings = case.planned
    predicted = plan(case.model, case.method, rank=case.rank, targets=case.own_targets, settings=settings)
    words = {True: "yes", False: "no"}
    stated: dict[str, Any] = {}
    for name in FIELDS:
        value = getattr(settings, name)
        stated[name] = words[value] if isinstance(value, bool) else value
    gpu = torch.cuda.get_device_name()
    row: dict[str, Any] = {
        "record": f"case {CASES.index(case)}", "source": f"PEFT Atlas on {gpu.split()[1]}", "model": case.model,
        "method": case.method, "rank": predicted.rank if case.rank else "",
        "targets": "|".join(case.own_targets), **stated,
        "gpu": gpu, "gpu_gb": round(torch.cuda.mem_get_info()[1] / 2**30),
        "torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__,
        "peft_atlas": __version__,
        "predicted_gb": predicted.peak_bytes / 1e9, "low_gb": predicted.low_bytes / 1e9,
        "high_gb": predicted.high_bytes / 1e9, "moment": predicted.moment,
        "measure": "allocated", "assumed": "", "excluded": "", "repository": "peft-atlas",
        "path": "benchmarks/gpu_memory.py", "commit": commit(), "line": "",
    }  # fmt: skip
    try:
        measured, seconds = measure(case)
        row |= {"outcome": "ran", "measured_gb": measured, "step_seconds": seconds}
    except torch.OutOfMemoryError:
        row |= {"outcome": "OOM", "measured_gb": "", "step_seconds": ""}
    except Exception as error:
        row |= {"outcome": f"failed: {error!r}"[:300], "measured_gb": "", "step_seconds": ""}
    return row


def measured_rows() -> Iterator[dict[str, Any]]:
    """Yield a row for each case, with an empty GPU before it."""
    for case in CASES:
        yield row_of(case)
        gc.collect()
        torch.cuda.empty_cache()


def main() -> None:
    """Measure all cases, writing each row as soon as it is known."""
    with Path(sys.argv[1]).open("w", encoding="utf-8", newline="") as file:
        writer = None
        for row in measured_rows():
            if writer is None:
                writer = csv.DictWriter(file, list(row), lineterminator="\n")
                writer.writeheader()
            writer.writerow(row)
            file.flush()
            print({name: row[name] for name in ("model", "method", "outcome", "predicted_gb", "measured_gb")})


if __name__ == "__main__":
    main()
