"""Speed of the decoder's training against `transformers.Trainer` with `peft`, on the same examples in one run.

Run it with ``make bench-decoder``. LoRA of rank 8 on all linear modules of the packaged language model, one thread, and
full fine-tuning of ours for its memory. Both sides see the same prompts with answers, at the same rates, and start from
the same base; the loss is that of the answers' tokens. The Trainer runs as it comes (batches of 8, padded to the
longest of each, logits at all positions), and once more with our batch size. Each measurement has a process of its own,
and ours runs first and last, since times on a shared machine drift; processor time drifts less than elapsed time.
Nobody counts the loading of packages and models. Tokens are those of the rows, without padding.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from peft_atlas.models.packaged_decoder import PACKAGED, fetch_decoder
from peft_atlas.training.language_model import LanguageTuning, Prompted, score
from peft_atlas.training.resource_usage import forget_peak, peak_megabytes, release_memory

FOLDER = Path(__file__).parent / "out" / "decoder"
RATES, BATCH, EPOCHS = {"lora": 1e-3, "full": 1e-4}, 16, 1
ROWS, TESTED = 192, 64
_SUM, _DIFFERENCE = "{a} + {b} = {c}", "{c} - {b} = {a}"
_WORDS = (
    ("Tom has {a} cards and gets {b} more. How many cards does he have?", _SUM),
    ("A shop sold {a} apples in the morning and {b} in the afternoon. How many apples did it sell in all?", _SUM),
    ("There are {c} birds in a tree; {b} of them fly away. How many are left?", _DIFFERENCE),
    ("Ann read {b} of the {c} pages of her book this week. How many pages are left to read?", _DIFFERENCE),
)


def rows(count: int, seed: int) -> Prompted:
    """Return word problems with equations as answers."""
    words, draw = Tokenizer.from_file(str(FOLDER / "tokenizer.json")), random.Random(seed)
    prompts, answers = [], []
    for _ in range(count):
        question, answer = draw.choice(_WORDS)
        a, b = draw.randint(2, 60), draw.randint(2, 60)
        numbers = {"a": a, "b": b, "c": a + b}
        prompts.append(words.encode(question.format(**numbers) + "\nAnswer:").ids)
        answers.append(words.encode(f" {answer.format(**numbers)}\n").ids)
    return Prompted(prompts, answers)


def tokens_of(part: Prompted) -> int:
    """Return how many tokens the rows have."""
    return sum(map(len, part.prompts)) + sum(map(len, part.answers))


def measure_atlas(method: str, train: Prompted, test: Prompted, seed: int) -> dict[str, float]:
    """Return seconds, loss on test rows and the memory that training took."""
    from peft_atlas.methods.attach import attach
    from peft_atlas.methods.full import FullFineTuning
    from peft_atlas.methods.lora import LoRA
    from peft_atlas.methods.method import Members
    from peft_atlas.models.decoder import decoder_sites, load_decoder
    from peft_atlas.training.finetune import FinetunePlan

    model = load_decoder(FOLDER)
    sites = decoder_sites(model.shape)
    lora = LoRA(r=8, lora_alpha=16.0, target_modules=sites.linear)
    attached = attach(model, lora if method == "lora" else FullFineTuning(sites.frozen), Members(seeds=(seed,)))
    plan = FinetunePlan(EPOCHS, BATCH, RATES[method])
    before = score(model, test).loss_per_token
    release_memory()
    forget_peak()
    start, processor = time.perf_counter(), time.process_time()
    LanguageTuning(attached, train, plan, seed).train()
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    peak = peak_megabytes()
    found = score(model, test)
    return {
        "seconds": seconds, "processor": processor, "peak_mb": peak, "before": before, "loss": found.loss_per_token,
        "exact": found.accuracy,
    }  # fmt: skip


def measure_trainer(batch_size: int | None, train: Prompted, test: Prompted, seed: int) -> dict[str, float]:
    """Return the same of the Trainer, at its default batch size where none is given."""
    from peft import LoraConfig, TaskType, get_peft_model
    from transformers import AutoModelForCausalLM, DataCollatorForSeq2Seq, PreTrainedTokenizerFast, Trainer
    from transformers import TrainingArguments as Arguments

    places = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    torch.manual_seed(seed)
    base = AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32)
    lora = LoraConfig(r=8, lora_alpha=16, target_modules=places, task_type=TaskType.CAUSAL_LM)
    model = get_peft_model(base, lora)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(FOLDER / "tokenizer.json"), pad_token="<|endoftext|>")
    given = {} if batch_size is None else {"per_device_train_batch_size": batch_size}
    before = _loss_of(model, test)
    with tempfile.TemporaryDirectory() as folder:
        arguments = Arguments(
            folder, num_train_epochs=EPOCHS, learning_rate=RATES["lora"], warmup_steps=0.1, weight_decay=0.01,
            seed=seed, use_cpu=True, report_to=[], disable_tqdm=True, save_strategy="no", dataloader_pin_memory=False,
            **given,
        )  # fmt: skip
        trainer = Trainer(
            model,
            arguments,
            data_collator=DataCollatorForSeq2Seq(tokenizer),
            train_dataset=[
                {"input_ids": prompt + answer, "labels": [-100] * len(prompt) + answer}
                for prompt, answer in zip(train.prompts, train.answers, strict=True)
            ],
        )
        release_memory()
        forget_peak()
        start, processor = time.perf_counter(), time.process_time()
        trainer.train()
        seconds, processor = time.perf_counter() - start, time.process_time() - processor
    peak = peak_megabytes()
    loss, exact = _loss_of(model, test)
    return {
        "seconds": seconds, "processor": processor, "peak_mb": peak, "before": before[0], "loss": loss, "exact": exact
    }  # fmt: skip


@torch.no_grad()
def _loss_of(model: Any, test: Prompted) -> tuple[float, float]:
    """Return loss in nats per answer token and share of exact answers of a model of transformers, row by row."""
    model.eval()
    total, exact = 0.0, 0
    for prompt, answer in zip(test.prompts, test.answers, strict=True):
        logits = model(input_ids=torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
        target = torch.tensor(answer)
        total += float(torch.nn.functional.cross_entropy(logits, target, reduction="sum"))
        exact += bool((logits.argmax(-1) == target).all())
    model.train()
    return total / sum(map(len, test.answers)), exact / len(test.answers)


def measure(side: str, seed: int) -> None:
    """Print what one side took as JSON."""
    torch.set_num_threads(1)
    train, test = rows(ROWS, seed), rows(TESTED, 1_000 + seed)
    if side in RATES:
        found = measure_atlas(side, train, test, seed)
    else:
        found = measure_trainer(None if side == "trainer" else BATCH, train, test, seed)
    print(json.dumps({"side": side, "seed": seed, "tokens": EPOCHS * tokens_of(train), **found}))


def in_own_process(side: str, seed: int) -> dict[str, Any]:
    """Return what `measure` prints in a fresh process."""
    command = [sys.executable, __file__, "--side", side, "--seed", str(seed)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def main(seeds: int) -> None:
    """Print a table of all sides."""
    if not (FOLDER / "config.json").is_file():
        fetch_decoder(PACKAGED, FOLDER)
    names = ["lora", "trainer", f"trainer, batch {BATCH}", "lora", "full"]
    found = [in_own_process(name, seed) for seed in range(seeds) for name in names]
    header = ("tokens/s", "tokens/cpu s", "loss before", "loss after", "exact", "peak MB")
    print(
        f"{ROWS} rows, {EPOCHS} epoch, {seeds} seeds; means\n{'side':>20}" + "".join(f"{name:>14}" for name in header)
    )
    for name in dict.fromkeys(names):
        own = [row for row in found if row["side"] == name]
        speeds = [sum(row["tokens"] / row[clock] for row in own) / len(own) for clock in ("seconds", "processor")]
        rest = [sum(row[key] for row in own) / len(own) for key in ("before", "loss", "exact", "peak_mb")]
        print(f"{name:>20}{speeds[0]:14.1f}{speeds[1]:14.1f}" + "".join(f"{value:14.3f}" for value in rest))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.side:
        measure(arguments.side, arguments.seed)
    else:
        main(arguments.seeds)
