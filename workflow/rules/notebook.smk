"""The notebook study: baseline and sweep, a block of seeds a job."""

BLOCKS = CONFIG.seed_blocks()
PROTOCOLS = ["held_out", "as_published"]
BASELINE = "results/runs/notebook/baseline/{task}/block={block}"
SWEEP = "results/runs/notebook/sweep/held_out/block={block}"
NOTEBOOK_PARTS = [
    *expand(BASELINE, task=PROTOCOLS, block=BLOCKS),
    *expand(SWEEP, block=BLOCKS),
]
NOTEBOOK_RUNS = [f"{part}.runs.parquet" for part in NOTEBOOK_PARTS]
NOTEBOOK_CURVES = [f"{part}.curves.parquet" for part in NOTEBOOK_PARTS]
NOTEBOOK_CHECKS = "results/findings/notebook_checks.parquet"
ROUNDING_CHECK = "results/findings/rounding_check.parquet"
if "notebook" in CONFIG.studies:
    RUN_FILES += NOTEBOOK_RUNS
    CURVE_FILES += NOTEBOOK_CURVES
    CHECK_FILES += [NOTEBOOK_CHECKS, ROUNDING_CHECK]
    COST_FILES += [
        *expand(
            "results/benchmarks/train_baseline/{task}_block={block}.tsv",
            task=PROTOCOLS,
            block=BLOCKS,
        ),
        *expand("results/benchmarks/train_sweep/block={block}.tsv", block=BLOCKS),
        "results/benchmarks/check_notebook/all.tsv",
        "results/benchmarks/check_rounding/all.tsv",
    ]
# Each rule gets the part of the study that its results depend on, and no more.
SWEEP_ONLY = {"ranks", "alphas", "epochs"}
BATCHING = {"seeds_per_job"}
BASELINE_CONFIG = CONFIG.notebook.model_dump(mode="json", exclude=SWEEP_ONLY | BATCHING)
SWEEP_CONFIG = CONFIG.notebook.model_dump(mode="json", exclude={"baseline"} | BATCHING)


wildcard_constraints:
    block=r"\d+",
    task="|".join(PROTOCOLS),


rule train_baseline:
    input:
        library=library("train_notebook.py"),
    output:
        runs=f"{BASELINE}.runs.parquet",
        curves=f"{BASELINE}.curves.parquet",
    log:
        "logs/train_baseline/{task}_block={block}.log",
    benchmark:
        "results/benchmarks/train_baseline/{task}_block={block}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **GPU,
        mem_mb=megabytes(1000),
        runtime=minutes(10),
    params:
        part="baseline",
        config=BASELINE_CONFIG,
        seeds=lambda wildcards: list(BLOCKS[int(wildcards.block)]),
        device=CONFIG.device,
    message:
        "training full model and LoRA, {wildcards.task}, seeds {params.seeds}"
    script:
        "../scripts/train_notebook.py"


rule train_sweep:
    input:
        library=library("train_notebook.py"),
    output:
        runs=f"{SWEEP}.runs.parquet",
        curves=f"{SWEEP}.curves.parquet",
    log:
        "logs/train_sweep/block={block}.log",
    benchmark:
        "results/benchmarks/train_sweep/block={block}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **GPU,
        mem_mb=megabytes(1000),
        runtime=minutes(20),
    params:
        part="sweep",
        config=SWEEP_CONFIG,
        seeds=lambda wildcards: list(BLOCKS[int(wildcards.block)]),
        device=CONFIG.device,
    message:
        "training the rank x alpha sweep, seeds {params.seeds}"
    script:
        "../scripts/train_notebook.py"


rule check_notebook:
    input:
        library=library("check_notebook.py"),
        sweep=f"{SWEEP}.runs.parquet".format(block=0),
    output:
        findings=NOTEBOOK_CHECKS,
    log:
        "logs/check_notebook.log",
    benchmark:
        "results/benchmarks/check_notebook/all.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **GPU,
        mem_mb=megabytes(1000),
        runtime=minutes(10),
    params:
        config=CONFIG.notebook.model_dump(mode="json", exclude=BATCHING),
        seeds=list(CONFIG.seeds),
        device=CONFIG.device,
        confidence=CONFIG.statistics.confidence,
    message:
        "checking splits, parameter counts, merging and repeatability"
    script:
        "../scripts/check_notebook.py"


rule check_rounding:
    input:
        library=library("check_rounding.py"),
    output:
        findings=ROUNDING_CHECK,
    log:
        "logs/check_rounding.log",
    benchmark:
        "results/benchmarks/check_rounding/all.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(10),
    params:
        config=SWEEP_CONFIG,
        seeds=list(CONFIG.seeds)[:3],
    message:
        "training some runs without vector instructions, to see what another processor changes"
    script:
        "../scripts/check_rounding.py"
