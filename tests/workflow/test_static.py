"""Linters, formatters and the type checker."""

import subprocess
import sys

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
