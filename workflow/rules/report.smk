"""The report, and a tiny study through every rule."""

REPORTS = ["results/report.html", "results/report.md", "results/headlines.txt"]
REPORT_TABLES = [
    *("runs", "published", "parameters", "memory", "conflicts"),
    *("comparison", "findings", "costs"),
]
# Asked for by name: a table that a failed job took away is missed even where all that was made of it still stands.
TABLES = [
    RESULTS.format(name=name)
    for name in (*REPORT_TABLES, "curves", "summary", "contrasts")
]


rule render_report:
    input:
        **results(*REPORT_TABLES),
        figures=FIGURE_FILES,
        library=library("render_report.py"),
        templates=[
            source(path)
            for path in sorted((SOURCES / "peft_atlas/report/templates").iterdir())
        ],
    output:
        html=report(
            "results/report.html",
            caption="../report/report.rst",
            category="report",
        ),
        markdown="results/report.md",
        headlines="results/headlines.txt",
    log:
        "logs/render_report.log",
    localrule: True
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=5,
    params:
        tables=REPORT_TABLES,
        figures=[f"figures/{name}" for name in FIGURES],
        config=CONFIG.model_dump(mode="json"),
        root=str(ROOT),
    message:
        "writing the report"
    script:
        "../scripts/render_report.py"


rule smoke:
    input:
        library=sorted({source(file) for file in SOURCES.rglob("*.py")}),
        workflow=[
            source(path)
            for pattern in ("rules/*.smk", "scripts/*.py", "smoke.yaml")
            for path in sorted((ROOT / "workflow").glob(pattern))
        ],
        tables=PUBLISHED_FILES,
    output:
        "results/smoke/results/report.html",
    log:
        "logs/smoke.log",
    localrule: True
    conda:
        ENVIRONMENT
    threads: workflow.cores
    resources:
        mem_mb=megabytes(2000),
        runtime=10,
    params:
        snakefile=str(ROOT / "Snakefile"),
        config=str(ROOT / "workflow/smoke.yaml"),
        folder=lambda wildcards, output: Path(output[0]).parents[1],
    message:
        "running the tiny study through every rule, in results/smoke"
    shell:
        "snakemake --snakefile {params.snakefile:q} --directory {params.folder:q}"
        " --configfile {params.config:q} --cores {threads} > {log} 2>&1"
