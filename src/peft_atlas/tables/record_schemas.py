"""Contracts of the record of published runs: one row per run, statement or count, each with its origin.

The CSV files in ``data/published/runs/<contract>`` have these columns too, but for ``table`` and ``line``, which say
where a row is.
"""

from __future__ import annotations

from peft_atlas.tables.columns import flag, integer, number, text
from peft_atlas.tables.contract import Column, Contract

_COMMIT = "[0-9a-f]{40}"
_PLACE = (
    text("table", "file in data/published/runs"),
    integer("line", "line in that file, counted from 1", required=True),
)
_POSITIVE = (0.0, float("inf"))


def _origin(*, line: bool = True) -> tuple[Column, ...]:
    """Return the columns that say where a row comes from, with the line in the source's file where it has lines."""
    place = (text("line_in_source", "line, cell or key in the source's file", required=False),) if line else ()
    return (
        text("repository", "owner and name of the repository on GitHub", pattern="[^/ ]+/[^/ ]+"),
        text("path", "file in the repository"),
        text("commit", "commit that holds the file", pattern=_COMMIT),
        *place,
    )


BENCHMARK_RUNS = Contract(
    "benchmark_runs",
    1,
    ("benchmark", "experiment", "run_date"),
    (
        *_PLACE,
        text("benchmark", "name of the benchmark"),
        text("experiment", "experiment: folder of its method, and of its configuration"),
        text(
            "run_date",
            "when the run was recorded, ISO 8601 with time zone",
            pattern=r"\d{4}-\d\d-\d\dT[\d:]+\+\d\d:\d\d",
        ),
        text("peft_type", "method as peft names it; FULL trains all weights"),
        text("base_model", "model that is tuned"),
        text("dtype", "type of the base model's weights"),
        integer("rank", "rank r; null if the method has none"),
        number("alpha", "alpha; null if the method has none"),
        text("target_modules", "modules that are adapted, by |", required=False),
        flag("use_rslora", "alpha / sqrt(r) in place of alpha / r"),
        flag("use_dora", "DoRA"),
        number("learning_rate", "optimiser learning rate", limits=_POSITIVE),
        number("weight_decay", "weight decay; null if the run did not set it", limits=_POSITIVE),
        text("lr_scheduler", "schedule of the learning rate", required=False),
        integer("steps", "optimiser steps", required=True),
        integer("batch_size", "sequences per step", required=True),
        integer("seed", "seed", required=True),
        flag("gradient_checkpointing", "activations are computed again in the backward pass"),
        flag("autocast_adapter_dtype", "adapters are float32 over a half-precision base"),
        text("gpu", "GPU"),
        text("transformers", "version of transformers"),
        text("torch", "version of torch"),
        text("peft", "version of peft"),
        text("metric", "what score is"),
        number("score", "result on the test set", "fraction", required=True, limits=(0.0, 1.0)),
        number("forgetting", "rise of the loss on other text, by the definition in force", "nats"),
        text("forgetting_definition", "definition of forgetting in force", required=False, allowed=("A", "B", "C")),
        number("train_loss", "training loss of the last window", "nats"),
        integer("trainable_params", "parameters that are trained"),
        integer("total_params", "parameters of the model with the adapter"),
        integer("memory_max_reserved_bytes", "largest reserved memory of the whole run", "bytes"),
        integer("memory_reserved_p99_bytes", "99th percentile of reserved memory after training steps", "bytes"),
        number("train_seconds", "printed time of training, with data loading and the test evaluation", "s"),
        number("step_seconds_sum", "time of the training steps alone", "s"),
        number("eval_seconds_sum", "time of validation", "s"),
        integer("checkpoint_bytes", "size of the saved adapter", "bytes"),
        text("status", "outcome as recorded"),
        flag("in_newest_commit", "the newest commit read still holds the run", required=True),
        integer("pull_request", "pull request that alone holds the run; null on the main line"),
        *_origin(line=False),
    ),
)
RATE_RUNS = Contract(
    "rate_runs",
    1,
    ("study", "model", "method", "rank", "learning_rate", "metric", "run"),
    (
        *_PLACE,
        text("study", "sweep that the run belongs to"),
        text("model", "model that is tuned"),
        text("data", "training data"),
        text("method", "fine-tuning method"),
        integer("rank", "rank r", required=True),
        number("alpha", "alpha; null if the source does not say"),
        integer("batch_size", "sequences per step", required=True),
        integer("steps", "optimiser steps; null if the source does not say"),
        number("learning_rate", "optimiser learning rate", required=True, limits=_POSITIVE),
        integer("run", "number of the run at these settings, in the order of the source", required=True),
        text("metric", "what score is; nll is better where it is lower"),
        number("score", "result on the test set", required=True, limits=_POSITIVE),
        number("printed_mean", "mean over runs as the source prints it"),
        number("printed_sd", "standard deviation over runs as the source prints it"),
        number("train_nll", "training loss", "nats"),
        number("wall_minutes", "elapsed time", "min"),
        *_origin(),
    ),
)
RATE_MEANS = Contract(
    "rate_means",
    1,
    ("study", "model", "method", "batch_size", "learning_rate", "metric"),
    (
        *_PLACE,
        text("study", "sweep that the runs belong to"),
        text("model", "model that is tuned"),
        text("data", "training data or task"),
        text("method", "fine-tuning method"),
        integer("rank", "rank r", required=True),
        number("alpha", "alpha; null if the source does not say"),
        integer("batch_size", "sequences per step", required=True),
        number("learning_rate", "optimiser learning rate", required=True, limits=_POSITIVE),
        text("metric", "what mean is"),
        number("mean", "mean over runs on the test set", required=True, limits=_POSITIVE),
        number("sd", "standard deviation over runs", required=True, limits=_POSITIVE),
        integer("runs", "runs that both rest on", required=True),
        text("how_read", "how the numbers were read from the source"),
        *_origin(),
    ),
)
RATE_SWEEPS = Contract(
    "rate_sweeps",
    1,
    ("study", "model"),
    (
        *_PLACE,
        text("study", "sweep"),
        text("model", "model that is tuned"),
        integer("runs_planned", "runs of the grid", required=True),
        integer("rows_printed", "runs whose result is printed", required=True),
        integer("runs_diverged", "runs left out because they diverged", required=True),
        text("rates_diverged", "learning rates of those, by |", required=False),
        text("ranks_diverged", "ranks of those, by |", required=False),
        text("rates_tried", "learning rates of the grid, by |"),
        text("ranks_tried", "ranks of the grid, by |"),
        *_origin(),
    ),
)
RATE_STATEMENTS = Contract(
    "rate_statements",
    1,
    ("table", "line"),
    (
        *_PLACE,
        text("source_id", "short name of the source"),
        text("claim_kind", "what the row states"),
        text("base_model", "model", required=False),
        text("data", "data", required=False),
        text("method", "method", required=False),
        text("modules", "modules that are adapted", required=False),
        text("rank", "rank, as printed", required=False),
        text("alpha", "alpha, as printed", required=False),
        text("scaling_rule", "how alpha follows the rank", required=False),
        text("batch_size", "batch size, as printed", required=False),
        text("steps", "steps, as printed", required=False),
        text("lr_schedule", "schedule of the learning rate", required=False),
        text("best_learning_rate", "best rate, as printed", required=False),
        text("metric", "what value_at_best is", required=False),
        text("value_at_best", "result at the best rate, as printed", required=False),
        text("full_best_learning_rate", "best rate of full fine-tuning, as printed", required=False),
        text("ratio_to_full", "best rate relative to that of full fine-tuning", required=False),
        text("statement", "statement in short", required=False),
        text("seeds", "seeds", required=False),
        text("grid", "rates that were tried", required=False),
        text("how_read", "how the row was read from the source"),
        *_origin(),
    ),
)
ADAPTER_COUNTS = Contract(
    "adapter_counts",
    1,
    ("model",),
    (
        *_PLACE,
        text("model", "model that is adapted"),
        integer("mlp_params_per_rank", "LoRA parameters per rank in MLP layers", required=True),
        integer("attention_params_per_rank", "LoRA parameters per rank in attention layers", required=True),
        integer("unembedding_params_per_rank", "LoRA parameters per rank in the unembedding", required=True),
        integer("hidden_size_listed", "width that the source lists"),
        *_origin(),
    ),
)
TUNING_AUDIT = Contract(
    "tuning_audit",
    1,
    ("method",),
    (
        *_PLACE,
        text("method", "method that the paper proposes"),
        text("arxiv_month", "month on arXiv", required=False, pattern=r"\d{4}-\d\d"),
        text("arxiv_id", "arXiv id", required=False, pattern=r"\d{4}\.\d{4,5}"),
        text("published_month", "month of publication", required=False, pattern=r"\d{4}-\d\d"),
        text("published_url", "where it is published", required=False),
        text("venue", "venue"),
        text("models", "models, by |"),
        text("tasks", "tasks, by |"),
        flag("learning_rate_tuned", "several learning rates were tried", required=True),
        flag("batch_size_tuned", "several batch sizes were tried", required=True),
        flag("rank_compared", "several ranks were tried", required=True),
        *_origin(),
    ),
)
TRAINING_RUNS = Contract(
    "training_runs",
    1,
    ("record_id",),
    (
        *_PLACE,
        text("record_id", "identifies the row"),
        text("configuration", "rows of one set-up share it"),
        text("model", "model that is tuned", required=False),
        text("method", "method, as the source has it", required=False),
        integer("rank", "rank r"),
        number("alpha", "alpha"),
        text("target_modules", "modules that are adapted, by |", required=False),
        text("precision", "precision, as printed", required=False),
        text("quantization", "quantisation of the base, as printed", required=False),
        integer("micro_batch_size", "sequences per forward pass"),
        integer("sequence_length", "tokens of a sequence", "tokens"),
        text("gradient_checkpointing", "yes or no", required=False),
        text("optimizer", "optimiser, where the source names it", required=False),
        text("gpu", "GPU", required=False),
        integer("n_gpus", "GPUs"),
        text("outcome", "ran, or out of memory", required=False),
        text("value_kind", "measured, approximate or estimated"),
        text("peak_as_printed", "peak memory, as printed", required=False),
        text("unit_as_printed", "its unit, as printed; see the note for what it is", required=False),
        text("peak_meaning", "what the peak counts", required=False),
        number("seconds", "elapsed time", "s", limits=_POSITIVE),
        number("tokens_per_second", "throughput", "tokens/s", limits=_POSITIVE),
        text("quality_metric", "what quality is", required=False),
        number("quality", "result"),
        text("note", "remark", required=False),
        *_origin(),
    ),
)
RECORD_CONTRACTS = (
    BENCHMARK_RUNS, RATE_RUNS, RATE_MEANS, RATE_SWEEPS, RATE_STATEMENTS, ADAPTER_COUNTS, TUNING_AUDIT, TRAINING_RUNS,
)  # fmt: skip
