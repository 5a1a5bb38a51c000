"""The adaptation study: bases pretrained once, then one job a target task and part of the study."""

ADAPTATION = "results/runs/adaptation/{experiment}/shift={shift}_examples={examples}"
PRETRAINED = "results/runs/adaptation/pretraining/base"
ADAPTATION_SEEDS = list(CONFIG.seeds[: CONFIG.adaptation.seeds])
# Target tasks, (rank of shift, examples), of each part of the study.
ADAPTATION_TARGETS = CONFIG.adaptation.targets()
ADAPTED = [
    ADAPTATION.format(experiment=experiment, shift=shift, examples=examples)
    for experiment, targets in ADAPTATION_TARGETS.items()
    for shift, examples in targets
]
ADAPTATION_PARTS = [PRETRAINED, *ADAPTED]
ADAPTATION_RUNS = [f"{part}.runs.parquet" for part in ADAPTATION_PARTS]
ADAPTATION_CURVES = [f"{part}.curves.parquet" for part in ADAPTATION_PARTS]
# What the bases depend on, and what each part of the study depends on beside its target task.
PRETRAINING_CONFIG = CONFIG.adaptation.model_dump(
    mode="json", include={"data", "pretraining", "batch_size"}
)
SHARED = {"data", "batch_size", "steps", "learning_rates", "sizes"}
OWN = {"methods": set(), "ranks": {"ranks"}, "alphas": {"alpha_sweep"}}
ADAPTATION_CONFIG = {
    experiment: CONFIG.adaptation.model_dump(
        mode="json", include=SHARED | OWN.get(experiment, set())
    )
    for experiment in ADAPTATION_TARGETS
}

if "adaptation" in CONFIG.studies:
    RUN_FILES += ADAPTATION_RUNS
    CURVE_FILES += ADAPTATION_CURVES
    RUN_COST_FILES += [f"{part}.costs.parquet" for part in ADAPTED]
    COST_FILES += ["results/benchmarks/pretrain_adaptation/all.tsv"]
    COST_FILES += [
        f"results/benchmarks/train_adaptation/{experiment}_shift={shift}_examples={examples}.tsv"
        for experiment, targets in ADAPTATION_TARGETS.items()
        for shift, examples in targets
    ]


wildcard_constraints:
    experiment="|".join(ADAPTATION_TARGETS),
    shift=r"\d+",
    examples=r"\d+",


rule pretrain_adaptation:
    input:
        library=library("pretrain_adaptation.py", *METHOD_MODULES),
    output:
        base=f"{PRETRAINED}.safetensors",
        runs=f"{PRETRAINED}.runs.parquet",
        curves=f"{PRETRAINED}.curves.parquet",
    log:
        "logs/pretrain_adaptation.log",
    benchmark:
        "results/benchmarks/pretrain_adaptation/all.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **GPU,
        mem_mb=megabytes(1500),
        runtime=minutes(20),
    params:
        config=PRETRAINING_CONFIG,
        seeds=ADAPTATION_SEEDS,
        device=CONFIG.device,
    message:
        "pretraining a base network for each of the seeds {params.seeds}"
    script:
        "../scripts/pretrain_adaptation.py"


rule train_adaptation:
    input:
        base=rules.pretrain_adaptation.output.base,
        library=library("train_adaptation.py", *METHOD_MODULES),
    output:
        **trained(ADAPTATION),
    log:
        "logs/train_adaptation/{experiment}_shift={shift}_examples={examples}.log",
    benchmark:
        "results/benchmarks/train_adaptation/{experiment}_shift={shift}_examples={examples}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **GPU,
        mem_mb=megabytes(1500),
        runtime=minutes(30),
    params:
        config=lambda wildcards: ADAPTATION_CONFIG[wildcards.experiment],
        seeds=ADAPTATION_SEEDS,
        device=CONFIG.device,
    message:
        "adapting to a shift of rank {wildcards.shift} with {wildcards.examples} examples: {wildcards.experiment}"
    script:
        "../scripts/train_adaptation.py"
