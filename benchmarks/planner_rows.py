"""Translate published training peaks into the table that the planner is tested on.

Run it as ``python benchmarks/planner_rows.py FACTS OUT``, with the folder of facts (see data of the issue: one CSV for
each source, with repository, commit and path in every row) and the folder to write to. Every run becomes a row, also
those whose peak is not printed; a row that cannot be predicted keeps the reason. Nothing is fitted here: a setting
that a source does not say is set by the rule named in ``assumed``.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

GIB = 2**30
COLUMNS = (
    *("record", "source", "model", "method", "rank", "targets", "precision", "quantization", "adapter_dtype"),
    *(
        "autocast",
        "optimizer",
        "micro_batch",
        "sequence",
        "checkpointing",
        "accumulation",
        "fused_step",
        "chunked_loss",
    ),
    *("dropout", "stack", "gpu", "gpu_gb", "outcome", "measured_gb", "measure", "assumed", "excluded"),
    *("repository", "path", "commit", "line"),
)
Row = dict[str, object]
GPU_GB = {"A10G": 24, "A100": 40, "A100-SXM4-40GB": 40, "A100 80GB": 80, "Tesla T4": 16, "A100-40GB": 40,
          "A100-80GB": 80, "NVIDIA A100-SXM4-40GB": 40, "NVIDIA A100-SXM4-80GB": 80, "RTX 4090": 24, "4090": 24,
          "A6000": 48, "NVIDIA L40S": 48}  # fmt: skip
OPTIMIZERS = {"adamw_8bit": "adamw-8bit", "paged_adamw_8bit": "adamw-8bit-paged"}
METHODS = {"full": "full", "LoRA": "lora", "QLoRA": "lora"}


def number(value: str) -> int | str:
    """Return a whole number, or the text that is none."""
    return int(float(value)) if value else ""


def blank(raw: Mapping[str, str]) -> Row:
    """Return a row with its origin and nothing else."""
    origin = {name: raw[name] for name in ("repository", "path", "commit")}
    return dict.fromkeys(COLUMNS, "") | origin | {"line": raw.get("line", "")}


# peft's benchmarks ------------------------------------------------------------

PEFT_TYPES = {"LORA": "lora", "ADALORA": "adalora", "IA3": "ia3", "VERA": "vera", "LOHA": "loha", "LOKR": "lokr",
              "OFT": "oft", "PREFIX_TUNING": "prefix", "PROMPT_TUNING": "prompt", "P_TUNING": "p-tuning",
              "LN_TUNING": "ln-tuning", "FOURIERFT": "fourierft", "MISS": "miss", "BONE": "miss", "HIRA": "hira",
              "DELORA": "delora", "GRALORA": "gralora", "C3A": "c3a", "ROAD": "road", "PVERA": "pvera",
              "SHIRA": "shira", "RANDLORA": "randlora", "BEFT": "beft",
              "": "full", "FULL": "full"}  # fmt: skip


def peft_method(raw: Mapping[str, str], other: Mapping[str, object]) -> str:
    """Return the method of a run, or '' where it is none of the planner's."""
    found = PEFT_TYPES.get(raw["peft_type"], "")
    name = raw["experiment"]
    if found == "lora" and any(word in name for word in ("bdlora", "mica")):
        return ""
    if found == "lora" and raw["use_dora"] == "true":
        return "dora"
    if "lorafa" in name:
        return "lora-fa"
    return "" if found == "miss" and ("bat" in name or "mini" in name) else found


def peft_rank(raw: Mapping[str, str], other: Mapping[str, object], method: str) -> object:
    """Return the rank under which the planner knows a run: virtual tokens, frequencies, or the initial rank."""
    names = {"adalora": "init_r", "prefix": "num_virtual_tokens", "prompt": "num_virtual_tokens",
             "p-tuning": "num_virtual_tokens", "fourierft": "n_frequency", "c3a": "block_size"}  # fmt: skip
    if method in names:
        return other.get(names[method], "")
    return number(raw["rank"])


def peft_rows(folder: Path, name: str, task: str) -> Iterator[Row]:
    """Yield the runs of one of peft's benchmarks."""
    for raw in csv.DictReader((folder / name).open(encoding="utf-8")):
        other = json.loads(raw["other_peft_settings"] or "{}")
        method = peft_method(raw, other)
        image = task == "image-gen"
        peak = raw["memory_max_reserved_bytes"]
        excluded = "" if method else f"method {raw['peft_type']} ({raw['experiment'].split('/')[-1]}) is not modelled"
        if image and method in ("lokr", "prefix", "prompt", "p-tuning"):
            excluded = f"method {method} on an image model is not modelled"
        targets = raw["target_modules"] if method not in ("full", "ln-tuning", "prefix", "prompt", "p-tuning") else ""
        if image and method == "oft":
            excluded = "oft by block size, with inputs of different widths: not modelled"
        if "LSTM" in raw["experiment"]:
            excluded = "P-tuning with an LSTM: not modelled"
        if raw["gpu"].endswith("Laptop GPU"):
            excluded = excluded or "another machine with less memory than the run reports: its batches are not stated"
        yield blank(raw) | {
            "record": f"{raw['experiment']} {raw['run_date'][:10]}",
            "source": f"peft {task}",
            "model": "FLUX.2-klein-base-4B" if image else "Llama-3.2-3B",
            "method": method, "rank": peft_rank(raw, other, method), "targets": targets,
            "precision": "bf16", "quantization": "none",
            "adapter_dtype": "bf16" if raw["autocast_adapter_dtype"] == "false" else "fp32",
            "autocast": "no", "optimizer": "adamw",
            "micro_batch": number(raw["batch_size"]), "sequence": 1 if image else number(raw["max_seq_length"]),
            "checkpointing": "yes" if raw["gradient_checkpointing"] == "true" else "no",
            "accumulation": 1, "fused_step": "no", "chunked_loss": "no", "dropout": 0, "stack": "transformers",
            "gpu": raw["gpu"], "gpu_gb": GPU_GB.get(raw["gpu"], ""), "outcome": "ran" if peak else "not printed",
            "measured_gb": float(peak) / 1e9 if peak else "", "measure": "reserved",
            "assumed": "image: 1024 + 512 tokens" if image else "longest batch reaches max_seq_length",
            "excluded": excluded,
        }  # fmt: skip


# litgpt ------------------------------------------------------------


def litgpt_targets(hidden: Mapping[str, object], model: str) -> str:
    """Return the adapted matrices under the names of the model's family in transformers."""
    neox = any(word in model.lower() for word in ("pythia", "stablelm", "falcon"))
    phi = model.lower() in ("phi-1_5", "phi-2")
    fused_mlp = "phi-3" in model.lower()
    names = {
        "lora_query": ["q_proj"], "lora_key": ["k_proj"], "lora_value": ["v_proj"],
        "lora_projection": ["dense" if neox or phi else "o_proj"],
        "lora_mlp": ["dense_h_to_4h", "dense_4h_to_h"] if neox else ["fc1", "fc2"] if phi
        else ["gate_up_proj" if fused_mlp else "gate_proj", "gate_up_proj" if fused_mlp else "up_proj", "down_proj"],
        "lora_head": ["lm_head"],
    }  # fmt: skip
    return "|".join(dict.fromkeys(part for key, parts in names.items() if hidden.get(key) for part in parts))


def litgpt_row(raw: Mapping[str, str]) -> Row:
    """Return a run of litgpt."""
    hidden = json.loads(raw["hidden_settings"] or "{}")
    method = METHODS.get(raw["method"], "")
    devices = int(hidden.get("devices", raw["n_gpus"] or 1))
    excluded = "" if method else f"method {raw['method']} is not modelled"
    if devices > 1:
        excluded = f"{devices} processes shard the model: not modelled"
    if not raw["sequence_length"]:
        excluded = excluded or "sequence length not stated"
    quantized = (
        str(hidden.get("quantize") or raw["quantization"] or "none").removeprefix("bnb.").replace("none", "none")
    )
    micro = hidden.get("train.micro_batch_size", raw["micro_batch_size"] or 1)
    total = hidden.get("train.global_batch_size", hidden.get("batch_size", raw["global_batch_size"] or 1))
    mixed = raw["precision"] == "bf16-mixed"
    table = (
        "resource tables" if "resource" in raw["path"] else "config hub" if "config_hub" in raw["path"] else "tutorials"
    )
    return blank(raw) | {
        "record": raw["record_id"], "source": f"litgpt {table}", "model": raw["model"], "method": method,
        "rank": hidden.get("lora_r", ""), "targets": litgpt_targets(hidden, raw["model"]) if method == "lora" else "",
        "precision": "bf16-mixed" if mixed else "bf16", "quantization": quantized,
        "adapter_dtype": "fp32" if mixed else "bf16", "autocast": "no",
        "optimizer": "adamw-paged" if quantized != "none" else "adamw",
        "micro_batch": micro, "sequence": number(raw["sequence_length"]), "checkpointing": "no",
        "accumulation": max(1, int(total) // (int(micro) * devices)), "fused_step": "no", "chunked_loss": "no",
        "dropout": hidden.get("lora_dropout", 0) if method == "lora" else 0, "stack": "litgpt", "gpu": raw["gpu"],
        "gpu_gb": GPU_GB.get(raw["gpu"], ""), "measure": "allocated",
        "assumed": "micro batch of the config file" if "micro batch" in raw["note"] else "",
        "excluded": excluded,
    } | outcome(raw)  # fmt: skip


def outcome(raw: Mapping[str, str]) -> Row:
    """Return what happened and the peak in GB of 10^9 bytes; GiB and MB are converted."""
    text = raw["peak_as_printed"]
    try:
        value = float(text)
    except ValueError:
        return {"outcome": raw["outcome"] if raw["outcome"] == "OOM" else "not printed", "measured_gb": ""}
    scale = {"GB": 1.0, "G": 1.0, "GiB": GIB / 1e9, "MB": GIB / 1024 / 1e9}[raw["unit_as_printed"]]
    if "GiB printed as GB" in raw["peak_meaning"]:
        scale = GIB / 1e9
    return {"outcome": raw["outcome"], "measured_gb": value * scale}


# waynehacking8 ------------------------------------------------------------


def trl_row(raw: Mapping[str, str]) -> Row:
    """Return a run of waynehacking8 with TRL.

    The scripts say neither checkpointing nor optimiser. Until October 2025 they pass ``max_seq_length`` and
    ``tokenizer``, which SFTConfig and SFTTrainer dropped before they set checkpointing on by default; the later ones
    pass ``processing_class``. So the first ran without checkpointing and the second with it, whatever a comment says.
    """
    hidden = json.loads(raw["hidden_settings"] or "{}")
    vision = raw["model"].startswith("llava")
    late = raw["commit_date"] >= "2025-10-30"
    length = hidden.get("max_seq_length")
    excluded = "image tokens and vision tower: not modelled" if vision else ""
    if not hidden:
        excluded = "printed average that conflicts with the raw files"
    return blank(raw) | {
        "record": raw["record_id"], "source": "TRL runs of waynehacking8", "model": raw["model"],
        "method": METHODS.get(raw["method"], ""), "rank": number(raw["rank"]),
        "targets": raw["target_modules"], "precision": "bf16", "quantization": "none", "adapter_dtype": "fp32",
        "autocast": "yes", "optimizer": "adamw-fused", "micro_batch": number(raw["micro_batch_size"]) or 1,
        "sequence": length if isinstance(length, int) else 1024, "checkpointing": "yes" if late else "no",
        "accumulation": hidden.get("grad_accum", 1), "fused_step": "no", "chunked_loss": "no", "dropout": 0,
        "stack": "transformers", "gpu": raw["gpu"], "gpu_gb": "", "measure": "allocated",
        "assumed": "checkpointing by the version that the script's arguments need; fused AdamW, Trainer's default"
        + ("" if isinstance(length, int) else "; 1024 tokens, SFTConfig's default"),
        "excluded": excluded,
    } | outcome(raw)  # fmt: skip


# torchtune ------------------------------------------------------------


def torchtune_row(raw: Mapping[str, str]) -> Row:
    """Return a run of torchtune: packed sequences of stated length on one device can be predicted."""
    hidden = json.loads(raw["hidden_settings"] or "{}")
    method = METHODS.get(raw["method"], "")
    note = raw["note"]
    packed = raw["sequence_kind"] in ("packed", "as printed") or "Packed" in note or "step of a ladder" in note
    excluded = "" if raw["sequence_length"] else "sequence length not stated (padded to the longest of each batch)"
    if int(raw["n_gpus"] or 1) > 1:
        excluded = f"{raw['n_gpus']} processes shard the model: not modelled"
    elif "Baseline" in note:
        excluded = "not packed: sequence length not stated"
    elif "ladder" in note and not any(word in note for word in ("Packed Dataset", "Baseline")):
        excluded = "torch.compile changes what is kept: not modelled"
    elif "torch compile" in note:
        excluded = excluded or "torch.compile changes what is kept: not modelled"
    elif "memory limit" in raw["value_kind"]:
        excluded = excluded or "measured under a memory limit on another GPU"
    return blank(raw) | {
        "record": raw["record_id"], "source": "torchtune", "model": raw["model"], "method": method,
        "rank": hidden.get("lora_rank", number(raw["rank"]) or (8 if method == "lora" else "")),
        "targets": "q_proj|v_proj" if method == "lora" else "", "precision": "bf16",
        "quantization": "nf4-dq" if raw["method"] == "QLoRA" else "none", "adapter_dtype": "bf16", "autocast": "no",
        "optimizer": "adamw-paged" if "Paged" in raw["optimizer"] else "adamw",
        "micro_batch": number(raw["micro_batch_size"]) or 1, "sequence": number(raw["sequence_length"]),
        "checkpointing": "no" if raw["gradient_checkpointing"] == "no" else "yes", "accumulation": 1,
        "fused_step": "yes" if "Paged" in raw["optimizer"] else "no", "chunked_loss": "no", "dropout": 0,
        "stack": "torchtune", "gpu": raw["gpu"], "gpu_gb": GPU_GB.get(raw["gpu"], ""), "measure": "unstated",
        "assumed": "config by name: rank 8 on q, v; checkpointing on" if not hidden and packed else "",
        "excluded": excluded,
    } | outcome(raw)  # fmt: skip


# the rest ------------------------------------------------------------


def other_row(raw: Mapping[str, str]) -> Row:
    """Return a run of another source: most do not say the sequence length, and so cannot be predicted."""
    method = METHODS.get(raw["method"].split(" (")[0], "")
    quantized = "nf4-dq" if "double quant" in raw["quantization"] else "nf4" if raw["quantization"] else "none"
    kind = raw["value_kind"]
    excluded = "" if raw["sequence_length"] else "sequence length not stated"
    if not kind.startswith("measured"):
        excluded = f"not a measurement: {kind}"
    elif "GRPO" in raw["method"] and raw["outcome"] != "OOM":
        excluded = "reinforcement learning with generation: not modelled"
    elif raw["outcome"] == "OOM" and method == "full":
        excluded = ""
    elif int(raw["n_gpus"] or 1) > 1:
        excluded = f"{raw['n_gpus']} processes: not modelled"
    if not any(word in raw["model"].lower() for word in ("llama", "qwen3-8b", "qwen2", "mistral-7b", "gemma")):
        excluded = excluded or f"shape of {raw['model'] or 'the model'} is not in the shipped table"
    return blank(raw) | {
        "record": raw["record_id"], "source": raw["repository"].split("/")[-1] + " documentation",
        "model": raw["model"],
        "method": method, "rank": number(raw["rank"]), "targets": raw["target_modules"],
        "precision": "bf16", "quantization": quantized if raw["quantization"] not in ("none", "") else "none",
        "adapter_dtype": "fp32", "autocast": "no", "optimizer": OPTIMIZERS.get(raw["optimizer"], "adamw"),
        "micro_batch": number(raw["micro_batch_size"]) or 1, "sequence": number(raw["sequence_length"]) or 1,
        "checkpointing": "yes" if raw["gradient_checkpointing"] == "yes" else "no", "accumulation": 1,
        "fused_step": "no", "chunked_loss": "no", "dropout": 0, "stack": "transformers", "gpu": raw["gpu"],
        "gpu_gb": GPU_GB.get(raw["gpu"], ""),
        "measure": "reserved" if "reserved" in raw["peak_meaning"] else "unstated",
        "assumed": "sequence not stated: one token, a lower bound" if raw["outcome"] == "OOM" else "",
        "excluded": excluded,
    } | outcome(raw)  # fmt: skip


BUILDERS = {
    "Lightning-AI/litgpt": litgpt_row,
    "waynehacking8/lora-without-regret": trl_row,
    "pytorch/torchtune": torchtune_row,
}


def all_rows(folder: Path) -> Iterator[Row]:
    """Yield every published run."""
    yield from peft_rows(folder, "hf_method_comparison.csv", "MetaMathQA")
    yield from peft_rows(folder, "hf_method_comparison_unmerged.csv", "MetaMathQA")
    yield from peft_rows(folder, "hf_image_generation.csv", "image-gen")
    for raw in csv.DictReader((folder / "measured_training_memory.csv").open(encoding="utf-8")):
        yield BUILDERS.get(raw["repository"], other_row)(raw)


# evidence for settings ------------------------------------------------------------

EVIDENCE = ("method", "model", "rank", "targets", "learning_rate", "score_name", "score", "step_seconds", "kind",
            "source", "repository", "path", "commit", "line")  # fmt: skip


def evidence_rows(folder: Path) -> Iterator[Row]:
    """Yield settings that were run and what they reached: peft's newest runs, the best rates of tinker's sweep."""
    for raw in csv.DictReader((folder / "hf_method_comparison.csv").open(encoding="utf-8")):
        other = json.loads(raw["other_peft_settings"] or "{}")
        method = peft_method(raw, other)
        if raw["in_newest_commit"] == "yes" and method:
            name = "rslora" if raw["use_rslora"] == "true" and method == "lora" else method
            yield {
                "method": name, "model": "Llama-3.2-3B", "rank": peft_rank(raw, other, method),
                "targets": raw["target_modules"] if method != "full" else "", "learning_rate": raw["learning_rate"],
                "score_name": "GSM8K test accuracy after MetaMathQA", "score": raw["test_accuracy"],
                "step_seconds": raw["step_seconds_sum"], "kind": "measured by the source, one seed",
                "source": f"peft MetaMathQA, {raw['run_date'][:10]}", "repository": raw["repository"],
                "path": raw["path"], "commit": raw["commit"], "line": raw["json_key"],
            }  # fmt: skip
    yield from best_rates(folder)


def best_rates(folder: Path) -> Iterator[Row]:
    """Yield the rate with the lowest test loss for each model and rank of tinker's sweep."""
    best: dict[tuple[str, str], dict[str, str]] = {}
    for raw in csv.DictReader((folder / "tinker_sft_sweep.csv").open(encoding="utf-8")):
        key = (raw["model"], raw["rank"])
        if key not in best or float(raw["test_nll"]) < float(best[key]["test_nll"]):
            best[key] = raw
    for (model, rank), raw in best.items():
        yield {
            "method": "lora", "model": model.rsplit("/", 1)[-1], "rank": rank,
            "targets": "attention, MLP and unembedding",
            "learning_rate": raw["learning_rate"], "score_name": "test loss on tulu3 (nats a token)",
            "score": raw["test_nll"], "step_seconds": "", "kind": "best of a sweep of rates, one seed",
            "source": "tinker-cookbook sweep", "repository": raw["repository"], "path": raw["path"],
            "commit": raw["commit"], "line": raw["line"],
        }  # fmt: skip


def write(path: Path, columns: tuple[str, ...], rows: Iterator[Row]) -> None:
    """Write rows as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Write both tables."""
    facts, out = Path(sys.argv[1]), Path(sys.argv[2])
    write(out / "measured.csv", COLUMNS, all_rows(facts))
    write(out / "evidence.csv", EVIDENCE, evidence_rows(facts))


if __name__ == "__main__":
    main()
