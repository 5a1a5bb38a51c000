"""Linters, formatters and the type checker."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKS = {
    "ruff": ["ruff", "check", "."],
    "ruff format": ["ruff", "format", "--check", "."],
    "mypy": ["mypy"],
    "snakefmt": ["snakefmt", "--check", "Snakefile", "workflow/rules"],
    "snakemake --lint": ["snakemake", "--lint"],
}


@pytest.mark.parametrize("command", CHECKS.values(), ids=CHECKS)
def test_is_clean(command, root):
    done = subprocess.run([sys.executable, "-m", *command], cwd=root, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_container_recipe_is_clean(root):
    """The image itself cannot be built here; Apptainer's format has no linter."""
    program = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert program, "hadolint is not installed: make"
    done = subprocess.run([program, root / "workflow/containers/Dockerfile"], text=True, capture_output=True)
    assert done.returncode == 0, done.stdout
