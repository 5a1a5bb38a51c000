"""Contracts of all result tables: every column with its unit, meaning and limits."""

from __future__ import annotations

from peft_atlas.tables.added_schemas import ADDED_RUNS
from peft_atlas.tables.columns import fraction as _fraction
from peft_atlas.tables.columns import integer as _integer
from peft_atlas.tables.columns import number as _number
from peft_atlas.tables.columns import text as _text
from peft_atlas.tables.contract import FLAG, Column, Contract
from peft_atlas.tables.decoder_schemas import DECODER_CONTRACTS
from peft_atlas.tables.laboratory_schemas import INTRUDERS
from peft_atlas.tables.literature_schemas import LITERATURE_CONTRACTS
from peft_atlas.tables.record_schemas import RECORD_CONTRACTS

# stopped: a rate that a search left early; collapsed: trained to the end and learnt no more than the classes' shares;
# refused: a method that cannot be trained on the model, of which nothing was.
STATUSES = ("ok", "diverged", "collapsed", "stopped", "failed", "missing", "refused")
# In which matrix products were taken; weights and optimiser states are in float32 in either.
PRECISIONS = ("float32", "bfloat16")
VERDICTS = (
    *("supported", "contradicted", "undecided", "not_testable", "pass", "fail", "fixed", "open"),
    *("measured", "printed", "recomputed"),
)


# The columns that identify a cell of a study, the same in every table of measurements.
_CELL = (
    _text("study", "study the run belongs to"),
    _text("experiment", "experiment within the study"),
    _text("task", "task or evaluation protocol"),
    _text("model", "network or pretrained model"),
    _text("method", "fine-tuning method"),
    _integer("rank", "rank r; null if the method has none"),
    _number("alpha", "alpha; null if the method has none"),
    _number("scaling", "factor on the low-rank update, alpha / r or alpha / sqrt(r)"),
    _text("setting", "other settings of the method; null if it has none", required=False),
    _integer("shift_rank", "rank of the weight shift from source to target task; null if there is none"),
    _integer("train_examples", "training examples", required=True),
    _number("dropout", "adapter dropout probability", "fraction"),
    _number("learning_rate", "optimiser learning rate"),
    Column("selected", FLAG, "validation selected this learning rate; null if none was searched"),
    _integer("epochs", "epochs of training", required=True),
    _integer("trainable_params", "parameters that are trained"),
    _number("params_percent", "trainable parameters relative to all parameters of the full model", "percent"),
)
CELL_KEYS = tuple(column.name for column in _CELL)
_INTERVAL = (
    _number("low", "lower end of the interval"),
    _number("high", "upper end of the interval"),
    _text("interval", "kind of interval", required=False),
)

RUNS = Contract(
    "runs",
    6,
    ("run_id",),
    (
        _text("run_id", "identifies the run: study/experiment/task/method/settings/seed"),
        *_CELL,
        _integer("seed", "seed of all of the run's random streams", required=True),
        _text("status", "outcome of the run", allowed=STATUSES),
        _text("reason", "why the status is not ok", required=False),
        Column(
            "edge", FLAG, "the chosen rate lies at an end of those tried; null where it was not chosen among several"
        ),
        _number("train_loss", "mean cross-entropy over the batches of the last epoch", "nats"),
        _number("validation_loss", "cross-entropy on the validation split", "nats"),
        _fraction("validation_accuracy", "accuracy on the validation split"),
        _number("test_loss", "cross-entropy on the test split", "nats"),
        _fraction("test_accuracy", "accuracy on the test split"),
        _integer("validation_examples", "examples of the validation split that were evaluated"),
        _integer("test_examples", "examples in the test split"),
        _integer("head_params", "trained parameters of the task's head, included in trainable_params"),
        _integer("total_params", "trainable and frozen parameters", required=True),
        _fraction("source_accuracy_before", "accuracy on the source task before adaptation"),
        _fraction("source_accuracy", "accuracy on the source task after adaptation"),
        _number(
            "embedding_similarity",
            "mean cosine of held-out texts' embeddings, before to after",
            limits=(-1.001, 1.001),
        ),
        _number("text_loss_before", "loss of a language model on plain text before training", "nats per token"),
        _number("text_loss", "the same after training", "nats per token"),
        _integer("adapter_bytes", "size of the saved adapter, without the head", "bytes"),
        _text("device", "device used for training"),
        _text("precision", "precision of matrix products in training", required=False, allowed=PRECISIONS),
        _text("torch_version", "version of torch used for training"),
    ),
)
CURVES = Contract(
    "curves",
    2,
    ("run_id", "epoch"),
    (
        _text("run_id", "run_id in the runs table"),
        *_CELL,
        _integer("seed", "seed of the run", required=True),
        _integer("epoch", "epoch, from 1; 0 where nothing was trained", required=True),
        _number("train_loss", "mean cross-entropy over the batches of the epoch", "nats"),
        _number("validation_loss", "cross-entropy on the validation split", "nats"),
        _fraction("validation_accuracy", "accuracy on the validation split"),
        _number("test_loss", "cross-entropy on the test split; null if not measured", "nats"),
        _fraction("test_accuracy", "accuracy on the test split; null if not measured"),
    ),
)
ITEMS = Contract(
    "items",
    2,
    ("run_id", "row"),
    (
        _text("run_id", "run of the runs table"),
        _integer("row", "place of the text in the test split, from 0, in the order of digests", required=True),
        Column("correct", FLAG, "the run classifies the text, or answers it, rightly", required=True),
        _text("stratum", "kind of the text, where the task has kinds", required=False),
        _number("loss", "cross-entropy of the right answer, where the task has answers", "nats per token"),
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
        _integer("n_runs", "runs in the cell", required=True),
        _integer("n_ok", "runs that enter the mean", required=True),
        _number("mean", "mean over seeds"),
        _number("sd", "standard deviation over seeds"),
        *_INTERVAL,
    ),
)
BEST_RATES = Contract(
    "best_rates",
    1,
    ("method", "setting", "rank"),
    (
        _text("method", "fine-tuning method"),
        _text("setting", "rule by which alpha follows the rank; null if the method has none", required=False),
        _integer("rank", "rank r; null if the method has none"),
        _number("best_rate", "learning rate that is best on validation, geometric mean over seeds"),
        *_INTERVAL,
        _integer("n", "seeds", required=True),
    ),
)
CONTRASTS = Contract(
    "contrasts",
    3,
    (
        *("study", "question", "task", "method", "setting", "rank", "alpha"),
        *("shift_rank", "train_examples", "reference", "metric"),
    ),
    (
        _text("study", "study the runs belong to"),
        _text("question", "question that the comparison answers"),
        _text(
            "role",
            "whether the question was set beforehand; what has one question and role is adjusted together",
            allowed=("primary", "exploratory"),
        ),
        _text("task", "task or evaluation protocol"),
        _text("method", "method of the compared cell"),
        _text("setting", "other settings of the compared cell's method", required=False),
        _integer("rank", "rank of the compared cell"),
        _number("alpha", "alpha of the compared cell"),
        _integer("shift_rank", "rank of the weight shift, if any"),
        _integer("train_examples", "training examples of the compared cell"),
        _text("metric", "what is measured"),
        _text("unit", "unit of difference, low and high"),
        _text("reference", "what the cell is compared with"),
        _number("difference", "mean over seeds of (cell minus reference)"),
        *_INTERVAL,
        _integer("n", "seeds for which both exist", required=True),
        _number("p_value", "two-sided p-value, alone", limits=(0.0, 1.0)),
        _number("p_adjusted", "p-value adjusted within the family", limits=(0.0, 1.0)),
        _text("adjustment", "method of adjustment", required=False),
        _number(
            "detectable",
            "smallest difference detected with 80 % power at the adjusted level; of fractions 1 where none is",
            limits=(0.0, float("inf")),
        ),
        _number("margin", "difference within which the two count as equivalent, if tested"),
        _number(
            "p_equivalence",
            "p-value for equivalence within the margin, two one-sided tests, unadjusted",
            limits=(0.0, 1.0),
        ),
        Column("indistinguishable", FLAG, "the adjusted test does not reject; detectable says what it could find"),
    ),
)
COMPARISON = Contract(
    "comparison",
    2,
    ("source", "base_model", "task", "method", "setting", "rank", "alpha", "metric"),
    (
        _text("source", "'measured here', or the id of the publication"),
        _text("base_model", "model"),
        _text("task", "task or table"),
        _text("method", "fine-tuning method"),
        _text("setting", "other settings of the method; null if none or not printed", required=False),
        _integer("rank", "rank r; null if the method has none or it was not printed"),
        _number("alpha", "alpha; null if the method has none or it was not printed"),
        _number("params_percent", "trainable parameters relative to all parameters of the full model", "percent"),
        _text("metric", "what is measured"),
        _text("unit", "unit of value, low and high"),
        _number("value", "mean over seeds, or the printed value"),
        *_INTERVAL,
        _integer("n", "number of seeds; null for a printed value"),
    ),
)
FINDINGS = Contract(
    "findings",
    4,
    ("kind", "id"),
    (
        _text("kind", "kind of statement", allowed=("advice", "answer", "claim", "erratum", "check")),
        _text("id", "identifies the finding"),
        _integer("position", "position in the report", required=True),
        _text("study", "study it belongs to"),
        _text("statement", "the statement"),
        _text("source", "where the statement comes from"),
        _text("verdict", "what checking it found", allowed=VERDICTS),
        _text("detail", "one sentence that gives the numbers", required=False),
        _number("effect", "size of the effect"),
        _text("unit", "unit of effect, low and high", required=False),
        *_INTERVAL,
        _number("detectable", "smallest effect detectable with 80 % power, in the unit of effect"),
        _integer("n", "number of seeds, cells or rows behind it"),
        _text("evidence", "supporting records: table, then the conditions that select rows"),
    ),
)
COSTS = Contract(
    "costs",
    3,
    ("rule", "job", "run_id"),
    (
        _text("rule", "rule that ran"),
        _text("job", "job of the rule, or a run within it"),
        _text("run_id", "run_id in the runs table; null for a whole job", required=False),
        _number("wall_seconds", "elapsed time of the job", "s"),
        _number("cpu_seconds", "processor time for training the run; null for a whole job", "s"),
        _number(
            "train_seconds", "training time of the run, or its share of the block's, which includes evaluation", "s"
        ),
        _number("evaluation_seconds", "time for evaluating the run", "s"),
        _number("examples_per_second", "training examples divided by train_seconds", "examples/s"),
        _number(
            "peak_memory_mb",
            "of a run or its block, peak resident memory of the process, or what torch allocated on the GPU where it "
            "trains; of a job, resident memory as sampled",
            "MB",
        ),
    ),
)
CONTRACTS = {
    contract.name: contract
    for contract in (
        RUNS, CURVES, SUMMARY, CONTRASTS, *LITERATURE_CONTRACTS, COMPARISON, FINDINGS, COSTS, ITEMS, BEST_RATES,
        *DECODER_CONTRACTS, *RECORD_CONTRACTS, ADDED_RUNS, INTRUDERS,
    )
}  # fmt: skip
