"""The published tables: read, checked, and recomputed from architecture."""

PUBLISHED_FILES = sorted(
    source(file) for file in (ROOT / "data/published").iterdir() if file.is_file()
)
# Shapes of models and measured peaks, which the planner reads.
PLANNING_FILES = sorted(
    source(file) for file in (SOURCES / "peft_atlas/planning/data").glob("*.csv")
)


use rule _light_step as load_published with:
    input:
        tables=PUBLISHED_FILES,
    output:
        **results("published", "application_verdicts", "references"),
    log:
        "logs/load_published.log",
    benchmark:
        "results/benchmarks/load_published/all.tsv"
    localrule: True
    params:
        **step("studies.literature.data:load_step"),
    message:
        "reading the transcribed tables"


use rule _heavy_step as count_parameters with:
    output:
        **results("parameters"),
    log:
        "logs/count_parameters.log",
    benchmark:
        "results/benchmarks/count_parameters/all.tsv"
    # The longest of these jobs, and others wait for it.
    priority: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(10),
    params:
        **step("studies.literature.parameter_table:parameters_step"),
    message:
        "counting parameters by closed form and on models of the published shapes"


use rule _light_step as compute_memory with:
    input:
        planning=PLANNING_FILES,
    output:
        **results("memory"),
    log:
        "logs/compute_memory.log",
    benchmark:
        "results/benchmarks/compute_memory/all.tsv"
    localrule: True
    params:
        **step("studies.literature.memory_table:memory_step"),
    message:
        "computing the bytes that training takes, by method and precision"


use rule _light_step as predict_memory with:
    input:
        planning=PLANNING_FILES,
    output:
        **results("predictions"),
    log:
        "logs/predict_memory.log",
    benchmark:
        "results/benchmarks/predict_memory/all.tsv"
    localrule: True
    params:
        **step("studies.literature.memory_predictions:predictions_step"),
    message:
        "predicting the peak of every published training run"


use rule _light_step as find_conflicts with:
    input:
        **results("published", "parameters"),
    output:
        **results("conflicts"),
    log:
        "logs/find_conflicts.log",
    benchmark:
        "results/benchmarks/find_conflicts/all.tsv"
    localrule: True
    params:
        **step("studies.literature.conflicts:conflicts_step"),
    message:
        "comparing what several sources print"
