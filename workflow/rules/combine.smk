"""Combine: all runs in one table, their means, comparisons, findings and costs."""

from peft_atlas.tables.configuration_mark import configuration_digest

COMBINING = [
    *("combine_runs", "summarise_runs", "compare_sources", "collect_findings"),
    # In every run, with the released tables where the study is left out.
    "tabulate_decoder",
]


use rule _light_step as combine_runs with:
    input:
        runs=outputs("runs"),
        curves=outputs("curves"),
        per_item=outputs("items"),
    output:
        **results("runs", "curves"),
        per_item=RESULTS.format(name="items"),
    log:
        "logs/combine_runs.log",
    benchmark:
        "results/benchmarks/combine_runs/all.tsv"
    localrule: True
    resources:
        **LIGHT,
        mem_mb=megabytes(1000),
        runtime=minutes(5),
    params:
        **step("analysis.combine:combine_step"),
        configurations={
            study: sorted({*map(configuration_digest, OUTPUTS[study].configurations)})
            for study in STUDIES
            if OUTPUTS[study].configurations
        },
    message:
        "combining all runs"


use rule _light_step as summarise_runs with:
    input:
        **results("runs", "curves"),
        per_item=RESULTS.format(name="items"),
    output:
        **results("summary", "contrasts"),
    log:
        "logs/summarise_runs.log",
    benchmark:
        "results/benchmarks/summarise_runs/all.tsv"
    localrule: True
    resources:
        **LIGHT,
        mem_mb=megabytes(1000),
        runtime=minutes(5),
    params:
        **step("studies.contrasts:summarise_step", "studies/*/*contrasts.py"),
        confidence=CONFIG.statistics.confidence,
        margin=CONFIG.adaptation.equivalence_margin,
        questions={
            "decoder": {},
            "encoder": CONFIG.encoder.primary.model_dump(include={"method", "margin"}),
        },
    message:
        "computing means, intervals and paired comparisons over seeds"


use rule _light_step as compare_sources with:
    input:
        **results("summary", "published"),
    output:
        **results("comparison"),
    log:
        "logs/compare_sources.log",
    benchmark:
        "results/benchmarks/compare_sources/all.tsv"
    localrule: True
    params:
        **step("analysis.comparison:compare_step"),
    message:
        "combining measured and published accuracies"


use rule _light_step as collect_findings with:
    input:
        **results("runs", "curves", "summary", "contrasts"),
        **results("published", "application_verdicts", "references"),
        **results("parameters", "memory", "predictions", "conflicts", *RECORD),
        **results(*ADDED_TABLES),
        checks=[*outputs("checks"), *RELEASED_CHECKS],
    output:
        **results("findings"),
    log:
        "logs/collect_findings.log",
    benchmark:
        "results/benchmarks/collect_findings/all.tsv"
    localrule: True
    params:
        **step("studies.findings:findings_step", "studies/*/findings.py"),
        confidence=CONFIG.statistics.confidence,
    message:
        "collecting answers, errata and checks, each with its evidence"


use rule _light_step as collect_costs with:
    input:
        # Not those of figures, which are drawn from tables alone and may read the costs.
        benchmarks=[
            *outputs("benchmarks"),
            *expand("results/benchmarks/{name}/all.tsv", name=COMBINING),
        ],
        runs=outputs("run_costs"),
    output:
        **results("costs"),
    log:
        "logs/collect_costs.log",
    localrule: True
    params:
        **step("snakemake_support.costs:costs_step"),
    message:
        "collecting the costs of the jobs"
