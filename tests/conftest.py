"""What the tests share: the repository, torch settings, and a copy of the project in which the smoke study has run."""

from __future__ import annotations

import gc
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from filelock import FileLock
from forked_snakemake import run_snakemake
from hypothesis import settings

from peft_atlas.figures.spec import all_figures
from peft_atlas.studies.study import all_studies

# The same examples in every run, however slow the machine is.
settings.register_profile("atlas", deadline=None, derandomize=True)
settings.load_profile("atlas")

ROOT = Path(__file__).resolve().parents[1]


FROZEN_MODULES = pytest.StashKey[int]()

# Fixtures in which `snakemake` runs or is about to.
WORKFLOWS = {"smoked", "undisturbed", "fresh", "fresh_session_project", "elsewhere", "half_done", "project"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that starts the workflow as slow, so that `make fast-test` starts none by oversight."""
    for item in items:
        if WORKFLOWS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Leave what the imports made out of garbage collection: each run collects, which took longer than it trains."""
    _freeze(session.config.stash)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Do the same where a test has imported another large package since, as `transformers`."""
    if len(sys.modules) > item.config.stash[FROZEN_MODULES] + 100:
        _freeze(item.config.stash)


def _freeze(stash: pytest.Stash) -> None:
    gc.collect()
    gc.freeze()
    stash[FROZEN_MODULES] = len(sys.modules)


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


def _resting_on_times(findings: Any) -> set[str]:
    """Return the findings that rest on measured times, by themselves or through findings that do."""
    timed = set(findings.loc[findings["evidence"].str.contains("costs: ", regex=False), "id"])
    while True:
        kinds = {row.kind for row in findings.itertuples() if row.id in timed}
        through = {
            row.id
            for row in findings.itertuples()
            for part in row.evidence.split("; ")
            if (named := re.search(r"^findings: kind=(\w+)(?:, id=(\w+(?: and \w+)*))?$", part))
            and (timed & set(named[2].split(" and ")) if named[2] else named[1] in kinds)
        }
        if through <= timed:
            return timed
        timed |= through


def _digest(file: Path) -> str:
    """Return a digest of a data file; of the findings without those that rest on costs, which hold times."""
    if file.name != "findings.parquet":
        return hashlib.sha256(file.read_bytes()).hexdigest()
    rows = pd.read_parquet(file)
    kept = rows[~rows["id"].isin(_resting_on_times(rows))]
    return hashlib.sha256(kept.to_csv(index=False).encode()).hexdigest()


COPIED = ("Snakefile", "config.yaml", "environment.yml", "src", "workflow", "profiles", "data")


@dataclass(frozen=True)
class Project:
    """A folder that holds the project."""

    folder: Path

    def command(
        self, *words: str, config: dict[str, Any] | None = None, base: str = "workflow/smoke.yaml"
    ) -> list[str]:
        """Return the command that runs `snakemake` here; ``config`` extends ``base``."""
        text = yaml.safe_dump(config or {})
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        extra = Path(tempfile.gettempdir()) / f"peft-atlas-{os.getpid()}-{digest}.yaml"
        extra.write_text(text, encoding="utf-8")
        return [sys.executable, "-m", "snakemake", "--cores", "2", *words, "--configfile", base, str(extra)]

    def snakemake(
        self, *words: str, timeout: int = 600, prefix: Sequence[str] = (), **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Return what `snakemake` did here, its output and errors as one text; a ``prefix`` is a program to run it."""
        command = self.command(*words, **options)
        if not prefix:
            return run_snakemake(command[3:], self.folder, timeout)
        return subprocess.run(
            [*prefix, *command],
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
        )

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """Start `snakemake` here, as a process group of its own, and return it."""
        log = (self.folder / "driver.txt").open("w", encoding="utf-8")
        return subprocess.Popen(
            self.command(*words, **options),
            cwd=self.folder,
            text=True,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # Tests that run in the background of a script ignore Ctrl-C, and so would what they start.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def unlock(self) -> None:
        """Take back the lock that a killed `snakemake` left, as its user has to."""
        done = self.snakemake("--unlock")
        assert done.returncode == 0, done.stdout

    def printed(self) -> str:
        """Return what the `snakemake` that was started here printed."""
        return (self.folder / "driver.txt").read_text(encoding="utf-8")

    def unfinished(self) -> list[str]:
        """Return the files that a job began and did not finish."""
        hidden = [*self.folder.glob("results/**/.*"), *self.folder.glob("figures/.*")]
        return sorted(str(file.relative_to(self.folder)) for file in hidden)

    def data_files(self) -> dict[str, str]:
        """Return a digest of every data file; times stand in costs, in figures of them and in benchmarks alone."""
        files = [*self.folder.glob("results/**/*.parquet"), *self.folder.glob("figures/*.[!R]*")]
        timed = {spec.name for spec in all_figures() if "costs" in spec.tables}
        # What the smoke rule makes is a project of its own.
        kept = [
            name
            for name in (file.relative_to(self.folder) for file in files)
            if not name.name.endswith("costs.parquet") and name.stem not in timed and "smoke" not in name.parts
        ]
        return {str(name): _digest(self.folder / name) for name in kept}

    def jobs(self, *words: str, **options: Any) -> dict[str, int]:
        """Return the rules that a dry run would run, and how many jobs of each; the targets are left out."""
        done = self.snakemake("--quiet", "rules", "--dry-run", *words, **options)
        assert done.returncode == 0, done.stdout
        stats = re.findall(r"^(\w+) +(\d+)$", done.stdout.split("Job stats:")[-1], flags=re.MULTILINE)
        targets = {"total", "all", "figures", "report", "job", *(study.name for study in all_studies())}
        return {rule: int(count) for rule, count in stats if rule not in targets}

    def copy(self, folder: Path) -> Project:
        """Return a copy with all results, their times and Snakemake's records kept."""
        shutil.copytree(self.folder, folder, symlinks=True, copy_function=_link_or_copy)
        return Project(folder)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text in a file of the project."""
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")


def _link_or_copy(source: str, target: str) -> None:
    """Link a fetched model, 90 MB that no job changes in place, and copy any other file."""
    (os.link if "/results/cache/" in source else shutil.copy2)(source, target)


def lay_project(root: Path, folder: Path) -> Project:
    """Return a fresh project in a new folder."""
    folder.mkdir(parents=True)
    for name in COPIED:
        source = root / name
        if source.is_dir():
            # With the bytecode, which is valid for a copy: compiling the library took as long as its first job.
            shutil.copytree(source, folder / name)
        else:
            shutil.copy2(source, folder / name)
    return Project(folder)


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder that the first of the processes of pytest-xdist makes for all."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    complete = folder.with_suffix(".complete")
    with FileLock(folder.with_suffix(".lock")):
        if not complete.exists():
            make(folder)
            complete.touch()
    return folder


@pytest.fixture(scope="session")
def smoked(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project whose smoke study is complete; tests must not change it."""

    def make(folder: Path) -> None:
        done = lay_project(root, folder).snakemake()
        assert done.returncode == 0, done.stdout

    return Project(made_once(tmp_path_factory, "smoked", make))


@pytest.fixture(scope="session")
def fresh_session_project(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project in which nothing has run, for one fixture of a session."""
    return lay_project(root, tmp_path_factory.mktemp("session") / "project")


# The smallest study with a baseline, a sweep and paired comparisons: three training jobs.
TINY = {"studies": ["notebook"], "seeds": 2}
TINY_TABLES = tuple(f"results/{name}.parquet" for name in ("runs", "curves", "summary", "contrasts"))


@pytest.fixture(scope="session")
def tiny() -> dict[str, Any]:
    """Return the settings of the smallest study."""
    return TINY


@pytest.fixture(scope="session")
def tiny_tables() -> tuple[str, ...]:
    """Return the tables of the smallest study's runs."""
    return TINY_TABLES


@pytest.fixture(scope="session")
def all_tables() -> tuple[str, ...]:
    """Return the tables that need every other table and every job of the smallest study but figures and report."""
    return (*TINY_TABLES, "results/comparison.parquet", "results/findings.parquet")


@pytest.fixture(scope="session")
def undisturbed(root: Path, all_tables: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with every table of the tiny study; tests must not change it."""

    def make(folder: Path) -> None:
        done = lay_project(root, folder).snakemake(*all_tables, config=TINY)
        assert done.returncode == 0, done.stdout

    return Project(made_once(tmp_path_factory, "undisturbed", make))


@pytest.fixture
def half_done(undisturbed: Project, tmp_path: Path) -> Project:
    """Return a copy of the undisturbed project that lacks the sweep and all that comes of it."""
    project = undisturbed.copy(tmp_path / "half_done")
    sweep = project.folder / "results/runs/notebook/sweep/held_out"
    tables = [project.folder / name for name in TINY_TABLES]
    for file in [*sweep.iterdir(), *tables, *project.folder.glob("logs/**/*.log")]:
        file.unlink()
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
