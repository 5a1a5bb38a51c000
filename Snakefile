"""PEFT Atlas: trains, recomputes, reconciles and reports what parameter-efficient fine-tuning costs and gives."""

import sys
import time
from pathlib import Path

from snakemake.utils import min_version

min_version("9.18")

ROOT = Path(workflow.basedir)
STARTED = time.time()
sys.path.insert(0, str(ROOT / "src"))


configfile: ROOT / "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/notebook.smk"
include: "workflow/rules/encoder.smk"
include: "workflow/rules/adaptation.smk"
include: "workflow/rules/published.smk"
include: "workflow/rules/combine.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/run.smk"


localrules:
    all,
    notebook,
    encoder,
    adaptation,
    published,
    figures,
    report,


rule all:
    default_target: True
    input:
        REPORTS,
        TABLES,


rule notebook:
    input:
        NOTEBOOK_RUNS,


rule encoder:
    input:
        ENCODER_RUNS,


rule adaptation:
    input:
        ADAPTATION_RUNS,


rule published:
    input:
        PUBLISHED_TABLES,


rule figures:
    input:
        FIGURE_FILES,


rule report:
    input:
        REPORTS,
