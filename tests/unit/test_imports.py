"""The library files that a script depends on, against what Python really imports."""

import subprocess
import sys

import pytest

from peft_atlas.snakemake_support.source_dependencies import library_sources


def test_packages_and_modules_are_followed(tmp_path):
    package = tmp_path / "src" / "peft_atlas"
    (package / "deep").mkdir(parents=True)
    files = {
        "__init__.py": "",
        "a.py": "from peft_atlas.deep import c\nimport json\n",
        "b.py": "raise SystemExit",
        "deep/__init__.py": "",
        "deep/c.py": "import peft_atlas.d as d\n",
        "d.py": "from peft_atlas.a import something\n",
    }
    for name, text in files.items():
        (package / name).write_text(text, encoding="utf-8")
    script = tmp_path / "script.py"
    script.write_text("from peft_atlas.a import something\n", encoding="utf-8")
    found = {str(file.relative_to(package)) for file in library_sources(script, tmp_path / "src")}
    assert found == {"__init__.py", "a.py", "deep/__init__.py", "deep/c.py", "d.py"}


SCRIPTS = ["train_notebook.py", "check_notebook.py", "summarise_runs.py", "render_report.py", "draw_figure.py"]


@pytest.mark.parametrize("script", SCRIPTS)
def test_declared_files_hold_all_that_python_imports(script, root):
    path = root / "workflow/scripts" / script
    imports = "\n".join(
        line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith(("from ", "import "))
    )
    program = (
        f"{imports}\nimport sys\nprint(*[m.__file__ for n, m in sys.modules.items() if n.startswith('peft_atlas')])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=root / "src", text=True, capture_output=True, check=True)
    declared = {str(file) for file in library_sources(path, root / "src")}
    imported = set(done.stdout.split())
    # The list of figures imports every figure module; their rules declare the one they draw.
    imported = {name for name in imported if "/figures/" not in name} if script == "draw_figure.py" else imported
    assert imported <= declared


NO_TORCH = [
    *("draw_figure.py", "render_report.py", "render_gallery.py", "write_paper.py"),
    *("summarise_runs.py", "combine_runs.py"),
]


@pytest.mark.parametrize("script", NO_TORCH)
def test_figures_report_and_analysis_import_no_torch(script, root):
    path = root / "workflow/scripts" / script
    modules = [
        ".".join(file.relative_to(root / "src").with_suffix("").parts).removesuffix(".__init__")
        for file in library_sources(path, root / "src")
    ]
    modules += [f"peft_atlas.figures.{f.stem}" for f in (root / "src/peft_atlas/figures").glob("[a-z]*.py")]
    program = f"import importlib, sys\n[importlib.import_module(m) for m in {modules!r}]\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=root / "src", text=True, capture_output=True, check=True)
    assert done.stdout.strip() == "False"
