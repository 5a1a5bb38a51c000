"""What the rules share: the checked configuration, declared library sources, resources."""

import sys

from peft_atlas.config import load_config
from peft_atlas.errors import AtlasError
from peft_atlas.imports import library_sources, share_with_jobs

try:
    CONFIG = load_config(config)
except AtlasError as error:
    sys.exit(str(error))

ENVIRONMENT = ROOT / "environment.yml"
SOURCES = ROOT / "src"
share_with_jobs(SOURCES)

# A rule asks for a GPU only where the study says so; a resource of 0 would still be passed to a cluster.
GPU = {"gpu": 1} if CONFIG.device == "cuda" else {}
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


def results(*names):
    """Return the result tables of these names, as named inputs."""
    return {name: RESULTS.format(name=name) for name in names}


def megabytes(first):
    """Return a function that asks for this much memory, and for that much more at each further attempt."""
    return lambda wildcards, attempt: first * attempt
