"""The contracts of the result tables: every column with its unit, meaning and limits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from peft_atlas.tables.contract import FLAG, INTEGER, NUMBER, TEXT, Column, Contract, read_table

# stopped: a rate that a search left early; collapsed: trained to the end and learnt no more than the classes' shares.
STATUSES = ("ok", "diverged", "collapsed", "stopped", "failed", "missing")
VERDICTS = (
    *("supported", "contradicted", "undecided", "pass", "fail", "mended", "open"),
    *("measured", "printed", "recomputed"),
)


def _text(name: str, description: str, *, required: bool = True, allowed: Sequence[str] = ()) -> Column:
    return Column(name, TEXT, description, required=required, allowed=tuple(allowed))


def _number(
    name: str, description: str, unit: str = "", *, required: bool = False, limits: tuple[float, float] | None = None
) -> Column:
    return Column(name, NUMBER, description, unit, required=required, limits=limits)


def _integer(name: str, description: str, unit: str = "", *, required: bool = False) -> Column:
    return Column(name, INTEGER, description, unit, required=required)


def _fraction(name: str, description: str) -> Column:
    return _number(name, description, "fraction", limits=(0.0, 1.0))


# The columns that say which cell of a study a row belongs to, alike in every table of measurements.
_CELL = (
    _text("study", "study the run belongs to"),
    _text("experiment", "part of the study"),
    _text("task", "task or evaluation protocol"),
    _text("model", "network or pretrained model"),
    _text("method", "fine-tuning method"),
    _integer("rank", "rank r; null where the method has none"),
    _number("alpha", "alpha; null where the method has none"),
    _number("scaling", "factor on the low-rank update, alpha / r or alpha / sqrt(r)"),
    _text("setting", "what else the method was set to; null where there is nothing to set", required=False),
    _integer("shift_rank", "rank of the weight shift from source to target task; null where there is none"),
    _integer("train_examples", "training examples", required=True),
    _number("dropout", "adapter dropout probability", "fraction"),
    _number("learning_rate", "optimiser learning rate"),
    Column("selected", FLAG, "validation chose this learning rate; null where none was searched"),
    _integer("epochs", "epochs the run was given", required=True),
    _integer("trainable_params", "parameters that training changes"),
    _number("params_percent", "trainable parameters over those of the full model", "percent"),
)
CELL_KEYS = tuple(column.name for column in _CELL)
_INTERVAL = (
    _number("low", "lower end of the interval"),
    _number("high", "upper end of the interval"),
    _text("interval", "name of the interval", required=False),
)

RUNS = Contract(
    "runs",
    4,
    ("run_id",),
    (
        _text("run_id", "names the run: study/experiment/task/method/settings/seed"),
        *_CELL,
        _integer("seed", "seed that all of the run's generators are keyed by", required=True),
        _text("status", "whether the run ended well", allowed=STATUSES),
        _text("reason", "why the status is not ok", required=False),
        Column(
            "edge", FLAG, "the chosen rate lies at an end of those tried; null where it was not chosen among several"
        ),
        _number("train_loss", "mean cross-entropy over the last epoch's batches", "nats"),
        _number("validation_loss", "cross-entropy on the validation split", "nats"),
        _fraction("validation_accuracy", "accuracy on the validation split"),
        _number("test_loss", "cross-entropy on the test split", "nats"),
        _fraction("test_accuracy", "accuracy on the test split"),
        _integer("validation_examples", "examples of the validation split that were read"),
        _integer("test_examples", "examples of the test split"),
        _integer("head_params", "trained parameters of the task's head, a part of trainable_params"),
        _integer("total_params", "trainable and frozen parameters", required=True),
        _fraction("source_accuracy_before", "accuracy on the source task before adaptation"),
        _fraction("source_accuracy", "accuracy on the source task after adaptation"),
        _number(
            "embedding_similarity", "mean cosine of held-out texts' embeddings before and after", limits=(-1.001, 1.001)
        ),
        _integer("adapter_bytes", "bytes of the saved adapter, head apart", "bytes"),
        _text("device", "device the run was trained on"),
        _text("torch_version", "version of torch that trained it"),
    ),
)
CURVES = Contract(
    "curves",
    2,
    ("run_id", "epoch"),
    (
        _text("run_id", "run of the runs table"),
        *_CELL,
        _integer("seed", "seed of the run", required=True),
        _integer("epoch", "epoch, from 1; 0 where nothing was trained", required=True),
        _number("train_loss", "mean cross-entropy over the epoch's batches", "nats"),
        _number("validation_loss", "cross-entropy on the validation split", "nats"),
        _fraction("validation_accuracy", "accuracy on the validation split"),
        _number("test_loss", "cross-entropy on the test split; null where it was not read", "nats"),
        _fraction("test_accuracy", "accuracy on the test split; null where it was not read"),
    ),
)
ITEMS = Contract(
    "items",
    1,
    ("run_id", "row"),
    (
        _text("run_id", "run of the runs table"),
        _integer("row", "place of the text in the test split, from 0, in the order of digests", required=True),
        Column("correct", FLAG, "the run classifies the text rightly", required=True),
    ),
)
SUMMARY = Contract(
    "summary",
    2,
    (
        *("study", "experiment", "task", "method", "setting", "rank", "alpha", "scaling", "learning_rate"),
        *("shift_rank", "train_examples", "epochs", "metric", "epoch"),
    ),
    (
        *_CELL,
        _text("metric", "what is measured"),
        _text("unit", "unit of mean, sd, low and high"),
        _integer("epoch", "epoch, from 1; 0 where nothing was trained", required=True),
        _integer("n_runs", "runs of the cell", required=True),
        _integer("n_ok", "runs that the mean is taken over", required=True),
        _number("mean", "mean over seeds"),
        _number("sd", "standard deviation over seeds"),
        *_INTERVAL,
    ),
)
CONTRASTS = Contract(
    "contrasts",
    2,
    (
        *("study", "question", "task", "method", "setting", "rank", "alpha"),
        *("shift_rank", "train_examples", "reference", "metric"),
    ),
    (
        _text("study", "study the runs belong to"),
        _text("question", "family of comparisons, adjusted together"),
        _text("task", "task or evaluation protocol"),
        _text("method", "method of the compared cell"),
        _text("setting", "what else the compared cell's method was set to", required=False),
        _integer("rank", "rank of the compared cell"),
        _number("alpha", "alpha of the compared cell"),
        _integer("shift_rank", "rank of the weight shift, where there is one"),
        _integer("train_examples", "training examples of the compared cell"),
        _text("metric", "what is measured"),
        _text("unit", "unit of difference, low and high"),
        _text("reference", "what the cell is compared with"),
        _number("difference", "mean over seeds of cell minus reference"),
        *_INTERVAL,
        _integer("n", "seeds that have both", required=True),
        _number("p_value", "two-sided p of the paired t-test", limits=(0.0, 1.0)),
        _number("p_adjusted", "p adjusted within the family", limits=(0.0, 1.0)),
        _text("adjustment", "how p was adjusted", required=False),
        _number("margin", "difference within which the two count as equivalent, where that was asked"),
        _number("p_equivalence", "p of equivalence within the margin, two one-sided tests", limits=(0.0, 1.0)),
        Column("indistinguishable", FLAG, "the adjusted test does not tell the cell from its reference"),
    ),
)
PUBLISHED = Contract(
    "published",
    2,
    ("table", "line"),
    (
        _text("table", "file of data/published that the cell stands in"),
        _integer("line", "line of that file, from 1", required=True),
        _text("base_model", "model the number was printed for"),
        _text("method", "method, spelt as printed"),
        _text("task", "task, domain or table"),
        _text("metric", "what the number is"),
        _text("printed", "the cell as printed"),
        _number("value", "the cell as a number; for a bound, the bound"),
        _text("qualifier", "how value is to be read", allowed=("exact", "less_than", "greater_than", "about")),
        _integer("decimals", "decimals printed"),
        _text("unit", "unit of the cell"),
        _integer("rank", "rank r, where the table has one"),
        _number("spread", "what is printed after a ±, in the unit of value; null where nothing is"),
        _text("source", "id in sources.yaml"),
        _text("source_title", "title of the source"),
        _text("source_version", "version or date of the source", required=False),
        _text("locator", "place in the source"),
        _text("seen", "how the number was seen"),
        _text("note", "remark", required=False),
    ),
)
APPLICATION_VERDICTS = Contract(
    "application_verdicts",
    1,
    ("task",),
    (
        _text("task", "application domain of the seed notebook"),
        _text("status", "how its percentage stands", allowed=("supported", "bound", "unsupported")),
        _text("reason", "why"),
        _text("evidence", "ids of the sources"),
    ),
)
REFERENCES = Contract(
    "references",
    1,
    ("number",),
    (
        _text("number", "number of the reference in the seed notebook"),
        _text("authors", "authors, as cited"),
        _text("title", "title, as cited"),
        _text("claimed_arxiv_id", "arXiv id, as cited"),
        _text("true_arxiv_id", "arXiv id of the work with this title"),
        _text("verdict", "whether the reference is right"),
        _text("source", "id in sources.yaml"),
        _text("note", "remark", required=False),
    ),
)
PARAMETERS = Contract(
    "parameters",
    1,
    ("base_model", "method", "setting", "way"),
    (
        _text("base_model", "model whose parameters are counted"),
        _text("method", "fine-tuning method"),
        _text("setting", "configuration that is counted"),
        _text("way", "how it was counted"),
        _integer("trainable_params", "parameters that training changes", required=True),
        _integer("base_params", "parameters of the model without the adapter", required=True),
        _number("percent_with_adapter", "trainable over base plus adapter", "percent", required=True),
        _number("percent_without_adapter", "trainable over base", "percent", required=True),
        _text("configuration_source", "where the configuration is documented"),
    ),
)
MEMORY = Contract(
    "memory",
    1,
    ("base_model", "method", "setting", "precision"),
    (
        _text("base_model", "model that is trained"),
        _text("method", "fine-tuning method; full is full fine-tuning"),
        _text("setting", "configuration that is counted"),
        _text("precision", "precision of training", allowed=("fp32", "bf16_mixed")),
        _integer("trainable_params", "parameters that training changes", required=True),
        _integer("base_params", "parameters of the model without the adapter", required=True),
        _integer("weights_bytes", "all weights, the adapter's too", "bytes", required=True),
        _integer("master_weights_bytes", "fp32 copies of the trained weights", "bytes", required=True),
        _integer("gradients_bytes", "gradients of the trained weights", "bytes", required=True),
        _integer("optimizer_bytes", "both moments of AdamW", "bytes", required=True),
        _integer("total_bytes", "all of these; activations are left out", "bytes", required=True),
        *(
            Column(f"fits_{size}gb", FLAG, f"the total stays within {size} * 10^9 bytes", required=True)
            for size in (24, 40, 80)
        ),
    ),
)
CONFLICTS = Contract(
    "conflicts",
    1,
    ("scope", "metric", "base_model", "method", "task", "rank", "sources"),
    (
        _text("scope", "what disagrees", allowed=("between sources", "between tasks of a source")),
        _text("family", "family of tasks"),
        _text("base_model", "model the numbers were printed for"),
        _text("method", "method, spelt as printed"),
        _text("task", "task; for an average, with its family of tasks"),
        _text("metric", "what the number is"),
        _integer("rank", "rank r; null where it was not printed"),
        _text("sources", "ids in sources.yaml"),
        _text("unit", "unit of lowest, highest and difference"),
        _text("readings", "each printed number with those who print it"),
        _text("places", "files of data/published and their lines"),
        _number("lowest", "lowest reading", required=True),
        _number("highest", "highest reading", required=True),
        _number("difference", "highest less lowest", required=True, limits=(0.0, float("inf"))),
        _integer("n_cells", "cells that print it", required=True),
        _text(
            "explained_by",
            "what lets all readings be one number",
            allowed=("rounding", "padding zeros", "order of rounding", "nothing"),
        ),
        _text("verdict", "how the conflict stands", allowed=("explained", "settled", "open")),
        _text("resolution", "the ground of the verdict"),
        _text("remarks", "remarks that stand beside the cells", required=False),
        _text("evidence", "records it rests on: table, then the columns that select them"),
    ),
)
COMPARISON = Contract(
    "comparison",
    2,
    ("source", "base_model", "task", "method", "setting", "rank", "alpha", "metric"),
    (
        _text("source", "measured here, or the id of the publication"),
        _text("base_model", "model"),
        _text("task", "task or table"),
        _text("method", "fine-tuning method"),
        _text("setting", "what else the method was set to; null where nothing, or not printed", required=False),
        _integer("rank", "rank r; null where the method has none or it was not printed"),
        _number("alpha", "alpha; null where the method has none or it was not printed"),
        _number("params_percent", "trainable parameters over those of the full model", "percent"),
        _text("metric", "what is measured"),
        _text("unit", "unit of value, low and high"),
        _number("value", "mean over seeds, or the printed value"),
        *_INTERVAL,
        _integer("n", "seeds; null for a printed value"),
    ),
)
FINDINGS = Contract(
    "findings",
    2,
    ("kind", "id"),
    (
        _text("kind", "what sort of statement it is", allowed=("answer", "claim", "erratum", "check")),
        _text("id", "names the finding"),
        _integer("position", "place among all findings, in the order of telling", required=True),
        _text("study", "study it belongs to"),
        _text("statement", "what is said"),
        _text("source", "who says it"),
        _text("verdict", "how it stands", allowed=VERDICTS),
        _text("detail", "one sentence that gives the numbers", required=False),
        _number("effect", "size of the effect"),
        _text("unit", "unit of effect, low and high", required=False),
        *_INTERVAL,
        _number("detectable", "smallest effect that would be detected with 80 % power, in the unit of effect"),
        _integer("n", "seeds, cells or rows it rests on"),
        _text("evidence", "records it rests on: table, then the columns that select them"),
    ),
)
COSTS = Contract(
    "costs",
    3,
    ("rule", "job", "run_id"),
    (
        _text("rule", "rule that ran"),
        _text("job", "its job, or one run of it"),
        _text("run_id", "run of the runs table that the row is of; null for a whole job", required=False),
        _number("wall_seconds", "elapsed time of a job", "s"),
        _number("cpu_seconds", "processor time of a run's training; null for a whole job", "s"),
        _number(
            "train_seconds", "time of training: of a run, or an equal share of a block's, which reads accuracy too", "s"
        ),
        _number("evaluation_seconds", "time that a run's evaluations took", "s"),
        _number("examples_per_second", "training examples over train_seconds", "examples/s"),
        _number(
            "peak_memory_mb", "largest resident set: of the process in a run or its block; of a job as sampled", "MB"
        ),
    ),
)
CONTRACTS = {
    contract.name: contract
    for contract in (
        RUNS, CURVES, SUMMARY, CONTRASTS, PUBLISHED, APPLICATION_VERDICTS, REFERENCES, PARAMETERS, MEMORY, CONFLICTS,
        COMPARISON, FINDINGS, COSTS, ITEMS,
    )
}  # fmt: skip


def read_results(folder: Path, names: Iterable[str]) -> dict[str, pd.DataFrame]:
    """Return the named result tables of a results folder, by name."""
    return {name: read_table(CONTRACTS[name], Path(folder) / f"{name}.parquet") for name in names}
