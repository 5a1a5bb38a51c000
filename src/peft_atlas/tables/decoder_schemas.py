"""Contracts of the decoder study's own tables, which a run takes from the released one where it does not train it."""

from __future__ import annotations

from peft_atlas.tables.columns import integer as _integer
from peft_atlas.tables.columns import number as _number
from peft_atlas.tables.columns import text as _text
from peft_atlas.tables.contract import FLAG, Column, Contract

_DECODER_CELL = (
    _text("task", "task"),
    _text("method", "fine-tuning method, reference or control"),
    _text("setting", "other settings of the method; null if it has none", required=False),
    _integer("rank", "rank r; null if the method has none"),
)
_ORIGIN = _text("origin", "'this run', or version, machine and date of the released run that the row is of")
DECODER = Contract(
    "decoder_cells",
    1,
    ("task", "stratum", "method", "setting", "rank", "metric"),
    (
        *_DECODER_CELL,
        _number("alpha", "alpha; null if the method has none"),
        _text("stratum", "kind of the test rows; all for all of them"),
        _text("model", "language model"),
        _text("role", "what the cell is for", allowed=("method", "rank", "reference", "control")),
        _integer("train_examples", "training rows of a seed", required=True),
        _integer("epochs", "passes over them", required=True),
        _integer("trainable_params", "parameters that are trained"),
        _number("params_percent", "trainable parameters relative to those of full fine-tuning", "percent"),
        _number("learning_rate", "the rate that validation chose"),
        Column("edge", FLAG, "whether that is an end of the rates tried"),
        _text("metric", "what is measured", allowed=("test_accuracy", "test_loss", "text_loss_change")),
        _text("unit", "unit of value, low and high and of the difference"),
        _number("value", "mean over seeds"),
        _number("low", "lower end of the interval"),
        _number("high", "upper end of the interval"),
        _text("interval", "kind of interval", required=False),
        _integer("n", "seeds", required=True),
        _integer("rows", "test rows of the stratum; null for plain text"),
        _number("difference", "mean over seeds of (cell minus full fine-tuning), paired"),
        _number("difference_low", "lower end of its interval"),
        _number("difference_high", "upper end of its interval"),
        _text("difference_interval", "kind of that interval", required=False),
        _number("p_adjusted", "p-value of the difference, adjusted", limits=(0.0, 1.0)),
        _text("adjustment", "method of adjustment", required=False),
        _number("detectable", "smallest difference that is detected with 80 % power, at the adjusted level"),
        _ORIGIN,
    ),
)
DECODER_COSTS = Contract(
    "decoder_costs",
    2,
    ("origin", "task", "method", "setting", "rank"),
    (
        *_DECODER_CELL,
        _text("model", "language model"),
        _integer("train_examples", "training rows of a seed", required=True),
        _integer("epochs", "passes over them", required=True),
        _text("device", "where the runs trained: cpu or cuda"),
        _number("cpu_seconds", "processor time for training a run, mean over seeds; null where jobs shared it", "s"),
        _number("evaluation_seconds", "time for evaluating a run, mean over seeds; null likewise", "s"),
        _number("examples_per_second", "training rows divided by training time, mean over seeds", "examples/s"),
        _number(
            "peak_memory_mb", "peak memory of a run, mean over seeds: of the process, or what torch allocated", "MB"
        ),
        _integer("adapter_bytes", "size of the saved adapter", "bytes"),
        _integer("n", "seeds", required=True),
        _ORIGIN,
    ),
)
DECODER_CONTRACTS = (DECODER, DECODER_COSTS)
