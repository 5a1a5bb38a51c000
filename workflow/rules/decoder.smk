"""The decoder study: methods on a language model; one setting with all its seeds per job. Opt-in.

Where a run does not train it, its tables are those of the released runs in data/released.
"""

from peft_atlas.files import slug
from peft_atlas.snakemake_support.model_location import (
    is_fetched,
    model_content,
    model_files,
)
from peft_atlas.snakemake_support.own_command import is_asked_for
from peft_atlas.studies.decoder import jobs as decoder_jobs
from peft_atlas.studies.decoder.released import released_files
from peft_atlas.studies.encoder import jobs as text_jobs

DECODER = CONFIG.decoder
DECODER_TASKS = {each.name: each for each in DECODER.tasks}
DECODER_CONTENT = model_content(DECODER.model)
DECODER_FILES = model_files(DECODER.model)
if DECODER_CONTENT:
    DECODER_FILES = [ancient(file) for file in DECODER_FILES]
DECODER_SETTINGS = {slug(name): name for each in DECODER.tasks for name in each.methods}
# The study's own tables come from this run where it is part of it or asked for by name; else from the released ones.
DECODER_HERE = decoder_jobs.NAME in STUDIES or is_asked_for(decoder_jobs.NAME)


# What the released runs say, which a run of the study says itself.
RELEASED_CHECKS = (
    []
    if decoder_jobs.NAME in STUDIES
    else [decoder_jobs.ANSWERS, decoder_jobs.COST_ANSWERS]
)


wildcard_constraints:
    decoder_task=r"[A-Za-z0-9_-]+",
    decoder_setting=r"[a-z0-9_]+",
    decoder_rank=r"\d+",


if is_fetched(DECODER.model):

    use rule _light_step as fetch_decoder with:
        output:
            model=model_files(DECODER.model),
        log:
            "logs/fetch_decoder.log",
        benchmark:
            "results/benchmarks/fetch_decoder/all.tsv"
        localrule: True
        resources:
            **LIGHT,
            mem_mb=megabytes(2000),
            runtime=minutes(10),
        params:
            **step("studies.decoder.data.model:fetch_step"),
            model=DECODER.model,
        message:
            "fetching the language model {params.model}"


use rule _light_step as fetch_things with:
    output:
        things=decoder_jobs.THINGS,
    log:
        "logs/fetch_things.log",
    benchmark:
        "results/benchmarks/fetch_things/all.tsv"
    localrule: True
    params:
        **step("studies.decoder.data.packages:fetch_step"),
    message:
        "fetching TextWorld Commonsense"


use rule _light_step as prepare_decoder with:
    input:
        packaged=text_jobs.TEXTS,
        things=decoder_jobs.THINGS,
        model=DECODER_FILES,
        own=lambda wildcards: [
            ancient(file)
            for file in [DECODER_TASKS[wildcards.decoder_task].file]
            if file
        ],
    output:
        examples=decoder_jobs.EXAMPLES,
    log:
        "logs/prepare_decoder/{decoder_task}.log",
    benchmark:
        decoder_jobs.BENCHMARKS["prepare_decoder"]
    localrule: True
    resources:
        **LIGHT,
        mem_mb=megabytes(1000),
        runtime=minutes(10),
    params:
        **step("studies.decoder.data.job:prepare_step"),
        task=lambda wildcards: wildcards.decoder_task,
        file=lambda wildcards: DECODER_TASKS[wildcards.decoder_task].file,
        sizes=lambda wildcards: {
            split: getattr(DECODER_TASKS[wildcards.decoder_task], f"{split}_examples")
            for split in ("train", "validation", "test")
        },
        plain=DECODER.plain_texts,
        content=lambda wildcards: decoder_jobs.task_content(
            DECODER_TASKS[wildcards.decoder_task]
        ),
        model_content=DECODER_CONTENT,
    message:
        "splitting and tokenising {wildcards.decoder_task}"


# A job of its own, so that a changed wording does not train again.
use rule _light_step as check_decoder with:
    input:
        examples=decoder_jobs.EXAMPLES,
    output:
        findings=decoder_jobs.ROW_CHECKS,
    log:
        "logs/check_decoder/{decoder_task}.log",
    benchmark:
        decoder_jobs.BENCHMARKS["check_decoder"]
    localrule: True
    params:
        **step("studies.decoder.row_checks:check_step"),
    message:
        "checking the splits of {wildcards.decoder_task}"


use rule _heavy_step as train_decoder with:
    input:
        examples=decoder_jobs.EXAMPLES,
        model=DECODER_FILES,
    output:
        **trained_items(decoder_jobs.SETTING),
    log:
        "logs/train_decoder/{decoder_task}_{decoder_setting}_rank={decoder_rank}.log",
    benchmark:
        decoder_jobs.BENCHMARKS["train_decoder"]
    resources:
        **GPU,
        mem_mb=megabytes(4000),
        runtime=minutes(480),
    params:
        **step("studies.decoder.train:setting_step", "methods/*.py"),
        config=lambda wildcards: decoder_jobs.run_config(
            DECODER, DECODER_TASKS[wildcards.decoder_task]
        ),
        plan=lambda wildcards: decoder_jobs.setting_plan(
            DECODER, DECODER_SETTINGS[wildcards.decoder_setting]
        ),
        setting=lambda wildcards: DECODER_SETTINGS[wildcards.decoder_setting],
        rank=lambda wildcards: wildcards.decoder_rank,
        device=CONFIG.device,
        model_content=DECODER_CONTENT,
    message:
        "tuning and training {params.setting} on {wildcards.decoder_task}"


use rule train_decoder as read_decoder with:
    output:
        **trained_items(decoder_jobs.REFERENCE),
    log:
        "logs/read_decoder/{decoder_task}.log",
    benchmark:
        decoder_jobs.BENCHMARKS["read_decoder"]
    params:
        **step("studies.decoder.train:references_step", "methods/*.py"),
        config=lambda wildcards: decoder_jobs.reference_config(
            DECODER, DECODER_TASKS[wildcards.decoder_task]
        ),
        plan=None,
        setting=None,
        rank=None,
        seeds=list(DECODER.seeds),
    message:
        "reading {wildcards.decoder_task} with the untrained language model"


use rule train_decoder as train_shuffled_answers with:
    input:
        examples=decoder_jobs.EXAMPLES,
        model=DECODER_FILES,
        tuned=lambda wildcards: decoder_jobs.shuffled_from(
            DECODER_TASKS[wildcards.decoder_task]
        ),
    output:
        **trained_items(decoder_jobs.SHUFFLE),
    log:
        "logs/train_shuffled_answers/{decoder_task}.log",
    benchmark:
        decoder_jobs.BENCHMARKS["train_shuffled_answers"]
    params:
        **step("studies.decoder.train:shuffled_step", "methods/*.py"),
        plan=None,
        setting=lambda wildcards: decoder_jobs.shuffled_setting(
            DECODER_TASKS[wildcards.decoder_task]
        ),
        rank=None,
        seeds=list(DECODER.seeds[: DECODER.shuffled_seeds]),
    message:
        "training on shuffled answers of {wildcards.decoder_task}"


use rule _light_step as train_counts with:
    input:
        examples=decoder_jobs.EXAMPLES,
    output:
        **trained_items(decoder_jobs.COUNTED),
    log:
        "logs/train_counts/{decoder_task}.log",
    benchmark:
        decoder_jobs.BENCHMARKS["train_counts"]
    localrule: True
    params:
        **step("studies.decoder.controls:counts_step"),
        config=lambda wildcards: decoder_jobs.run_config(
            DECODER, DECODER_TASKS[wildcards.decoder_task]
        ),
        seeds=list(DECODER.seeds),
    message:
        "counting words and answers of {wildcards.decoder_task}"


use rule _light_step as tabulate_decoder with:
    input:
        **results("published"),
        runs=decoder_jobs.run_files(DECODER, "runs") if DECODER_HERE else [],
        costs=decoder_jobs.run_files(DECODER, "costs") if DECODER_HERE else [],
        per_item=decoder_jobs.run_files(DECODER, "items") if DECODER_HERE else [],
        released=(
            []
            if DECODER_HERE
            else [source(file) for file in released_files(ROOT / "data/released")]
        ),
    output:
        **results("decoder_cells", "decoder_costs"),
        answers=decoder_jobs.ANSWERS,
        cost_answers=decoder_jobs.COST_ANSWERS,
    log:
        "logs/tabulate_decoder.log",
    benchmark:
        "results/benchmarks/tabulate_decoder/all.tsv"
    localrule: True
    params:
        **step("studies.decoder.tabulate:tabulate_step"),
        confidence=CONFIG.statistics.confidence,
    message:
        "comparing the methods of the decoder study"
