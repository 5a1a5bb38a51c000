"""Combine: all runs in one table, their means, comparisons, findings and costs."""

COST_FILES += expand(
    "results/benchmarks/{name}/all.tsv",
    name=["combine_runs", "summarise_runs", "compare_sources", "collect_findings"],
)


rule combine_runs:
    input:
        library=library("combine_runs.py"),
        runs=RUN_FILES,
        curves=CURVE_FILES,
    output:
        **results("runs", "curves"),
    log:
        "logs/combine_runs.log",
    benchmark:
        "results/benchmarks/combine_runs/all.tsv"
    localrule: True
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=5,
    message:
        "combining all runs"
    script:
        "../scripts/combine_runs.py"


rule summarise_runs:
    input:
        **results("runs", "curves"),
        library=library("summarise_runs.py"),
    output:
        **results("summary", "contrasts"),
    log:
        "logs/summarise_runs.log",
    benchmark:
        "results/benchmarks/summarise_runs/all.tsv"
    localrule: True
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=5,
    params:
        confidence=CONFIG.statistics.confidence,
        margin=CONFIG.adaptation.equivalence_margin,
    message:
        "means, intervals and paired comparisons over seeds"
    script:
        "../scripts/summarise_runs.py"


rule compare_sources:
    input:
        **results("summary", "published"),
        library=library("compare_sources.py"),
    output:
        **results("comparison"),
    log:
        "logs/compare_sources.log",
    benchmark:
        "results/benchmarks/compare_sources/all.tsv"
    localrule: True
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=5,
    message:
        "measured beside published"
    script:
        "../scripts/compare_sources.py"


rule collect_findings:
    input:
        **results("runs", "curves", "summary", "contrasts"),
        **results("published", "application_verdicts", "references"),
        **results("parameters", "memory", "conflicts"),
        library=library("collect_findings.py"),
        checks=CHECK_FILES,
    output:
        **results("findings"),
    log:
        "logs/collect_findings.log",
    benchmark:
        "results/benchmarks/collect_findings/all.tsv"
    localrule: True
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=5,
    params:
        confidence=CONFIG.statistics.confidence,
    message:
        "answers, errata and checks, each with its evidence"
    script:
        "../scripts/collect_findings.py"


rule collect_costs:
    input:
        library=library("collect_costs.py"),
        # Not those of figures, which are drawn from tables alone and may read the costs.
        benchmarks=COST_FILES,
        runs=RUN_COST_FILES,
    output:
        **results("costs"),
    log:
        "logs/collect_costs.log",
    localrule: True
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=5,
    message:
        "costs of the jobs"
    script:
        "../scripts/collect_costs.py"
