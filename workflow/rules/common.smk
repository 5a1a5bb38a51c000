"""What the rules share: the checked configuration, declared library sources, resources."""

import sys

from peft_atlas.config import load_config
from peft_atlas.errors import AtlasError
from peft_atlas.imports import library_sources, share_with_jobs
from peft_atlas.site import GRES, gpu_request, share_gpus

LIMITS = {name: limit.value for name, limit in workflow.global_resources.items()}
DEFAULTS = workflow.resource_settings.default_resources or {}
try:
    CONFIG = load_config(config)
    OFFERED_GPUS = share_gpus(LIMITS)
except AtlasError as error:
    sys.exit(str(error))

ENVIRONMENT = ROOT / "environment.yml"
SOURCES = ROOT / "src"
share_with_jobs(SOURCES)

# The request of jobs that can use a GPU, which is one or none as the study and the site say.
GPU = gpu_request(
    CONFIG.device,
    OFFERED_GPUS,
    str(DEFAULTS[GRES].raw) if GRES in DEFAULTS else None,
)
RESULTS = "results/{name}.parquet"

# What the rules that combine read; the file of each study adds its own.
RUN_FILES, CURVE_FILES, CHECK_FILES, COST_FILES, RUN_COST_FILES = [], [], [], [], []


def source(path):
    """Return a file of this repository, relative where the workflow runs inside it."""
    path = Path(path) if Path(path).is_absolute() else ROOT / path
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def library(script, *modules):
    """Return the library files that a script, and modules that it loads by name, depend on."""
    programs = [ROOT / "workflow/scripts" / script] + [
        SOURCES / "peft_atlas" / module for module in modules
    ]
    found = {file for program in programs for file in library_sources(program, SOURCES)}
    return sorted(source(file) for file in found)


# Methods are found by looking into their folder, so no script names them.
METHOD_MODULES = sorted(
    f"methods/{path.name}" for path in (SOURCES / "peft_atlas/methods").glob("*.py")
)


def trained(stem):
    """Return the outputs of a training job whose runs have costs of their own."""
    return {kind: f"{stem}.{kind}.parquet" for kind in ("runs", "curves", "costs")}


def results(*names):
    """Return the result tables of these names, as named inputs."""
    return {name: RESULTS.format(name=name) for name in names}


def megabytes(first):
    """Return a function that asks for this much memory, and for that much more at each further attempt."""
    return lambda wildcards, attempt: first * attempt


def minutes(first):
    """Return a function that asks for this much time, and for that much more at each further attempt."""
    return lambda wildcards, attempt: first * attempt
