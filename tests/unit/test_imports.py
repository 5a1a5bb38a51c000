"""The library files that a step depends on, against what Python really imports, and the digest of them."""

import re
import shutil
import subprocess
import sys

import pytest

from peft_atlas.snakemake_support.source_dependencies import library_sources, source_digest


@pytest.fixture
def package(tmp_path):
    """Return a function that writes the modules of a small library, and its folder."""

    source_root = tmp_path / "src"

    def write(**files):
        (source_root / "peft_atlas").mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            path = source_root / "peft_atlas" / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".py").write_text(text, encoding="utf-8")
        (source_root / "peft_atlas/__init__.py").touch()
        return source_root

    return write


def found(program, root):
    return {str(file.relative_to(root / "peft_atlas")) for file in library_sources(program, root)}


def test_packages_and_modules_are_followed(package):
    root = package(
        a="from peft_atlas.deep import c\nimport json\n",
        b="raise SystemExit",
        deep__c="import peft_atlas.d as d\n",
        d="from peft_atlas.a import something\n",
    )
    (root / "peft_atlas/deep/__init__.py").touch()
    script = root.parent / "script.py"
    script.write_text("from peft_atlas.a import something\n", encoding="utf-8")
    assert found(script, root) == {"__init__.py", "a.py", "deep/__init__.py", "deep/c.py", "d.py"}


@pytest.mark.parametrize(
    ("text", "imported"),
    [
        ("from peft_atlas.a import (\n    x,\n    y,\n)\n", {"a.py"}),
        ("from peft_atlas.a import (\n    x,  # (a note)\n)\nfrom peft_atlas.b import y\n", {"a.py", "b.py"}),
        ("def late():\n    from peft_atlas.a import x\n    import json, peft_atlas.b\n", {"a.py", "b.py"}),
        ("from peft_atlas.a import x; from peft_atlas.b import y\n", {"a.py", "b.py"}),
        ("from peft_atlas import a\n", {"a.py"}),
        ("if TYPE_CHECKING:\n    from peft_atlas.a import x\n\n    import y\nfrom peft_atlas.b import z\n", {"b.py"}),
        ("import peft_atlas_other.a\nfrom other import peft_atlas\n", set()),
    ],
    ids=["lines", "parenthesis in a comment", "in a function", "two in a line", "module", "hints", "other packages"],
)
def test_every_form_of_an_import_is_seen(package, text, imported):
    root = package(a="", b="", program=text)
    program = root / "peft_atlas/program.py"
    assert found(program, root) - {"__init__.py", "program.py"} == imported


def steps(root):
    """Return the modules that the rules name as their steps."""
    texts = [path.read_text(encoding="utf-8") for path in (root / "workflow/rules").glob("*.smk")]
    return sorted({name for text in texts for name in re.findall(r'step\(\s*"([\w.]+):', text)})


def in_python(root, modules, shown):
    """Return what a program prints that has imported modules of the library."""
    names = [f"peft_atlas.{module}" for module in modules]
    program = f"import importlib, sys\n[importlib.import_module(name) for name in {names!r}]\nprint({shown})"
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=root / "src", text=True, capture_output=True, check=True).stdout.strip()


def path_of(module, source_root):
    return source_root / "peft_atlas" / f"{module.replace('.', '/')}.py"


IMPORTED = ["studies.notebook.train", "studies.notebook.checks", "studies.contrasts", "report.page", "figures.render"]


@pytest.mark.slow
@pytest.mark.parametrize("module", IMPORTED)
def test_a_digest_covers_all_that_python_imports(module, root):
    assert module in steps(root)
    shown = "*[m.__file__ for n, m in sys.modules.items() if n.startswith('peft_atlas')]"
    # What names a study is found by its place, not imported by name; the report, which prints it, asks for it.
    studies = (root / "src/peft_atlas/studies").glob("*/*.py")
    named = {str(path) for path in studies if path.stem in {"description", "__init__"}}
    imported = set(in_python(root, [module], shown).split()) - named
    assert len(imported) > 5
    assert imported <= {str(file) for file in library_sources(path_of(module, root / "src"), root / "src")}


@pytest.mark.parametrize(
    ("changed", "runs", "spared"),
    [
        ("population.py", {"studies.notebook.train", "studies.notebook.checks"}, {"studies.literature.data"}),
        ("analysis/statistics.py", {"studies.contrasts", "studies.notebook.checks"}, {"studies.notebook.train"}),
        (
            "studies/literature/data.py",
            {"studies.literature.data"},
            {"studies.notebook.train", "studies.contrasts", "studies.record.data"},
        ),
        ("studies/record/data.py", {"studies.record.data"}, {"studies.notebook.train", "studies.literature.data"}),
        ("report/sections.py", {"report.page"}, {"report.gallery", "studies.findings", "figures.render"}),
        ("errors.py", {"studies.notebook.train", "report.page", "figures.render"}, set()),
    ],
)
def test_a_changed_file_changes_the_digests_of_what_imports_it_and_no_others(root, tmp_path, changed, runs, spared):
    after = tmp_path / "src"
    shutil.copytree(root / "src", after, ignore=shutil.ignore_patterns("__pycache__"))
    with (after / "peft_atlas" / changed).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    digests = {
        module: [source_digest([path_of(module, source)], source) for source in (root / "src", after)]
        for module in steps(root)
    }
    others = {module for module, (old, new) in digests.items() if old != new}
    assert runs <= others
    assert not spared & others
    importing = {m for m in steps(root) if path_of(changed[:-3], after) in library_sources(path_of(m, after), after)}
    assert others == importing


NO_TORCH = ["figures.render", "report.page", "report.gallery", "report.paper", "studies.contrasts", "analysis.combine"]


@pytest.mark.slow
def test_figures_report_and_analysis_import_no_torch(root):
    figures = (root / "src/peft_atlas/studies").glob("*/figures/[a-z]*.py")
    modules = [".".join(file.relative_to(root / "src/peft_atlas").with_suffix("").parts) for file in figures]
    assert len(modules) > 20
    assert set(NO_TORCH) <= set(steps(root))
    assert in_python(root, [*NO_TORCH, *modules], "'torch' in sys.modules") == "False"


def test_a_module_without_a_step_is_named(package):
    root = package()
    with pytest.raises(FileNotFoundError, match="missing"):
        source_digest([root / "peft_atlas/missing.py"], root)
