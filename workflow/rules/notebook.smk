"""The notebook study: baseline and sweep, a block of seeds per job."""

from peft_atlas.studies.notebook import jobs as notebook_jobs

NOTEBOOK_BLOCKS = notebook_jobs.seed_blocks(CONFIG)


wildcard_constraints:
    block=r"\d+",
    task="|".join(notebook_jobs.PROTOCOLS),


use rule _heavy_step as train_baseline with:
    output:
        runs=f"{notebook_jobs.BASELINE}.runs.parquet",
        curves=f"{notebook_jobs.BASELINE}.curves.parquet",
    log:
        "logs/train_baseline/{task}_block={block}.log",
    benchmark:
        "results/benchmarks/train_baseline/{task}_block={block}.tsv"
    resources:
        **GPU,
        mem_mb=megabytes(1000),
        runtime=minutes(10),
    params:
        **step("studies.notebook.train:baseline_step"),
        config=notebook_jobs.baseline_config(CONFIG),
        seeds=lambda wildcards: list(NOTEBOOK_BLOCKS[int(wildcards.block)]),
        device=CONFIG.device,
    message:
        "training full model and LoRA, {wildcards.task}, seeds {params.seeds}"


use rule train_baseline as train_sweep with:
    output:
        runs=f"{notebook_jobs.SWEEP}.runs.parquet",
        curves=f"{notebook_jobs.SWEEP}.curves.parquet",
    log:
        "logs/train_sweep/block={block}.log",
    benchmark:
        "results/benchmarks/train_sweep/block={block}.tsv"
    resources:
        **GPU,
        mem_mb=megabytes(1000),
        runtime=minutes(20),
    params:
        **step("studies.notebook.train:sweep_step"),
        config=notebook_jobs.sweep_config(CONFIG),
    message:
        "training the rank x alpha sweep, seeds {params.seeds}"


use rule _heavy_step as train_tuned with:
    output:
        runs=f"{notebook_jobs.TUNED}.runs.parquet",
        curves=f"{notebook_jobs.TUNED}.curves.parquet",
    log:
        "logs/train_tuned.log",
    benchmark:
        "results/benchmarks/train_tuned/all.tsv"
    resources:
        **GPU,
        mem_mb=megabytes(1000),
        runtime=minutes(20),
    params:
        **step("studies.notebook.tuning:tuned_step"),
        config=notebook_jobs.tuned_config(CONFIG),
        seeds=list(CONFIG.seeds),
        device=CONFIG.device,
    message:
        "training full model and LoRA at every learning rate"


use rule _heavy_step as check_notebook with:
    input:
        sweep=f"{notebook_jobs.SWEEP}.runs.parquet".format(block=0),
    output:
        findings=notebook_jobs.CHECKS,
    log:
        "logs/check_notebook.log",
    benchmark:
        "results/benchmarks/check_notebook/all.tsv"
    resources:
        **GPU,
        mem_mb=megabytes(1000),
        runtime=minutes(10),
    params:
        **step("studies.notebook.checks:check_step"),
        config=notebook_jobs.check_config(CONFIG),
        seeds=list(CONFIG.seeds),
        device=CONFIG.device,
        confidence=CONFIG.statistics.confidence,
    message:
        "checking splits, parameter counts, merging and repeatability"


use rule _heavy_step as check_rounding with:
    output:
        findings=notebook_jobs.ROUNDING_CHECK,
    log:
        "logs/check_rounding.log",
    benchmark:
        "results/benchmarks/check_rounding/all.tsv"
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(10),
    params:
        **step("studies.notebook.rounding_check:rounding_step"),
        config=notebook_jobs.sweep_config(CONFIG),
        seeds=list(CONFIG.seeds)[:3],
    message:
        "training some runs without vector instructions, to see what another processor changes"
