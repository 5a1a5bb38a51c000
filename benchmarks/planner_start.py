"""Seconds from starting `peft-atlas plan` to its last line, for one model and all methods.

Run it as ``python benchmarks/planner_start.py``. Each of several runs is a process of its own; a run without any
command says what Python itself takes.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 7
COMMAND = ("-m", "peft_atlas.cli", "plan", "Llama-3.2-3B", "--gpu", "24", "--batch", "4", "--sequence", "768")


def seconds(*words: str) -> float:
    """Return how long a Python process takes."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    return time.perf_counter() - begun


def main() -> None:
    """Print the median and the extremes."""
    for name, words in (("python alone", ("-c", "pass")), ("plan, all methods", COMMAND)):
        taken = [seconds(*words) for _ in range(RUNS)]
        print(f"{name}: median {statistics.median(taken):.2f} s, {min(taken):.2f} to {max(taken):.2f} s of {RUNS} runs")


if __name__ == "__main__":
    main()
