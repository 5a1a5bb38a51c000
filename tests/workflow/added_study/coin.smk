"""The coin study: one job."""

from peft_atlas.studies.coin import jobs as coin_jobs


use rule _heavy_step as train_coin with:
    output:
        runs=f"{coin_jobs.STEM}.runs.parquet",
        curves=f"{coin_jobs.STEM}.curves.parquet",
    log:
        "logs/train_coin.log",
    benchmark:
        "results/benchmarks/train_coin/all.tsv"
    params:
        **step("studies.coin.train:toss_step"),
        tosses=CONFIG.coin.tosses,
        seeds=list(CONFIG.seeds),
    message:
        "tossing coins"
