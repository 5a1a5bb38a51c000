"""Names of the encoder study that the workflow and the figures share; nothing here imports torch."""

from __future__ import annotations

import re

STUDY = "encoder"
# The settings whose rank is varied, the rank that all settings have otherwise, and alpha over rank.
RANK_CURVE = ("LoRA (query, key, value)", "DoRA")
RANK, ALPHA_PER_RANK = 8, 2.0
# Settings that are compared with peft: one of each kind that it has.
CROSS_CHECKED = ("LoRA (query, key, value)", "DoRA", "PrefT", "(IA)3")
RANDOM_WEIGHTS = "random encoder"
MAJORITY, TFIDF = "majority class", "TF-IDF + logistic regression"
CONTROLS = (MAJORITY, TFIDF, RANDOM_WEIGHTS)


def slug(name: str) -> str:
    """Return a name as a part of a file name: small letters, digits and underscores."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower().replace("+", " plus ")).strip("_")


def benchmark_of(part: str) -> str:
    """Return the benchmark file of the training job that writes a part under ``results/runs/encoder``."""
    kind, _, name = part.removeprefix("results/runs/encoder/").partition("/")
    if kind == "methods":
        kind = "search" if name.endswith("/search") else "setting"
    rules = {"search": "search_rates", "setting": "train_setting", "ranks": "train_ranks", "controls": "train_random"}
    return f"results/benchmarks/{rules[kind]}/{name.replace('/', '_')}.tsv"
