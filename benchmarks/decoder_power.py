"""What the decoder study can detect, by the study's own functions on drawn differences: before it has been run.

``python benchmarks/decoder_power.py --seeds 5 --items 180 --comparisons 2``. In a first pair of runs (SmolLM2-135M, 120
rows of commonsense, LoRA on all linear modules against full fine-tuning) the difference of a test row had a variance of
0.108, of which one pair cannot say which part belongs to the rows: about half is taken to. The standard deviation over
seeds is not known before a run, so three are shown. A finished run states what its own variance gives.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from peft_atlas.analysis.pooled import detectable_difference, mean_difference, quantile_t

ITEM, REST = 0.05, 0.06
CONFIDENCE = 0.95
_STUDIES = 60


def detectable(seed_sd: float, seeds: int, items: int, comparisons: int) -> float:
    """Return the median of the detectable differences of drawn studies, at Holm's strictest level."""
    draws, found = np.random.default_rng(0), []
    for _ in range(_STUDIES):
        table = draws.normal(0, seed_sd, (seeds, 1)) + draws.normal(0, ITEM**0.5, (1, items))
        own = mean_difference([table + draws.normal(0, REST**0.5, (seeds, items))], CONFIDENCE)
        critical = quantile_t(1 - (1 - CONFIDENCE) / comparisons / 2, own.df)
        found.append(detectable_difference(own.se, critical, own.df))
    return float(np.median(found))


def main() -> None:
    """Write a line per standard deviation over seeds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name, usual in (("seeds", 5), ("items", 180), ("comparisons", 2)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    asked = parser.parse_args()
    for seed_sd in (0.01, 0.02, 0.03):
        size = detectable(seed_sd, asked.seeds, asked.items, asked.comparisons)
        words = f"detectable with 80 % power {100 * size:.1f} points"
        sys.stdout.write(f"sd over seeds {100 * seed_sd:.0f} points: {words}\n")


if __name__ == "__main__":
    main()
