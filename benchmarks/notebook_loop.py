"""Speed of population training compared with the notebook's sequential loop: same grid, one thread each.

Run it with ``make bench``. Each measurement runs in its own process, so that peak memory is measured separately. The
loop is measured first and last, since timings on a shared machine drift. Importing torch is not included; it is
measured separately.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from peft_atlas.config import StudyConfig, load_config
from peft_atlas.studies.notebook.data import make_task
from peft_atlas.studies.notebook.train import Block, task_sizes, train_sweep

SEED_COUNTS = (1, 5, 20, 80)


class NotebookLayer(nn.Module):
    """The notebook's LoRALinear with a working forward pass and no other change."""

    def __init__(self, in_features: int, out_features: int, rank: int, alpha: float, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features).requires_grad_(False)
        self.lora_A = nn.Parameter(torch.zeros(rank, in_features))
        self.lora_B = nn.Parameter(torch.zeros(out_features, rank))
        self.scaling, self.dropout = alpha / rank, nn.Dropout(dropout)
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the layer's output."""
        return self.linear(x) + F.linear(F.linear(self.dropout(x), self.lora_A), self.lora_B) * self.scaling


def notebook_run(model: nn.Module, train: DataLoader, test: DataLoader, epochs: int, rate: float) -> None:
    """Train one network as the notebook's train_model does: loss.item() every batch, test accuracy every epoch."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    for _ in range(epochs):
        model.train()
        total = 0.0
        for data, target in train:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(data), target)
            loss.backward()
            optimizer.step()
            total += loss.item()
        model.eval()
        correct = 0
        with torch.no_grad():
            for data, target in test:
                correct += (model(data).argmax(1) == target).sum().item()


def measure_loop(study: StudyConfig) -> int:
    """Train the grid for one seed with the notebook's loop; return the number of runs."""
    config = study.notebook
    # The notebook's own sizes: 800 training and 200 test rows, no validation.
    task = make_task("as_published", task_sizes(config), (0,))
    loaders = [
        DataLoader(TensorDataset(split.inputs[0], split.labels[0]), batch_size=config.batch_size, shuffle=shuffle)
        for split, shuffle in ((task.train, True), (task.test, False))
    ]
    for rank in config.ranks:
        for alpha in config.alphas:
            layers = ((config.data.features, config.hidden_features), (config.hidden_features, 2))
            first, second = (NotebookLayer(*widths, rank, alpha, config.dropout) for widths in layers)
            model = nn.Sequential(first, nn.ReLU(), second)
            notebook_run(model, loaders[0], loaders[1], config.epochs, config.learning_rate)
    return len(config.ranks) * len(config.alphas)


def measure_population(study: StudyConfig) -> int:
    """Train the grid for all seeds, block by block as the jobs do; return the number of runs."""
    return sum(
        len(train_sweep(Block(study.notebook, "held_out", seeds, "cpu"))[0]) for seeds in study.seed_blocks().values()
    )


def measure(side: str, seeds: int) -> None:
    """Measure one side and print runs, seconds and peak megabytes as JSON."""
    torch.set_num_threads(1)
    study = load_config({"seeds": seeds})
    start = time.perf_counter()
    runs = measure_loop(study) if side == "loop" else measure_population(study)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps({"side": side, "seeds": seeds, "runs": runs, "seconds": seconds, "peak_mb": peak}))


def in_own_process(side: str, seeds: int) -> dict[str, float]:
    """Run `measure` in a fresh process and parse what it prints."""
    command = [sys.executable, __file__, "--side", side, "--seeds", str(seeds)]
    start = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured | {"start_seconds": time.perf_counter() - start - measured["seconds"]}


def main() -> None:
    """Measure both sides and print a table."""
    plan = [("loop", 1), *(("population", seeds) for seeds in SEED_COUNTS), ("loop", 1)]
    rows = [in_own_process(*part) for part in plan]
    loops = [row for row in rows if row["side"] == "loop"]
    loop_ms = 1000 * sum(row["seconds"] for row in loops) / sum(row["runs"] for row in loops)
    names = ("side", "seeds", "runs", "seconds", "ms per run", "runs/s", "x loop", "peak MB", "start s")
    print("".join(f"{name:>11}" for name in names))
    for row in rows:
        ms = 1000 * row["seconds"] / row["runs"]
        values = (row["seconds"], ms, 1000 / ms, loop_ms / ms, row["peak_mb"], row["start_seconds"])
        counts = f"{row['side']:>11}{row['seeds']:11}{row['runs']:11}"
        print(counts + "".join(f"{value:11.1f}" for value in values))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", choices=["loop", "population"])
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.side:
        measure(arguments.side, arguments.seeds)
    else:
        main()
