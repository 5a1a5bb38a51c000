"""PEFT Atlas: trains, recomputes, reconciles and reports what parameter-efficient fine-tuning costs and gives."""

import gc
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.18")

# What Snakemake has imported by now lasts until the end; to search it for garbage takes a sixth of a dry run.
gc.freeze()

# Not `workflow.basedir`, which is the folder of another Snakefile that uses this one as a module. Without symbolic links,
# as the current folder is, so that files inside it have the same names by whatever path the repository is reached.
ROOT = Path(str(workflow.current_basedir)).resolve()
sys.path.insert(0, str(ROOT / "src"))
if set("{}") & set(str(ROOT)):
    sys.exit(
        f"{ROOT}: Snakemake takes braces in a path for wildcards; allowed: a path without"
    )


configfile: ROOT / "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/base.smk"


# The rules of each study; a study is found by its folder in src/peft_atlas/studies.
for study in all_studies():

    include: f"workflow/rules/{study.name}.smk"


include: "workflow/rules/combine.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/run.smk"


localrules:
    all,
    figures,
    report,


rule all:
    default_target: True
    input:
        REPORTS,
        TABLES,


# A target per study, also for one that the configuration leaves out.
for study in all_studies():

    rule:
        name:
            study.name
        input:
            OUTPUTS[study.name].target,
        localrule: True


rule figures:
    input:
        FIGURE_FILES,


rule report:
    input:
        REPORTS,
