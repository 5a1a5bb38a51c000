"""The adaptation study: bases pretrained once, then one job per target task and part of the study."""

from peft_atlas.studies.adaptation import jobs as adaptation_jobs


wildcard_constraints:
    experiment="|".join(CONFIG.adaptation.targets()),
    shift=r"\d+(-[a-z]+)?",
    examples=r"\d+",


use rule _heavy_step as pretrain_adaptation with:
    output:
        base=f"{adaptation_jobs.PRETRAINED}.safetensors",
        runs=f"{adaptation_jobs.PRETRAINED}.runs.parquet",
        curves=f"{adaptation_jobs.PRETRAINED}.curves.parquet",
    log:
        "logs/pretrain_adaptation.log",
    benchmark:
        "results/benchmarks/pretrain_adaptation/all.tsv"
    resources:
        **GPU,
        mem_mb=megabytes(1500),
        runtime=minutes(20),
    params:
        **step("studies.adaptation.train:pretrain_step", "methods/*.py"),
        config=adaptation_jobs.pretraining_config(CONFIG),
        seeds=adaptation_jobs.seeds(CONFIG),
        device=CONFIG.device,
    message:
        "pretraining a base network for each of the seeds {params.seeds}"


use rule _heavy_step as train_adaptation with:
    input:
        base=f"{adaptation_jobs.PRETRAINED}.safetensors",
    output:
        **trained(adaptation_jobs.PART),
    log:
        "logs/train_adaptation/{experiment}_shift={shift}_examples={examples}.log",
    benchmark:
        adaptation_jobs.BENCHMARK
    resources:
        **GPU,
        mem_mb=megabytes(1500),
        runtime=minutes(30),
    params:
        **step("studies.adaptation.train:adapt_step", "methods/*.py"),
        config=lambda wildcards: adaptation_jobs.part_config(
            CONFIG, wildcards.experiment
        ),
        seeds=adaptation_jobs.seeds(CONFIG),
        device=CONFIG.device,
    message:
        "adapting to a shift of rank {wildcards.shift} with {wildcards.examples} examples: {wildcards.experiment}"
