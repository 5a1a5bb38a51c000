"""The executor for Slurm, whose plugin asks a `squeue` that says what the test writes."""

import asyncio
import logging
import os
from types import SimpleNamespace

import pytest
from snakemake_executor_plugin_slurm import ExecutorSettings, common_settings
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from peft_atlas.snakemake_support import slurm_executor

SILENT = "echo 'Unable to contact slurm controller' >&2; exit 1"


class Site:
    """A site without accounting, its commands, and a run with one job there."""

    def __init__(self, folder):
        self.ended, self.errors = [], []
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name in ("scontrol", "sacct", "squeue"):
            self.command(name, SILENT)
        self.output = folder / "runs.parquet"
        job = SimpleNamespace(
            name="train_sweep",
            output=[str(self.output)],
            resources={},
            log_error=lambda msg, **_: self.ended.append(msg),
        )
        self.job = SubmittedJobInfo(job, "7", {"slurm_logfile": folder / "7.log"})
        self.executor = slurm_executor.PatientExecutor(self._workflow(folder), logging.getLogger("slurm"))

    def _workflow(self, folder):
        scheduler = SimpleNamespace(
            finish_callback=lambda job: self.ended.append("success"),
            error_callback=lambda job: self.ended.append("error"),
            executor_error_callback=self.errors.append,
        )
        settings = ExecutorSettings(status_command="squeue", logdir=folder, status_attempts=1)
        remote = SimpleNamespace(
            max_status_checks_per_second=100, jobname="{jobid}", jobscript=None, seconds_between_status_checks=1
        )
        return SimpleNamespace(
            executor_settings=settings,
            executor_plugin=SimpleNamespace(common_settings=common_settings),
            remote_execution_settings=remote,
            storage_settings=SimpleNamespace(shared_fs_usage=[]),
            scheduler=scheduler,
            main_snakefile="Snakefile",
            workdir_init=folder,
            dag=None,
        )

    def command(self, name, script):
        """Lay a command of Slurm."""
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)

    def lists(self, *states):
        """Let `squeue` list the job in these states, in the plugin's form or with numbers alone."""
        rows = "".join(f"7|{state}\\n" for state in states)
        self.command("squeue", f"""case "$*" in *%T*) printf '{rows}';; *) printf '{rows}' | cut -d'|' -f1;; esac""")

    def look(self):
        """Return the jobs that are still awaited after a look at the one."""

        async def kept():
            return [job async for job in self.executor.check_active_jobs([self.job])]

        return asyncio.run(kept())


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/usr/bin:/bin")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    return Site(tmp_path)


def test_a_job_is_kept_while_slurm_is_silent_and_its_end_is_then_seen(site, caplog):
    assert site.look() == site.look() == [site.job]
    assert [text for text in caplog.messages if "does not answer" in text] == [
        "Slurm does not answer; waiting up to 60 minutes for the states of job 7 (train_sweep)"
    ]
    # As often as at the start, so that the run goes on soon after Slurm is back.
    assert site.executor.next_seconds_between_status_checks == 40
    site.command("scontrol", "echo MinJobAge = 300 sec")
    site.lists("RUNNING")
    assert site.look() == [site.job]
    assert site.executor.next_seconds_between_status_checks == 50
    site.lists("COMPLETED")
    assert site.look() == []
    assert site.ended == ["success"]


def test_a_failure_is_reported_as_ever(site):
    site.command("scontrol", "echo MinJobAge = 300 sec")
    site.lists("OUT_OF_MEMORY")
    assert site.look() == []
    assert site.ended[-1] == "error"


def test_silence_has_an_end(site, monkeypatch):
    assert site.look() == [site.job]
    assert site.errors == []
    monkeypatch.setattr(slurm_executor, "_PATIENCE_MINUTES", 0)
    site.look()
    (error,) = site.errors
    assert isinstance(error, WorkflowError)
    assert "job 7 (train_sweep) may still run: run the same command again" in str(error)


@pytest.mark.parametrize("age", [None, -100, 100], ids=["missing", "older than the run", "of this run"])
def test_a_job_that_is_no_longer_listed_ends_as_its_outputs_say(site, age):
    site.command("scontrol", "echo MinJobAge = 300 sec")
    site.lists("RUNNING")
    assert site.look() == [site.job]
    if age is not None:
        site.output.touch()
        made = site.output.stat().st_mtime + age
        os.utime(site.output, (made, made))
    site.lists()
    # Once may be chance.
    assert site.look() == [site.job]
    assert site.look() == []
    if age == 100:
        assert site.ended == ["success"]
    else:
        assert site.ended[0].startswith("Slurm no longer lists job 7 (train_sweep), and not all of its outputs")
        assert site.ended[1:] == ["error"]


def test_a_job_of_another_cluster_is_not_missed(site):
    site.job.job.resources["cluster"] = "north"
    site.command("scontrol", "echo MinJobAge = 300 sec")
    site.lists()
    assert site.look() == site.look() == site.look() == [site.job]
