"""The report, and a tiny study through every rule."""

REPORTS = ["results/report.html", "results/report.md", "results/headlines.txt"]
PAPER_TABLES = [
    "comparison",
    "contrasts",
    "findings",
    "parameters",
    "memory",
    "published",
    *RECORD,
    *ADDED_TABLES,
]
PAPER_FILES = expand(
    "results/paper/{name}.tex",
    name=[
        *(
            f"{kind}_{study}"
            for kind in ("measured", "differences")
            for study in CONFIG.studies
        ),
        *("parameters", "memory"),
        *ADDED_TABLES,
    ],
)
REPORTS += [
    "results/gallery.html",
    "results/paper/numbers.tex",
    "results/paper/sources.bib",
    *PAPER_FILES,
]
REPORT_TABLES = [
    *("runs", "curves", "summary", "contrasts", "published", "parameters", "memory"),
    *(
        "predictions",
        "conflicts",
        "comparison",
        "findings",
        "application_verdicts",
        "references",
    ),
    *("costs", "decoder_cells", "decoder_costs"),
    *RECORD,
    *ADDED_TABLES,
]
TEMPLATES = [
    source(path) for path in sorted((SOURCES / "peft_atlas/report/templates").iterdir())
]
# Asked for by name: a table that a failed job took away is missed even where all that was made of it is still there.
TABLES = [RESULTS.format(name=name) for name in REPORT_TABLES]


use rule _light_step as render_report with:
    input:
        **results(*REPORT_TABLES),
        figures=FIGURE_FILES,
        templates=TEMPLATES,
        planning=PLANNING_FILES,
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
    params:
        **step(
            "report.page:report_step",
            "studies/*/section.py",
            "studies/*/description.py",
        ),
        tables=REPORT_TABLES,
        figures=[f"figures/{name}" for name in FIGURES],
        config=CONFIG.model_dump(mode="json"),
        # Relative where it can be, so that a moved repository need not write the report again.
        root=source(ROOT),
    message:
        "writing the report"


use rule _light_step as render_gallery with:
    input:
        figures=FIGURE_FILES,
        templates=TEMPLATES,
    output:
        gallery="results/gallery.html",
    log:
        "logs/render_gallery.log",
    benchmark:
        "results/benchmarks/render_gallery/all.tsv"
    localrule: True
    params:
        **step("report.gallery:gallery_step"),
        figures=[f"figures/{name}" for name in FIGURES],
    message:
        "writing the gallery"


use rule _light_step as write_paper with:
    input:
        **results(*PAPER_TABLES),
    output:
        numbers="results/paper/numbers.tex",
        sources="results/paper/sources.bib",
        tables=PAPER_FILES,
    log:
        "logs/write_paper.log",
    localrule: True
    params:
        **step("report.paper:paper_step"),
        tables=PAPER_TABLES,
        studies=list(CONFIG.studies),
        confidence=CONFIG.statistics.confidence,
    message:
        "writing numbers and tables for LaTeX"


# Not part of the report, since it needs a browser.
use rule _light_step as print_short_report with:
    input:
        **results(*REPORT_TABLES),
        figures=FIGURE_FILES,
        templates=TEMPLATES,
        planning=PLANNING_FILES,
    output:
        pdf="results/paper/report.pdf",
    log:
        "logs/print_short_report.log",
    localrule: True
    params:
        **step(
            "report.short_report:short_report_step",
            "studies/*/section.py",
            "studies/*/description.py",
        ),
        tables=REPORT_TABLES,
        figures=[f"figures/{name}" for name in FIGURES],
        config=CONFIG.model_dump(mode="json"),
        root=source(ROOT),
        browser=lambda wildcards: browser_here(),
    message:
        "printing the short report"


rule paper:
    input:
        rules.write_paper.output,
        rules.print_short_report.output,
    localrule: True


rule smoke:
    input:
        library=sorted(
            {
                source(file)
                for package in ("peft_atlas", "snakemake_logger_plugin_atlas")
                for file in (SOURCES / package).rglob("*.py")
            }
        ),
        workflow=[
            source(path)
            for pattern in ("rules/*.smk", "scripts/*.py", "smoke.yaml")
            for path in sorted((ROOT / "workflow").glob(pattern))
        ],
        tables=[*PUBLISHED_FILES, *RECORD_FILES],
    output:
        "results/smoke/results/report.html",
    log:
        "logs/smoke.log",
    localrule: True
    conda:
        ENVIRONMENT
    # Asked for only where the rule runs: a profile for a cluster need not name a number of cores.
    threads: lambda wildcards: workflow.cores
    resources:
        **LIGHT,
        mem_mb=megabytes(2000),
        runtime=10,
    params:
        python=sys.executable,
        snakefile=str(ROOT / "Snakefile"),
        config=str(ROOT / "workflow/smoke.yaml"),
        folder=lambda wildcards, output: Path(output[0]).parents[1],
    message:
        "running the tiny study through every rule, in results/smoke"
    shell:
        "{params.python:q} -m snakemake --snakefile {params.snakefile:q} --directory {params.folder:q}"
        " --configfile {params.config:q} --cores {threads} > {log} 2>&1"


rule decoder_smoke:
    input:
        library=sorted(
            {
                source(file)
                for package in ("peft_atlas", "snakemake_logger_plugin_atlas")
                for file in (SOURCES / package).rglob("*.py")
            }
        ),
        workflow=[
            source(path)
            for pattern in ("rules/*.smk", "scripts/*.py", "decoder_smoke.yaml")
            for path in sorted((ROOT / "workflow").glob(pattern))
        ],
        tables=PUBLISHED_FILES,
    output:
        "results/decoder_smoke/results/decoder_cells.parquet",
    log:
        "logs/decoder_smoke.log",
    localrule: True
    conda:
        ENVIRONMENT
    threads: lambda wildcards: workflow.cores
    resources:
        **LIGHT,
        mem_mb=megabytes(2000),
        runtime=10,
    params:
        python=sys.executable,
        snakefile=str(ROOT / "Snakefile"),
        config=str(ROOT / "workflow/decoder_smoke.yaml"),
        folder=lambda wildcards, output: Path(output[0]).parents[1],
    message:
        "running the decoder study on a random model, in results/decoder_smoke"
    shell:
        "{params.python:q} -m snakemake --snakefile {params.snakefile:q} --directory {params.folder:q}"
        " --configfile {params.config:q} --cores {threads} decoder > {log} 2>&1"
