"""The published tables: read, checked, and recomputed from architecture."""

PUBLISHED_TABLES = [
    RESULTS.format(name=name)
    for name in ("published", "parameters", "memory", "conflicts")
]
COST_FILES += expand(
    "results/benchmarks/{name}/all.tsv",
    name=["load_published", "count_parameters", "compute_memory", "find_conflicts"],
)
PUBLISHED_FILES = sorted(source(file) for file in (ROOT / "data/published").iterdir())


rule load_published:
    input:
        library=library("load_published.py"),
        tables=PUBLISHED_FILES,
    output:
        **results("published", "application_verdicts", "references"),
    log:
        "logs/load_published.log",
    benchmark:
        "results/benchmarks/load_published/all.tsv"
    localrule: True
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=5,
    message:
        "reading the transcribed tables"
    script:
        "../scripts/load_published.py"


rule count_parameters:
    input:
        library=library("count_parameters.py"),
    output:
        parameters="results/parameters.parquet",
    log:
        "logs/count_parameters.log",
    benchmark:
        "results/benchmarks/count_parameters/all.tsv"
    # The longest of these jobs, and others wait for it.
    priority: 1
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(10),
    message:
        "counting parameters by closed form and on models of the published shapes"
    script:
        "../scripts/count_parameters.py"


rule compute_memory:
    input:
        library=library("compute_memory.py"),
    output:
        **results("memory"),
    log:
        "logs/compute_memory.log",
    benchmark:
        "results/benchmarks/compute_memory/all.tsv"
    localrule: True
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=5,
    message:
        "bytes to train, by method and precision"
    script:
        "../scripts/compute_memory.py"


rule find_conflicts:
    input:
        **results("published", "parameters"),
        library=library("find_conflicts.py"),
    output:
        **results("conflicts"),
    log:
        "logs/find_conflicts.log",
    benchmark:
        "results/benchmarks/find_conflicts/all.tsv"
    localrule: True
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=5,
    message:
        "comparing what several sources print"
    script:
        "../scripts/find_conflicts.py"
