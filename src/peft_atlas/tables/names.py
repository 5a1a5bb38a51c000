"""Names of result tables that the workflow needs while it parses, without the contracts and what they import."""

# The tables of the record of published runs; each is a folder of CSV files in data/published/runs too.
RECORD = (
    *("benchmark_runs", "rate_runs", "rate_means", "rate_sweeps", "rate_statements"),
    *("adapter_counts", "tuning_audit", "training_runs"),
)
# The tables of runs that a user has added, where there are any; see the command `peft-atlas add`.
ADDED = ("added_runs",)
