"""What the tests share: the repository, torch settings, and a copy of the project in which the smoke study has run."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import settings

# The same examples in every run, however slow the machine is.
settings.register_profile("atlas", deadline=None, derandomize=True)
settings.load_profile("atlas")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the repository."""
    return ROOT


@pytest.fixture(autouse=True)
def _one_thread():
    """Run torch on one thread, as the jobs do."""
    torch.set_num_threads(1)


@pytest.fixture
def double():
    """Run a test in float64."""
    torch.set_default_dtype(torch.float64)
    yield torch.float64
    torch.set_default_dtype(torch.float32)


COPIED = ("Snakefile", "config.yaml", "environment.yml", "src", "workflow", "data")


@dataclass(frozen=True)
class Project:
    """A folder that holds the project."""

    folder: Path

    def snakemake(
        self, *words: str, config: dict[str, Any] | None = None, base: str = "workflow/smoke.yaml", timeout: int = 300
    ) -> subprocess.CompletedProcess[str]:
        """Return what `snakemake` did here, its output and errors as one text; ``config`` extends ``base``."""
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as extra:
            yaml.safe_dump(config or {}, extra)
            extra.flush()
            command = [sys.executable, "-m", "snakemake", "--cores", "2", *words]
            return subprocess.run(
                [*command, "--configfile", base, extra.name],
                cwd=self.folder,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=timeout,
            )

    def jobs(self, *words: str, **options: Any) -> dict[str, int]:
        """Return the rules that a dry run would run, and how many jobs of each; the targets are left out."""
        done = self.snakemake("--quiet", "rules", "--dry-run", *words, **options)
        assert done.returncode == 0, done.stdout
        stats = re.findall(r"^(\w+) +(\d+)$", done.stdout.split("Job stats:")[-1], flags=re.MULTILINE)
        targets = {"total", "all", "notebook", "encoder", "adaptation", "published", "figures", "report", "job"}
        return {rule: int(count) for rule, count in stats if rule not in targets}

    def copy(self, folder: Path) -> Project:
        """Return a copy with all results, their times and Snakemake's records kept."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text in a file of the project."""
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")


def lay_project(root: Path, folder: Path) -> Project:
    """Return a fresh project in a new folder."""
    folder.mkdir(parents=True)
    for name in COPIED:
        source = root / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / name)
    return Project(folder)


@pytest.fixture(scope="session")
def smoked(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project whose smoke study is complete; tests must not change it."""
    project = lay_project(root, tmp_path_factory.mktemp("smoked") / "project")
    done = project.snakemake()
    assert done.returncode == 0, done.stdout
    return project


@pytest.fixture
def fresh(root: Path, tmp_path: Path) -> Project:
    """Return a project in which nothing has run."""
    return lay_project(root, tmp_path / "fresh")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Project:
    """Return an empty folder to run in."""
    return Project(tmp_path)


@pytest.fixture
def project(smoked: Project, tmp_path: Path) -> Project:
    """Return a copy of the smoked project to change."""
    return smoked.copy(tmp_path / "project")
