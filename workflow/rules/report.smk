"""The report, and a tiny study through every rule."""

REPORTS = ["results/report.html", "results/report.md", "results/headlines.txt"]
PAPER_TABLES = ["comparison", "findings", "parameters", "memory"]
PAPER_FILES = expand(
    "results/paper/{name}.tex",
    name=[*(f"measured_{study}" for study in CONFIG.studies), "parameters", "memory"],
)
REPORTS += ["results/gallery.html", "results/paper/numbers.tex", *PAPER_FILES]
REPORT_TABLES = [
    *("runs", "curves", "summary", "contrasts", "published", "parameters", "memory"),
    *("conflicts", "comparison", "findings", "application_verdicts", "references"),
    "costs",
]
TEMPLATES = [
    source(path) for path in sorted((SOURCES / "peft_atlas/report/templates").iterdir())
]
STUDY_SECTIONS = [
    str(path.relative_to(SOURCES / "peft_atlas"))
    for path in sorted((SOURCES / "peft_atlas/report/studies").glob("*.py"))
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
        library=library("render_report.py", *STUDY_SECTIONS),
        templates=TEMPLATES,
    output:
        html=report(
            "results/report.html",
            caption="../report/report.rst",
            category="report",
            labels={"page": "report"},
        ),
        config=report(
            "results/config.yaml",
            caption="../report/config.rst",
            category="report",
            labels={"page": "configuration used"},
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


rule render_gallery:
    input:
        figures=FIGURE_FILES,
        library=library("render_gallery.py"),
        templates=TEMPLATES,
    output:
        gallery="results/gallery.html",
    log:
        "logs/render_gallery.log",
    benchmark:
        "results/benchmarks/render_gallery/all.tsv"
    localrule: True
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=5,
    params:
        figures=[f"figures/{name}" for name in FIGURES],
    message:
        "writing the gallery"
    script:
        "../scripts/render_gallery.py"


rule write_paper:
    input:
        **results(*PAPER_TABLES),
        library=library("write_paper.py"),
    output:
        numbers="results/paper/numbers.tex",
        tables=PAPER_FILES,
    log:
        "logs/write_paper.log",
    localrule: True
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=5,
    params:
        tables=PAPER_TABLES,
        studies=list(CONFIG.studies),
    message:
        "writing numbers and tables for LaTeX"
    script:
        "../scripts/write_paper.py"


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
