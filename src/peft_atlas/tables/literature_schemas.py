"""Contracts of the literature study: published tables, what is computed from them, and where sources differ."""

from __future__ import annotations

from peft_atlas.tables.columns import flag, integer, number, text
from peft_atlas.tables.contract import Contract

PUBLISHED = Contract(
    "published",
    3,
    ("table", "line"),
    (
        text("table", "file in data/published"),
        integer("line", "line in that file, counted from 1", required=True),
        text("base_model", "model the number refers to"),
        text("method", "method, spelled as printed"),
        text("task", "task, domain or table"),
        text("family", "family of tasks: the row's own, else that of its file"),
        text("metric", "what the number is"),
        text("printed", "the cell as printed"),
        number("value", "the cell as a number; the bound if it is one"),
        text("qualifier", "how to read value", allowed=("exact", "less_than", "greater_than", "about")),
        integer("decimals", "number of decimals printed"),
        text("unit", "unit of the cell"),
        integer("rank", "rank r, if the table has one"),
        number("spread", "number printed after ±, in the unit of value; null if none"),
        text("source", "id in sources.yaml"),
        text("source_title", "title of the source"),
        text("source_authors", "authors of the source, shortened"),
        text("source_identifier", "arXiv id, DOI or repository of the source"),
        text("source_version", "version or date of the source", required=False),
        text("locator", "where in the source"),
        text("seen", "how we saw the number"),
        text("note", "remark", required=False),
    ),
)
APPLICATION_VERDICTS = Contract(
    "application_verdicts",
    1,
    ("task",),
    (
        text("task", "application domain of the seed notebook"),
        text("status", "verdict on its percentage", allowed=("supported", "bound", "unsupported")),
        text("reason", "why"),
        text("evidence", "ids of the sources"),
    ),
)
REFERENCES = Contract(
    "references",
    1,
    ("number",),
    (
        text("number", "number of the reference in the seed notebook"),
        text("authors", "authors, as cited"),
        text("title", "title, as cited"),
        text("claimed_arxiv_id", "arXiv id, as cited"),
        text("true_arxiv_id", "arXiv id of the work with that title"),
        text("verdict", "whether the reference is correct"),
        text("source", "id in sources.yaml"),
        text("note", "remark", required=False),
    ),
)
PARAMETERS = Contract(
    "parameters",
    1,
    ("base_model", "method", "setting", "way"),
    (
        text("base_model", "model whose parameters are counted"),
        text("method", "fine-tuning method"),
        text("setting", "configuration that is counted"),
        text("way", "how it was counted: in closed form, or from a model"),
        integer("trainable_params", "parameters that are trained", required=True),
        integer("base_params", "parameters of the model without the adapter", required=True),
        number("percent_with_adapter", "trainable parameters relative to base plus adapter", "percent", required=True),
        number("percent_without_adapter", "trainable parameters relative to the base", "percent", required=True),
        text("configuration_source", "where the configuration is documented"),
    ),
)
MEMORY = Contract(
    "memory",
    2,
    ("base_model", "method", "setting", "precision"),
    (
        text("base_model", "model that is trained"),
        text("method", "fine-tuning method; full means full fine-tuning"),
        text("setting", "configuration that is counted"),
        text("precision", "precision of training", allowed=("fp32", "bf16_mixed")),
        integer("trainable_params", "parameters that are trained", required=True),
        integer("base_params", "parameters of the model without the adapter", required=True),
        integer("weights_bytes", "all weights, including the adapter's", "bytes", required=True),
        integer("master_weights_bytes", "fp32 copies of the trained weights", "bytes", required=True),
        integer("gradients_bytes", "gradients of the trained weights", "bytes", required=True),
        integer("optimizer_bytes", "both moments of AdamW", "bytes", required=True),
        integer("total_bytes", "sum of the above; excludes activations", "bytes", required=True),
        *(
            flag(f"fits_{size}gb", f"whether the total is at most {size} * 10^9 bytes", required=True)
            for size in (24, 40, 80)
        ),
        integer("micro_batch", "sequences of the step whose peak is predicted; null if the method is not modelled"),
        integer("sequence", "tokens of each of them", "tokens"),
        integer("peak_bytes", "predicted peak of that step, activations included", "bytes"),
        integer("peak_low_bytes", "lower end of its 90 % interval from measured runs", "bytes"),
        integer("peak_high_bytes", "upper end of its 90 % interval from measured runs", "bytes"),
    ),
)
_GB = "10^9 bytes"
PREDICTIONS = Contract(
    "predictions",
    1,
    ("source", "record", "origin"),
    (
        text("source", "whose run it is"),
        text("record", "the run, as the source or our table names it"),
        text("model", "model that was trained", required=False),
        text("method", "fine-tuning method; full means full fine-tuning; null if not modelled", required=False),
        text("setting", "how the model was trained; null if the run is not predicted", required=False),
        number("predicted_gb", "predicted peak; null if it cannot be predicted", _GB),
        number("low_gb", "lower end of the 90 % interval from the errors on all other sources", _GB),
        number("high_gb", "upper end of that interval", _GB),
        number("measured_gb", "printed peak; null if the run ran out of memory or prints none", _GB),
        flag("out_of_memory", "whether the run did not fit its card"),
        text("verdict", "prediction for the card; null if the card is not known", required=False),
        text("fitted_without_source", "what the interval rests on", required=False),
        number("relative_error", "predicted / measured - 1", "fraction"),
        number("card_gb", "memory of the card as on its label", "GB"),
        text("measure", "what the source measured: allocated, reserved, or unstated", required=False),
        text("moment", "moment of the step at which the peak is predicted", required=False),
        number("predicted_with_all_rules_gb", "the same with the rules read off the same source's peaks", _GB),
        number("floor_gb", "weights, gradients and moments by the stated setting, where the peak is below it", _GB),
        text("finding", "why a printed peak cannot hold; null if it can", required=False),
        number("full_gb", "of LoRA: measured peak of full fine-tuning at the same setting of the source", _GB),
        text("assumed", "what the source leaves open, and how it was set", required=False),
        text("excluded", "why the run cannot be predicted; null if it can", required=False),
        text("origin", "repository, commit, file and line"),
    ),
)
CONFLICTS = Contract(
    "conflicts",
    1,
    ("scope", "metric", "base_model", "method", "task", "rank", "sources"),
    (
        text("scope", "what disagrees", allowed=("between sources", "between tasks of a source")),
        text("family", "family of tasks"),
        text("base_model", "model the numbers refer to"),
        text("method", "method, spelled as printed"),
        text("task", "task; for an average, with the family of tasks it covers"),
        text("metric", "what the number is"),
        integer("rank", "rank r; null if not printed"),
        text("sources", "ids in sources.yaml"),
        text("unit", "unit of lowest, highest and difference"),
        text("readings", "each printed number with the sources that print it"),
        text("places", "files in data/published, with line numbers"),
        number("lowest", "lowest reading", required=True),
        number("highest", "highest reading", required=True),
        number("difference", "highest minus lowest", required=True, limits=(0.0, float("inf"))),
        integer("n_cells", "number of cells that print the value", required=True),
        text(
            "explained_by",
            "what accounts for all the differences",
            allowed=("rounding", "padding zeros", "order of rounding", "nothing"),
        ),
        text("verdict", "state of the conflict", allowed=("explained", "settled", "open")),
        text("resolution", "reason for the verdict"),
        text("remarks", "remarks recorded with the cells", required=False),
        text("evidence", "supporting records: table, then the conditions that select rows"),
    ),
)
LITERATURE_CONTRACTS = (
    PUBLISHED, APPLICATION_VERDICTS, REFERENCES, PARAMETERS, MEMORY, PREDICTIONS, CONFLICTS,
)  # fmt: skip
