"""The published tables: read, checked, and recomputed from architecture."""

PUBLISHED_TABLES = [RESULTS.format(name=name) for name in ("published", "parameters")]
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
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=10,
    message:
        "counting parameters by closed form and on models of the published shapes"
    script:
        "../scripts/count_parameters.py"
