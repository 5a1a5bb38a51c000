"""A one-node Slurm on loopback, and the smoke study run on it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

HERE = Path(__file__).parent
# Set by .ci/run: there a test of the cluster that does not run is a failure.
REQUIRED = os.environ.get("PEFT_ATLAS_REQUIRE_ALL") == "1"
WORDS = (
    *("--workflow-profile", "workflow/profiles/slurm", "--resources", "gpu=4"),
    *("--slurm-partition-config", str(HERE / "partitions.yaml")),
    *("--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "10"),
)


def _lacking() -> str | None:
    """Return why Slurm cannot be started here, or None."""
    missing = [name for name in ("munged", "slurmctld", "slurmd", "sbatch", "srun") if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} not installed: apt-get install slurmctld slurmd slurm-client munge"
    return None if os.geteuid() == 0 else "starting a cluster needs root"


@dataclass(frozen=True)
class Job:
    """What Slurm's record says of a job: what was asked for, its state, and when it ran."""

    number: str
    rule: str
    folder: Path
    state: str
    cpus: int
    megabytes: int
    minutes: int
    gpus: int
    partition: str
    submit: datetime
    start: datetime | None
    end: datetime | None


def _read(record: str) -> Job:
    """Return one line of ``scontrol --oneliner show job``."""
    fields = dict(word.split("=", maxsplit=1) for word in record.split() if "=" in word)
    hours, minutes, _ = map(int, fields["TimeLimit"].split(":"))
    asked = " ".join(fields.get(name, "") for name in ("TresPerJob", "TresPerNode"))
    memory = re.fullmatch(r"(\d+)([MG])", fields["MinMemoryNode"])
    start, end = (
        datetime.fromisoformat(fields[name]) if fields[name] != "Unknown" else None for name in ("StartTime", "EndTime")
    )
    return Job(
        fields["JobId"],
        fields["Comment"].removeprefix("rule_").split("_wildcards_")[0],
        Path(fields["WorkDir"]),
        fields["JobState"],
        int(fields["NumCPUs"]),
        int(memory[1]) * (1024 if memory[2] == "G" else 1),
        60 * hours + minutes,
        sum(int(number) for number in re.findall(r"gpu(?:\:\w+)?:(\d+)", asked)),
        fields["Partition"],
        datetime.fromisoformat(fields["SubmitTime"]),
        start,
        end,
    )


class Cluster:
    """The running cluster; every call is bounded, since an unhappy Slurm answers late or never."""

    def run(self, *command: str) -> str:
        """Return what a Slurm command prints."""
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout

    def jobs(self, folder: Path) -> list[Job]:
        """Return the records of the jobs that were submitted in a folder, oldest first."""
        records = [line for line in self.run("scontrol", "--oneliner", "show", "job").splitlines() if "JobId=" in line]
        return [job for job in map(_read, records) if job.folder == folder]

    def wait(self, folder: Path, rule: str, state: str, seconds: int = 60) -> Job:
        """Return the first job of a rule that reaches a state."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for job in self.jobs(folder):
                if job.rule == rule and job.state == state:
                    return job
            time.sleep(0.2)
        raise AssertionError(f"no job of {rule} became {state}: {self.jobs(folder)}")

    def control(self, command: str) -> None:
        """Stop the controller, start it again, or start one that knows nothing of earlier jobs."""
        folder = Path(os.environ["SLURM_CONF"]).parent
        # A daemon keeps what it inherits, so no pipe.
        done = subprocess.run([HERE / "cluster.sh", f"{command}-controller", folder], timeout=60)
        assert done.returncode == 0


@contextmanager
def running_cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Run a cluster in a folder and yield the environment of its users."""
    started = subprocess.run([HERE / "cluster.sh", "start", folder], capture_output=True, text=True, timeout=60)
    assert started.returncode == 0, started.stderr
    try:
        path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        yield {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": path}
    finally:
        subprocess.run([HERE / "cluster.sh", "stop", folder], capture_output=True, timeout=60, check=True)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """Return a cluster that stops when the tests end."""
    reason = _lacking()
    if reason and REQUIRED:
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    with running_cluster(tmp_path_factory.mktemp("slurm")) as environment, pytest.MonkeyPatch.context() as patch:
        for name in ("SLURM_CONF", "PATH"):
            patch.setenv(name, environment[name])
        yield Cluster()


@pytest.fixture
def second_cluster(cluster, tmp_path):
    """Return the environment of another cluster, which runs beside the first."""
    with running_cluster(tmp_path) as environment:
        yield environment


@pytest.fixture
def own_cluster(second_cluster, monkeypatch):
    """Return a cluster for one test, whose controller it may stop."""
    for name in ("SLURM_CONF", "PATH"):
        monkeypatch.setenv(name, second_cluster[name])
    return Cluster()


@pytest.fixture(scope="session")
def slurm_words():
    """Return the words that make `snakemake` run on the test cluster."""
    return WORDS


@pytest.fixture(scope="session")
def on_slurm(cluster, fresh_session_project, tiny, all_tables):
    """Return a project whose tiny study ran on the cluster, and what was printed; tests must not change it."""
    config = {**tiny, "device": "auto"}
    done = fresh_session_project.snakemake(*all_tables, *WORDS, config=config)
    assert done.returncode == 0, done.stdout
    return SimpleNamespace(project=fresh_session_project, printed=done.stdout, config=config)
