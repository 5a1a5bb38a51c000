"""The contract of runs that a user has added: one row per run, with its source."""

from __future__ import annotations

from peft_atlas.tables.columns import integer, number, text
from peft_atlas.tables.contract import NUMBER, Column, Contract

# Scores that are fractions and better where they are higher; a loss depends on tokeniser and reduction.
METRICS = ("accuracy", "exact_match", "f1", "similarity")
SPLITS = ("test", "validation")

ADDED_RUNS = Contract(
    "added_runs",
    1,
    ("task", "model", "method", "setting", "rank", "learning_rate", "seed"),
    (
        text("table", "set of runs: file in data/added"),
        integer("line", "line in that file, counted from 1", required=True),
        text("task", "task or benchmark"),
        text("model", "model that is tuned"),
        text("method", "fine-tuning method; full means that all weights are trained"),
        text("setting", "other settings of the method; null if it has none", required=False),
        integer("rank", "rank r; null if the method has none"),
        number("learning_rate", "optimiser learning rate; null if not known"),
        integer("seed", "seed of the run", required=True),
        text("metric", "what score is; higher is better", allowed=METRICS),
        text("split", "split that score was measured on", allowed=SPLITS),
        Column("score", NUMBER, "result on that split", "fraction", required=True, limits=(0.0, 1.0)),
        integer("steps", "optimiser steps; null if not known"),
        integer("batch_size", "sequences per step; null if not known"),
        integer("trainable_params", "parameters that are trained; null if not known"),
        integer("total_params", "parameters of the model with the adapter; null if not known"),
        number("train_seconds", "time of the training steps; null if not known", "s", limits=(0.0, float("inf"))),
        integer("peak_memory_bytes", "peak memory of the run; null if not known", "bytes"),
        integer("file_bytes", "size of what is saved; null if not known", "bytes"),
        text("software", "versions that the run was made with; null if not known", required=False),
        text("source", "where the run comes from"),
    ),
)
