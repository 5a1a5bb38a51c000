"""Compare the runs of two result folders, of which one was trained on a processor and the other on a GPU.

Run it as ``python benchmarks/device_agreement.py RESULTS_A RESULTS_B``. For each study it prints how many runs both
have, how many chose the same learning rate, the largest difference of a tested accuracy, and the largest of a cell's
mean over seeds. Exits with 1 where that mean differs by more than the tolerance: a point of accuracy, the smallest
difference that a study counts as one (``adaptation.equivalence_margin``).
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

TOLERANCE = 0.01
CELL = ("experiment", "task", "method", "setting", "rank", "alpha", "scaling", "shift_rank", "train_examples")


def runs_of(folder: Path) -> pd.DataFrame:
    """Return all runs that a results folder holds, by name."""
    files = sorted((folder / "runs").rglob("*.runs.parquet"))
    if not files:
        sys.exit(f"{folder}: holds no runs; allowed: a results folder in which a study has run")
    return pd.concat([pd.read_parquet(file) for file in files]).set_index("run_id")


def largest_difference(here: pd.DataFrame, there: pd.DataFrame) -> tuple[int, float, float, float]:
    """Return the tested runs of both, and the largest difference of a run, of a cell's mean, and the mean difference.

    A cell's mean is over the seeds that both tested at a chosen rate.
    """
    tested = here[here["test_accuracy"].notna()].index.intersection(there[there["test_accuracy"].notna()].index)
    difference = there.loc[tested, "test_accuracy"] - here.loc[tested, "test_accuracy"]
    cells = here.loc[tested, [*CELL]].assign(difference=difference)
    means = cells.groupby([*CELL], dropna=False)["difference"].mean()
    return len(tested), float(difference.abs().max()), float(means.abs().max()), float(difference.mean())


def main() -> None:
    """Print the comparison."""
    here, there = (runs_of(Path(folder)) for folder in sys.argv[1:3])
    worst = 0.0
    for study in sorted(set(here["study"]) & set(there["study"])):
        left, right = (runs[runs["study"] == study] for runs in (here, there))
        shared = left.index.intersection(right.index)
        same = (left.loc[shared, "selected"].fillna(False) == right.loc[shared, "selected"].fillna(False)).mean()
        count, run, cell, mean = largest_difference(left, right)
        devices = f"{'/'.join(sorted(set(left['device'])))} and {'/'.join(sorted(set(right['device'])))}"
        print(
            f"{study}: {len(shared)} runs on {devices}, the same rate chosen in {same:.1%}; accuracy of {count} tested "
            f"differs by at most {run:.4f}, a cell's mean by at most {cell:.4f}, on average by {mean:+.5f}"
        )
        worst = max(worst, cell)
    print(f"largest difference of a cell's mean: {worst:.4f}; tolerance {TOLERANCE}")
    sys.exit(worst > TOLERANCE)


if __name__ == "__main__":
    main()
