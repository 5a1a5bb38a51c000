"""The encoder study: methods on a pretrained transformer and labelled text, one method, setting and seed a job."""

from peft_atlas.config import PACKAGED_MODEL
from peft_atlas.studies.encoder_names import (
    CROSS_CHECKED,
    RANK,
    RANK_CURVE,
    benchmark_of,
    slug,
)

ENCODER = CONFIG.encoder
TEXT_TASKS = {task.name: task for task in ENCODER.tasks}
FIRST_TASK = ENCODER.tasks[0].name
SETTINGS = {slug(name): name for task in ENCODER.tasks for name in task.methods}
SEARCH_SEED, *OTHER_SEEDS = ENCODER.seeds
# A folder is read where it is; any other model is fetched into the cache.
MODEL_FOLDER = (
    ENCODER.model
    if Path(ENCODER.model).is_dir()
    else f"results/cache/models/{slug(ENCODER.model)}"
)
MODEL_FILES = [
    f"{MODEL_FOLDER}/{name}"
    for name in ("config.json", "model.safetensors", "tokenizer.json")
]
PACKAGED_TEXTS = [
    f"results/cache/texts/{name}.txt"
    for name in ("question_labels", "movie", "nyt", "tweets", "amazon")
] + ["results/cache/texts/sms-spam.csv"]
EXAMPLES = "results/cache/tasks/{text_task}.parquet"
TEXT_CHECKS = "results/findings/encoder_texts_{text_task}.parquet"
ENCODER_CHECKS = "results/findings/encoder_checks.parquet"
SETTING_PART = "results/runs/encoder/methods/{text_task}/{setting}"
RANKS_PART = "results/runs/encoder/ranks/{text_task}/{setting}"
CONTROLS_PART = "results/runs/encoder/controls/{text_task}"
SEARCH = f"{SETTING_PART}/search"
FULL_SEARCH = f"{SETTING_PART}/search.runs.parquet".replace("{setting}", "full")
SEARCHES = [
    SEARCH.format(text_task=task.name, setting=slug(name))
    for task in ENCODER.tasks
    for name in task.methods
]
FINALS = [
    f"{search.removesuffix('search')}seed={seed}"
    for search in SEARCHES
    for seed in OTHER_SEEDS
]
# A curve needs the rate that was chosen for its setting.
RANK_SETTINGS = [name for name in RANK_CURVE if name in ENCODER.tasks[0].methods]
RANK_RUNS = [
    f"{RANKS_PART.format(text_task=FIRST_TASK, setting=slug(name))}/seed={seed}"
    for name in RANK_SETTINGS
    for seed in ENCODER.seeds
    if set(ENCODER.ranks) - {RANK}
]
RANDOM_RUNS = [
    f"{CONTROLS_PART.format(text_task=FIRST_TASK)}/random_weights/seed={seed}"
    for seed in ENCODER.seeds
    if ENCODER.model == PACKAGED_MODEL
]
TRAINED_PARTS = [*SEARCHES, *FINALS, *RANK_RUNS, *RANDOM_RUNS]
CONTROL_PARTS = [
    f"{CONTROLS_PART.format(text_task=task)}/without_model" for task in TEXT_TASKS
]
ENCODER_RUNS = [f"{part}.runs.parquet" for part in [*TRAINED_PARTS, *CONTROL_PARTS]]
ENCODER_CURVES = [path.replace(".runs.", ".curves.") for path in ENCODER_RUNS]
# The check needs the runs that it compares with.
CHECKED = [name for name in CROSS_CHECKED if name in ENCODER.tasks[0].methods]
ENCODER_CHECK_FILES = [
    *expand(TEXT_CHECKS, text_task=TEXT_TASKS),
    *([ENCODER_CHECKS] if ENCODER.model == PACKAGED_MODEL and CHECKED else []),
]
if "encoder" in CONFIG.studies:
    RUN_FILES += ENCODER_RUNS
    CURVE_FILES += ENCODER_CURVES
    CHECK_FILES += ENCODER_CHECK_FILES
    COST_FILES += [benchmark_of(part) for part in TRAINED_PARTS]
    COST_FILES += (
        ["results/benchmarks/check_encoder/all.tsv"]
        if ENCODER_CHECKS in ENCODER_CHECK_FILES
        else []
    )
    COST_FILES += expand(
        "results/benchmarks/{program}/{text_task}.tsv",
        program=["prepare_text", "train_controls"],
        text_task=TEXT_TASKS,
    )
    COST_FILES += ["results/benchmarks/fetch_texts/all.tsv"]
    if MODEL_FOLDER != ENCODER.model:
        COST_FILES += ["results/benchmarks/fetch_model/all.tsv"]
    RUN_COST_FILES += [f"{part}.costs.parquet" for part in TRAINED_PARTS]
# Each rule gets the part of the study that its results depend on, and no more.
TRAINING_CONFIG = ENCODER.model_dump(
    mode="json", exclude={"tasks", "seeds", "rates", "ranks"}
)
RANKS_CONFIG = ENCODER.model_dump(mode="json", exclude={"tasks", "seeds", "rates"})


wildcard_constraints:
    text_task=r"[A-Za-z0-9_-]+",
    setting=r"[a-z0-9_]+",
    seed=r"\d+",


if MODEL_FOLDER != ENCODER.model:

    rule fetch_model:
        input:
            library=library("fetch_model.py"),
        output:
            MODEL_FILES,
        log:
            "logs/fetch_model.log",
        benchmark:
            "results/benchmarks/fetch_model/all.tsv"
        localrule: True
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=megabytes(500),
            runtime=minutes(30),
        params:
            model=ENCODER.model,
        message:
            "fetching the pretrained model {params.model}"
        script:
            "../scripts/fetch_model.py"


rule fetch_texts:
    input:
        library=library("fetch_texts.py"),
    output:
        PACKAGED_TEXTS,
    log:
        "logs/fetch_texts.log",
    benchmark:
        "results/benchmarks/fetch_texts/all.tsv"
    localrule: True
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=minutes(30),
    message:
        "fetching the packaged texts"
    script:
        "../scripts/fetch_texts.py"


rule prepare_text:
    input:
        library=library("prepare_text.py"),
        packaged=PACKAGED_TEXTS,
        model=MODEL_FILES,
        own=lambda wildcards: TEXT_TASKS[wildcards.text_task].file or [],
    output:
        examples=EXAMPLES,
        findings=TEXT_CHECKS,
    log:
        "logs/prepare_text/{text_task}.log",
    benchmark:
        "results/benchmarks/prepare_text/{text_task}.tsv"
    localrule: True
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(30),
    params:
        task=lambda wildcards: TEXT_TASKS[wildcards.text_task].model_dump(
            exclude={"methods"}
        ),
        sizes={
            "train": ENCODER.train_examples,
            "validation": ENCODER.validation_examples,
            "test": ENCODER.test_examples,
        },
        drift=ENCODER.drift_texts,
        max_length=ENCODER.max_length,
    message:
        "cleaning, splitting and tokenising {wildcards.text_task}"
    script:
        "../scripts/prepare_text.py"


rule search_rates:
    input:
        library=library("train_encoder.py", *METHOD_MODULES),
        examples=EXAMPLES,
        model=MODEL_FILES,
    output:
        **trained(SEARCH),
    log:
        "logs/search_rates/{text_task}_{setting}.log",
    benchmark:
        "results/benchmarks/search_rates/{text_task}_{setting}_search.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **GPU,
        mem_mb=megabytes(2500),
        runtime=minutes(240),
    params:
        part="search",
        config=TRAINING_CONFIG,
        setting=lambda wildcards: SETTINGS[wildcards.setting],
        rates=lambda wildcards: list(ENCODER.rates.of(SETTINGS[wildcards.setting])),
        seed=SEARCH_SEED,
        device=CONFIG.device,
    message:
        "choosing the learning rate of {params.setting} on {wildcards.text_task}"
    script:
        "../scripts/train_encoder.py"


rule train_setting:
    input:
        library=library("train_encoder.py", *METHOD_MODULES),
        examples=EXAMPLES,
        model=MODEL_FILES,
        search=f"{SEARCH}.runs.parquet",
    output:
        **trained(f"{SETTING_PART}/seed={{seed}}"),
    log:
        "logs/train_setting/{text_task}_{setting}_seed={seed}.log",
    benchmark:
        "results/benchmarks/train_setting/{text_task}_{setting}_seed={seed}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **GPU,
        mem_mb=megabytes(2500),
        runtime=minutes(120),
    params:
        part="setting",
        config=TRAINING_CONFIG,
        setting=lambda wildcards: SETTINGS[wildcards.setting],
        seed=lambda wildcards: int(wildcards.seed),
        device=CONFIG.device,
    message:
        "training {params.setting} on {wildcards.text_task}, seed {wildcards.seed}"
    script:
        "../scripts/train_encoder.py"


rule train_ranks:
    input:
        library=library("train_encoder.py", *METHOD_MODULES),
        examples=EXAMPLES,
        model=MODEL_FILES,
        search=f"{SEARCH}.runs.parquet",
    output:
        **trained(f"{RANKS_PART}/seed={{seed}}"),
    log:
        "logs/train_ranks/{text_task}_{setting}_seed={seed}.log",
    benchmark:
        "results/benchmarks/train_ranks/{text_task}_{setting}_seed={seed}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **GPU,
        mem_mb=megabytes(2500),
        runtime=minutes(240),
    params:
        part="ranks",
        config=RANKS_CONFIG,
        setting=lambda wildcards: SETTINGS[wildcards.setting],
        seed=lambda wildcards: int(wildcards.seed),
        device=CONFIG.device,
    message:
        "training the ranks of {params.setting}, seed {wildcards.seed}"
    script:
        "../scripts/train_encoder.py"


rule train_random:
    input:
        library=library("train_encoder.py", *METHOD_MODULES),
        examples=EXAMPLES,
        model=MODEL_FILES,
        search=lambda wildcards: FULL_SEARCH.format(text_task=wildcards.text_task),
    output:
        **trained(f"{CONTROLS_PART}/random_weights/seed={{seed}}"),
    log:
        "logs/train_random/{text_task}_seed={seed}.log",
    benchmark:
        "results/benchmarks/train_random/{text_task}_random_weights_seed={seed}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **GPU,
        mem_mb=megabytes(2500),
        runtime=minutes(120),
    params:
        part="random",
        config=TRAINING_CONFIG,
        setting="full",
        seed=lambda wildcards: int(wildcards.seed),
        device=CONFIG.device,
    message:
        "training from random weights on {wildcards.text_task}, seed {wildcards.seed}"
    script:
        "../scripts/train_encoder.py"


rule train_controls:
    input:
        library=library("train_controls.py"),
        examples=EXAMPLES,
    output:
        runs=f"{CONTROLS_PART}/without_model.runs.parquet",
        curves=f"{CONTROLS_PART}/without_model.curves.parquet",
    log:
        "logs/train_controls/{text_task}.log",
    benchmark:
        "results/benchmarks/train_controls/{text_task}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(20),
    params:
        train_examples=ENCODER.train_examples,
        seeds=list(ENCODER.seeds),
    message:
        "fitting majority class and TF-IDF on {wildcards.text_task}"
    script:
        "../scripts/train_controls.py"


rule check_encoder:
    input:
        library=library("check_encoder.py", *METHOD_MODULES),
        examples=EXAMPLES.format(text_task=FIRST_TASK),
        model=MODEL_FILES,
        runs=[
            f"{SETTING_PART.format(text_task=FIRST_TASK, setting=slug(name))}/{run}.runs.parquet"
            for name in CHECKED
            for run in ("search", *(f"seed={seed}" for seed in OTHER_SEEDS))
        ],
    output:
        findings=ENCODER_CHECKS,
    log:
        "logs/check_encoder.log",
    benchmark:
        "results/benchmarks/check_encoder/all.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=megabytes(2500),
        runtime=minutes(240),
    params:
        config=TRAINING_CONFIG,
        task=FIRST_TASK,
        settings=CHECKED,
        seed=SEARCH_SEED,
    message:
        "comparing the encoder study with peft"
    script:
        "../scripts/check_encoder.py"
