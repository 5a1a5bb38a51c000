"""Contracts of all result tables: every column with its unit, meaning and limits."""

from __future__ import annotations

from peft_atlas.tables.added_schemas import ADDED_RUNS
from peft_atlas.tables.columns import fraction as _fraction
from peft_atlas.tables.columns import integer as _integer
from peft_atlas.tables.columns import number as _number
from peft_atlas.tables.columns import text as _text
from peft_atlas.tables.contract import FLAG, Column, Contract
from peft_atlas.tables.decoder_schemas import DECODER_CONTRACTS
from peft_atlas.tables.record_schemas import RECORD_CONTRACTS

# stopped: a rate that a search left early; collapsed: trained to the end and learnt no more than the classes' shares;
# refused: a method that cannot be trained on the model, of which nothing was.
STATUSES = ("ok", "diverged", "collapsed", "stopped", "failed", "missing", "refused")
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
    5,
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
PUBLISHED = Contract(
    "published",
    3,
    ("table", "line"),
    (
        _text("table", "file in data/published"),
        _integer("line", "line in that file, counted from 1", required=True),
        _text("base_model", "model the number refers to"),
        _text("method", "method, spelled as printed"),
        _text("task", "task, domain or table"),
        _text("family", "family of tasks: the row's own, else that of its file"),
        _text("metric", "what the number is"),
        _text("printed", "the cell as printed"),
        _number("value", "the cell as a number; the bound if it is one"),
        _text("qualifier", "how to read value", allowed=("exact", "less_than", "greater_than", "about")),
        _integer("decimals", "number of decimals printed"),
        _text("unit", "unit of the cell"),
        _integer("rank", "rank r, if the table has one"),
        _number("spread", "number printed after ±, in the unit of value; null if none"),
        _text("source", "id in sources.yaml"),
        _text("source_title", "title of the source"),
        _text("source_authors", "authors of the source, shortened"),
        _text("source_identifier", "arXiv id, DOI or repository of the source"),
        _text("source_version", "version or date of the source", required=False),
        _text("locator", "where in the source"),
        _text("seen", "how we saw the number"),
        _text("note", "remark", required=False),
    ),
)
APPLICATION_VERDICTS = Contract(
    "application_verdicts",
    1,
    ("task",),
    (
        _text("task", "application domain of the seed notebook"),
        _text("status", "verdict on its percentage", allowed=("supported", "bound", "unsupported")),
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
        _text("true_arxiv_id", "arXiv id of the work with that title"),
        _text("verdict", "whether the reference is correct"),
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
        _text("way", "how it was counted: in closed form, or from a model"),
        _integer("trainable_params", "parameters that are trained", required=True),
        _integer("base_params", "parameters of the model without the adapter", required=True),
        _number("percent_with_adapter", "trainable parameters relative to base plus adapter", "percent", required=True),
        _number("percent_without_adapter", "trainable parameters relative to the base", "percent", required=True),
        _text("configuration_source", "where the configuration is documented"),
    ),
)
MEMORY = Contract(
    "memory",
    2,
    ("base_model", "method", "setting", "precision"),
    (
        _text("base_model", "model that is trained"),
        _text("method", "fine-tuning method; full means full fine-tuning"),
        _text("setting", "configuration that is counted"),
        _text("precision", "precision of training", allowed=("fp32", "bf16_mixed")),
        _integer("trainable_params", "parameters that are trained", required=True),
        _integer("base_params", "parameters of the model without the adapter", required=True),
        _integer("weights_bytes", "all weights, including the adapter's", "bytes", required=True),
        _integer("master_weights_bytes", "fp32 copies of the trained weights", "bytes", required=True),
        _integer("gradients_bytes", "gradients of the trained weights", "bytes", required=True),
        _integer("optimizer_bytes", "both moments of AdamW", "bytes", required=True),
        _integer("total_bytes", "sum of the above; excludes activations", "bytes", required=True),
        *(
            Column(f"fits_{size}gb", FLAG, f"whether the total is at most {size} * 10^9 bytes", required=True)
            for size in (24, 40, 80)
        ),
        _integer("micro_batch", "sequences of the step whose peak is predicted; null if the method is not modelled"),
        _integer("sequence", "tokens of each of them", "tokens"),
        _integer("peak_bytes", "predicted peak of that step, activations included", "bytes"),
        _integer("peak_low_bytes", "lower end of its 90 % interval from measured runs", "bytes"),
        _integer("peak_high_bytes", "upper end of its 90 % interval from measured runs", "bytes"),
    ),
)
_GB = "10^9 bytes"
PREDICTIONS = Contract(
    "predictions",
    1,
    ("source", "record", "origin"),
    (
        _text("source", "whose run it is"),
        _text("record", "the run, as the source or our table names it"),
        _text("model", "model that was trained", required=False),
        _text("method", "fine-tuning method; full means full fine-tuning; null if not modelled", required=False),
        _text("setting", "how the model was trained; null if the run is not predicted", required=False),
        _number("predicted_gb", "predicted peak; null if it cannot be predicted", _GB),
        _number("low_gb", "lower end of the 90 % interval from the errors on all other sources", _GB),
        _number("high_gb", "upper end of that interval", _GB),
        _number("measured_gb", "printed peak; null if the run ran out of memory or prints none", _GB),
        Column("out_of_memory", FLAG, "whether the run did not fit its card"),
        _text("verdict", "prediction for the card; null if the card is not known", required=False),
        _text("fitted_without_source", "what the interval rests on", required=False),
        _number("relative_error", "predicted / measured - 1", "fraction"),
        _number("card_gb", "memory of the card as on its label", "GB"),
        _text("measure", "what the source measured: allocated, reserved, or unstated", required=False),
        _text("moment", "moment of the step at which the peak is predicted", required=False),
        _number("predicted_with_all_rules_gb", "the same with the rules read off the same source's peaks", _GB),
        _number("floor_gb", "weights, gradients and moments by the stated setting, where the peak is below it", _GB),
        _text("finding", "why a printed peak cannot hold; null if it can", required=False),
        _number("full_gb", "of LoRA: measured peak of full fine-tuning at the same setting of the source", _GB),
        _text("assumed", "what the source leaves open, and how it was set", required=False),
        _text("excluded", "why the run cannot be predicted; null if it can", required=False),
        _text("origin", "repository, commit, file and line"),
    ),
)
CONFLICTS = Contract(
    "conflicts",
    1,
    ("scope", "metric", "base_model", "method", "task", "rank", "sources"),
    (
        _text("scope", "what disagrees", allowed=("between sources", "between tasks of a source")),
        _text("family", "family of tasks"),
        _text("base_model", "model the numbers refer to"),
        _text("method", "method, spelled as printed"),
        _text("task", "task; for an average, with the family of tasks it covers"),
        _text("metric", "what the number is"),
        _integer("rank", "rank r; null if not printed"),
        _text("sources", "ids in sources.yaml"),
        _text("unit", "unit of lowest, highest and difference"),
        _text("readings", "each printed number with the sources that print it"),
        _text("places", "files in data/published, with line numbers"),
        _number("lowest", "lowest reading", required=True),
        _number("highest", "highest reading", required=True),
        _number("difference", "highest minus lowest", required=True, limits=(0.0, float("inf"))),
        _integer("n_cells", "number of cells that print the value", required=True),
        _text(
            "explained_by",
            "what accounts for all the differences",
            allowed=("rounding", "padding zeros", "order of rounding", "nothing"),
        ),
        _text("verdict", "state of the conflict", allowed=("explained", "settled", "open")),
        _text("resolution", "reason for the verdict"),
        _text("remarks", "remarks recorded with the cells", required=False),
        _text("evidence", "supporting records: table, then the conditions that select rows"),
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
        RUNS, CURVES, SUMMARY, CONTRASTS, PUBLISHED, APPLICATION_VERDICTS, REFERENCES, PARAMETERS, MEMORY, PREDICTIONS,
        CONFLICTS, COMPARISON, FINDINGS, COSTS, ITEMS, BEST_RATES, *DECODER_CONTRACTS, *RECORD_CONTRACTS, ADDED_RUNS,
    )
}  # fmt: skip
