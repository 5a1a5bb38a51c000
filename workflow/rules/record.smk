"""The record of published runs: read and checked."""

RECORD_FILES = sorted(
    source(file) for file in (ROOT / "data/published/runs").glob("*/*.csv")
)


use rule _light_step as load_record with:
    input:
        tables=RECORD_FILES,
    output:
        **results(*RECORD),
    log:
        "logs/load_record.log",
    benchmark:
        "results/benchmarks/load_record/all.tsv"
    localrule: True
    params:
        **step("studies.record.data:load_step"),
    message:
        "reading the record of published runs"
