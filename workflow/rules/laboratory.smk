"""The claims laboratory: a job per question on the adaptation study's networks, then the verdicts."""

from peft_atlas.studies.adaptation import jobs as adaptation_jobs
from peft_atlas.studies.laboratory import jobs as laboratory_jobs


wildcard_constraints:
    question="|".join(laboratory_jobs.QUESTIONS),


use rule _heavy_step as train_laboratory with:
    input:
        base=f"{adaptation_jobs.PRETRAINED}.safetensors",
    output:
        **trained(laboratory_jobs.STEM),
    log:
        "logs/train_laboratory/{question}.log",
    benchmark:
        laboratory_jobs.BENCHMARK
    resources:
        **GPU,
        mem_mb=megabytes(2000),
        runtime=minutes(30),
    params:
        **step("studies.laboratory.train:laboratory_step"),
        config=laboratory_jobs.part_config(CONFIG),
        seeds=adaptation_jobs.seeds(CONFIG),
        device=CONFIG.device,
    message:
        "laboratory: {wildcards.question}"


use rule _heavy_step as measure_intruders with:
    input:
        base=f"{adaptation_jobs.PRETRAINED}.safetensors",
        runs=expand(
            f"{laboratory_jobs.STEM}.runs.parquet",
            question=[laboratory_jobs.SCALING, laboratory_jobs.VARIANTS],
        ),
    output:
        runs=laboratory_jobs.SHRUNK,
        laboratory_intruders=laboratory_jobs.COUNTS,
    log:
        "logs/measure_intruders.log",
    benchmark:
        "results/benchmarks/measure_intruders/all.tsv"
    resources:
        **GPU,
        mem_mb=megabytes(2000),
        runtime=minutes(10),
    params:
        **step("studies.laboratory.intruders:intruders_step"),
        config=laboratory_jobs.part_config(CONFIG),
        seeds=adaptation_jobs.seeds(CONFIG),
        device=CONFIG.device,
    message:
        "laboratory: intruder dimensions"


use rule _light_step as judge_laboratory with:
    input:
        runs=OUTPUTS["laboratory"].runs,
        laboratory_intruders=laboratory_jobs.COUNTS,
    output:
        **results("best_rates"),
        findings=laboratory_jobs.FINDINGS,
        page=laboratory_jobs.PAGE,
    log:
        "logs/judge_laboratory.log",
    benchmark:
        "results/benchmarks/judge_laboratory/all.tsv"
    localrule: True
    params:
        **step("studies.laboratory.judge:judge_step"),
        confidence=CONFIG.statistics.confidence,
        margin=CONFIG.adaptation.equivalence_margin,
    message:
        "judging the claims of the laboratory"
