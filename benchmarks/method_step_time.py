"""Time a training step of LoRA and DoRA here and in `peft`, in pairs within one run.

    PYTHONPATH=src python benchmarks/method_step_time.py
    PYTHONPATH=src python benchmarks/method_step_time.py --against path/to/other/src

Both adapt query and value of one small random BERT, with the same batch and optimiser. A pair times a step of each,
one right after the other and in turns first, so that what else the machine does falls on both; printed is the median
over pairs of the ratio of their times, with its quartiles. With ``--against`` another version of this package is
measured too: both versions have a process of their own, and take turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

import peft_atlas
from peft_atlas.methods.attach import attach
from peft_atlas.methods.dora import DoRA
from peft_atlas.methods.lora import LoRA

TARGETS = ("query", "value")
OWN = Path(peft_atlas.__file__).parents[1]
RANK, ALPHA, RATE = 8, 16.0, 1e-4
Step = Callable[[], None]


def network(width: int, layers: int) -> nn.Module:
    """Return a random BERT without dropout, in training mode."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=1000,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return BertForSequenceClassification(config).train()


def step_of(model: nn.Module, learning: Iterable[nn.Parameter], batch: int, length: int) -> Step:
    """Return a function that takes one training step."""
    optimizer = torch.optim.AdamW(learning, lr=RATE)
    ids = torch.randint(0, 1000, (batch, length), generator=torch.Generator().manual_seed(1))
    labels = torch.arange(batch) % 2

    def step() -> None:
        optimizer.zero_grad()
        model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()

    return step


def ours(dora: bool, dropout: float, options: argparse.Namespace) -> Step:
    """Return a step of the method as it is here."""
    kind = DoRA if dora else LoRA
    attached = attach(network(options.width, options.layers), kind(RANK, ALPHA, dropout, TARGETS))
    return step_of(attached.model.train(), attached.trainable().values(), options.batch, options.length)


def pefts(dora: bool, dropout: float, options: argparse.Namespace) -> Step:
    """Return a step of the method as it is in peft."""
    import peft

    config = peft.LoraConfig(
        r=RANK, lora_alpha=ALPHA, lora_dropout=dropout, target_modules=list(TARGETS), use_dora=dora
    )
    model = peft.get_peft_model(network(options.width, options.layers), config).train()
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return step_of(model, learning, options.batch, options.length)


def seconds(step: Step) -> float:
    """Return the processor time of one step, on which what else the machine does has little effect."""
    start = time.process_time()
    step()
    return time.process_time() - start


def ratios(one: Callable[[], float], other: Callable[[], float], pairs: int) -> list[float]:
    """Return the ratio of the two times in each pair, after a few that are not counted."""
    found = []
    for pair in range(-5, pairs):
        first, second = (one, other) if pair % 2 else (other, one)
        times = {first: first(), second: second()}
        if pair >= 0:
            found.append(times[one] / times[other])
    return found


class Elsewhere:
    """Another version of this package in a process of its own, which times a step whenever it is asked to."""

    def __init__(self, source: Path, dora: bool, dropout: float, options: argparse.Namespace) -> None:
        shape = [f"--{name}={getattr(options, name)}" for name in ("width", "layers", "batch", "length")]
        command = [sys.executable, __file__, *shape, "--serve", str(int(dora)), str(dropout)]
        environment = {**os.environ, "PYTHONPATH": str(source)}
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def __call__(self) -> float:
        """Return the time of one step there."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        return float(self.process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


def serve(dora: bool, dropout: float, options: argparse.Namespace) -> None:
    """Print the time of one step for every line that is read."""
    step = ours(dora, dropout, options)
    for _ in sys.stdin:
        print(seconds(step), flush=True)


def report(label: str, found: list[float]) -> None:
    """Print the median ratio and its quartiles."""
    low, middle, high = statistics.quantiles(found, n=4)
    print(f"{label}: {middle:.3f} (quartiles {low:.3f} to {high:.3f}, {len(found)} pairs)", flush=True)


def options_of() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("width", 128), ("layers", 4), ("batch", 16), ("length", 32), ("pairs", 60)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--against", type=Path, help="the src folder of another version of this package")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Time every setting."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    options = options_of()
    if options.serve:
        serve(options.serve[0] == "1", float(options.serve[1]), options)
        return
    for dora in (False, True):
        for dropout in (0.0, 0.1):
            compare(dora, dropout, options)


def compare(dora: bool, dropout: float, options: argparse.Namespace) -> None:
    """Time one setting against peft and against the other version."""
    label = f"{'DoRA' if dora else 'LoRA'}, dropout {dropout:g}"
    mine, theirs = ours(dora, dropout, options), pefts(dora, dropout, options)
    report(f"{label}: time here over peft's", ratios(lambda: seconds(mine), lambda: seconds(theirs), options.pairs))
    if options.against is not None:
        here, other = (Elsewhere(source, dora, dropout, options) for source in (OWN, options.against))
        report(f"{label}: time here over the other version's", ratios(here, other, options.pairs))
        here.close()
        other.close()


if __name__ == "__main__":
    main()
