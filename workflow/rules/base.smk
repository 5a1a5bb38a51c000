"""Two rules that others inherit by `use rule ... as ... with`; a `resources` there replaces the whole block here."""


rule _light_step:
    log:
        "logs/light_step.log",
    # What is quick goes first, so that figures and tables need not wait for the training of a study.
    priority: 50
    localrule: True
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **LIGHT,
        mem_mb=megabytes(500),
        runtime=minutes(5),
    script:
        "../scripts/run_step.py"


rule _heavy_step:
    log:
        "logs/heavy_step.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(20),
    script:
        "../scripts/run_step.py"
