"""Runs that a user has added with peft-atlas add: read and checked."""

from peft_atlas.studies.added.description import STUDY as ADDED_STUDY


use rule _light_step as load_added with:
    input:
        tables=sorted(str(file) for file in Path().glob(ADDED_STUDY.needs)),
    output:
        **results(*ADDED),
    log:
        "logs/load_added.log",
    benchmark:
        "results/benchmarks/load_added/all.tsv"
    localrule: True
    params:
        **step("studies.added.data:load_step"),
    message:
        "reading the runs that were added"
