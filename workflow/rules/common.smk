"""What the rules share: the checked configuration, the steps and their code, and resources."""

import sys
from contextlib import suppress

import peft_atlas
from peft_atlas.config import load_config
from peft_atlas.errors import AtlasError
from peft_atlas.snakemake_support.gpu_resources import GRES, gpu_request, share_gpus
from peft_atlas.snakemake_support.records import restore_records
from peft_atlas.snakemake_support.source_dependencies import (
    share_with_jobs,
    source_digest,
)
from peft_atlas.studies.study import all_studies, studies_of
from peft_atlas.tables.names import ADDED, RECORD


def say(text):
    """Print to the terminal; a run does not fail because nobody reads there any more."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


if (ROOT / "profiles").is_file():
    say(
        "profiles is a plain file, not the link to workflow/profiles that Snakemake needs:"
        " rm profiles && ln -s workflow/profiles profiles"
    )

# Results that came without Snakemake's records bring them along; a job has nothing to restore.
if workflow.is_main_process:
    dry_run = workflow.output_settings.dryrun
    try:
        if restored := restore_records(Path.cwd(), dry_run=dry_run):
            same = f"{restored} outputs were made elsewhere and are as they were made"
            listed = (
                "; this dry run changes nothing, so it lists their jobs all the same"
            )
            say(same + listed * dry_run)
    except AtlasError as error:
        say(error)

LIMITS = {name: limit.value for name, limit in workflow.global_resources.items()}
DEFAULTS = workflow.resource_settings.default_resources or {}
try:
    CONFIG = load_config(config)
    OFFERED_GPUS = share_gpus(LIMITS)
    # What a study can know before its first job; a job, which reads the rules again, need not ask once more.
    if workflow.is_main_process:
        for study in studies_of(CONFIG.studies):
            if study.has("preflight"):
                study.part("preflight").preflight(CONFIG)
except AtlasError as error:
    sys.exit(str(error))

ENVIRONMENT = ROOT / "environment.yml"
# In a clone that is src; an installed package may be anywhere.
SOURCES = Path(peft_atlas.__file__).parents[1]
share_with_jobs(SOURCES)

# The request of jobs that can use a GPU, which is one or none as the study and the site say.
GPU = gpu_request(
    CONFIG.device,
    OFFERED_GPUS,
    str(DEFAULTS[GRES].raw) if GRES in DEFAULTS else None,
)
# Says that a rule runs where Snakemake runs, which a dry run does not report.
LIGHT = {"light": 1}
RESULTS = "results/{name}.parquet"
# The files that the jobs of each study write, and the names of the studies of this run.
OUTPUTS = {study.name: study.part("jobs").outputs(CONFIG) for study in all_studies()}
STUDIES = [study.name for study in studies_of(CONFIG.studies)]
# Tables of which a run need not have any.
ADDED_TABLES = ADDED if "added" in STUDIES else ()
# Studies of which a run that leaves them out shows the released tables.
RELEASED = [
    study.name
    for study in all_studies()
    if study.released and (ROOT / "data/released" / study.name).is_dir()
]


def outputs(kind):
    """Return the files of one kind that the jobs of all studies of this run write."""
    return [file for study in STUDIES for file in getattr(OUTPUTS[study], kind)]


def source(path):
    """Return a file of this repository, relative where the workflow runs inside it."""
    path = Path(path) if Path(path).is_absolute() else ROOT / path
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def step(function, *modules):
    """Return the parameters that name a rule's step and the code it depends on.

    A changed digest reruns the rule, and nothing else. Modules that the step finds by itself, which no import names,
    are given as patterns of paths in the library.
    """
    own = f"{function.partition(':')[0].replace('.', '/')}.py"
    library = SOURCES / "peft_atlas"
    found = [
        path for module in (own, *modules) for path in sorted(library.glob(module))
    ]
    script = ROOT / "workflow/scripts/run_step.py"
    return {"step": function, "code": source_digest([script, *found], SOURCES)}


def trained(stem):
    """Return the outputs of a training job whose runs have costs of their own."""
    return {kind: f"{stem}.{kind}.parquet" for kind in ("runs", "curves", "costs")}


def trained_items(stem):
    """Return those outputs, and which test texts each run gets right."""
    # Not named items, which Snakemake keeps for itself.
    return {**trained(stem), "per_item": f"{stem}.items.parquet"}


def results(*names):
    """Return the result tables of these names, as named inputs or outputs."""
    return {name: RESULTS.format(name=name) for name in names}


def megabytes(first):
    """Return memory, scaled by the attempt number."""
    return lambda wildcards, attempt: first * attempt


def minutes(first):
    """Return time, scaled by the attempt number."""
    return lambda wildcards, attempt: first * attempt


def browser_here():
    """Return the browser that prints; where there is none, stop before any job starts."""
    # Imported here, since only this rule needs it.
    from peft_atlas.report.short_report import find_browser

    try:
        return find_browser()
    except AtlasError as error:
        sys.exit(str(error))
