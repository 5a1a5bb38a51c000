"""The rules that keep the code where a reader looks for it; docs/architecture.md says them in words."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from peft_atlas.report.sections import TRAINING_RULES
from peft_atlas.snakemake_support.run_step import step_function
from peft_atlas.snakemake_support.source_dependencies import library_sources
from peft_atlas.studies.study import all_studies

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "src/peft_atlas"
RULES = ROOT / "workflow/rules"


def imported(path):
    """Return the library modules that a file names in an import, those for types alone as well."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("peft_atlas"):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if module_file(name) else node.module for name in names)


def module_file(name):
    """Return the file of a module of the library, or None."""
    path = ROOT / "src" / Path(*name.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def graph():
    files = list(LIBRARY.rglob("*.py"))
    return {path: {module_file(name) for name in imported(path)} - {path, None} for path in files}


def test_no_import_goes_round_in_a_circle_not_even_for_types():
    edges, left = graph(), set(graph())
    while free := {path for path in left if not edges[path] & left}:
        left -= free
    assert sorted(str(path.relative_to(LIBRARY)) for path in left) == []


def test_what_studies_share_imports_none_of_them():
    names = {study.name for study in all_studies()}
    for path, targets in graph().items():
        parts = path.relative_to(LIBRARY).parts
        if parts[0] == "studies" and (len(parts) > 2 or parts[1] in {"contrasts.py", "findings.py"}):
            continue
        inside = {t.relative_to(LIBRARY) for t in targets if set(t.relative_to(LIBRARY).parts[1:2]) & names}
        assert all(parts == ("config.py",) and target.name == "config.py" for target in inside), (path, inside)


def test_a_study_has_the_files_that_a_reader_looks_for():
    common = {"description.py", "jobs.py", "findings.py", "section.py"}
    measured = {"config.py", "train.py", "contrasts.py"}
    for study in all_studies():
        files = {path.name for path in (LIBRARY / "studies" / study.name).glob("*.py")}
        assert common | (measured if study.measured else set()) <= files, study.name
        assert study.name == study.part("jobs").NAME
        assert (RULES / f"{study.name}.smk").is_file()


def test_a_study_is_named_in_its_own_folder_alone():
    allowed = {
        "config.py",  # one section per study
        "studies/notebook/findings.py",  # an erratum of the notebook that the adaptation study resolves
        "studies/literature/sources.py",  # a kind of source
    }
    names = [study.name for study in all_studies() if study.measured]
    found = set()
    for path in LIBRARY.rglob("*.py"):
        place = str(path.relative_to(LIBRARY))
        own = path.parts[path.parts.index("studies") + 1] if "studies" in path.parts else ""
        text = path.read_text(encoding="utf-8")
        literals = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
        # To the planner an encoder is a kind of network.
        if not place.startswith("planning/") and any(name in literals for name in names if name != own):
            found.add(place)
    assert found <= allowed


def test_naming_the_studies_their_configuration_and_jobs_imports_neither_torch_nor_pandas():
    program = (
        "import sys; from peft_atlas.config import load_config; from peft_atlas.studies.study import all_studies\n"
        "config = load_config({})\n"
        "for study in all_studies(): study.part('jobs').outputs(config)\n"
        "print({'torch', 'pandas', 'matplotlib', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


STEPS = sorted({name for path in RULES.glob("*.smk") for name in re.findall(r'step\(\s*"([\w.:]+)"', path.read_text())})


@pytest.mark.parametrize("name", [name for name in STEPS if re.search(r"\.(data|train|tuning|controls)\b", name)])
def test_neither_training_nor_what_it_reads_depends_on_the_words_of_a_finding(name):
    module = LIBRARY / f"{name.partition(':')[0].replace('.', '/')}.py"
    assert LIBRARY / "analysis/finding.py" not in library_sources(module, ROOT / "src")


@pytest.mark.parametrize("name", STEPS)
def test_every_step_is_a_function_that_a_test_can_import(name):
    assert step_function(name).__doc__


def test_every_rule_that_writes_runs_is_counted_as_training():
    for path in RULES.glob("*.smk"):
        for rule in re.split(r"\n(?=(?:    )?(?:use )?rule )", path.read_text(encoding="utf-8")):
            name = re.search(r"as (\w+) with:", rule)
            output = re.search(r"output:(.*?)\n    \w+:", rule, flags=re.DOTALL)
            if name and output and re.search(r"\bruns=f|trained\(", output[1]):
                assert name[1].startswith(TRAINING_RULES), name[1]
