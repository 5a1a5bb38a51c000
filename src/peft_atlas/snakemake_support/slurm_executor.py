"""The Slurm plugin's executor, but no wait is without end.

The plugin asks Slurm for the states of a run's jobs. Where no answer comes, as while the controller restarts, it drops
all of them from its list and so never hears of their ends; and it waits for a job that Slurm no longer lists, as after
`MinJobAge` or where a controller has lost its state, as if that job were still queued.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_slurm import Executor
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from peft_atlas.errors import AtlasError
from peft_atlas.snakemake_support.stale_slurm_jobs import listed_jobs

# A controller that is updated is back long before; jobs need none to run on.
_PATIENCE_MINUTES = 60
# How many jobs a message names at most.
_SHOWN = 3
# The plugin's resources that send a job to another cluster than the default one.
_CLUSTERS = {"cluster", "clusters", "slurm_cluster"}


@dataclass
class _Watch:
    """What is known of the run's jobs between two looks at them."""

    started: float = field(default_factory=time.time)
    silent_since: float | None = None
    settled: set[str | None] = field(default_factory=set)
    missing: set[str | None] = field(default_factory=set)


class PatientExecutor(Executor):  # type: ignore[misc]
    """Keeps jobs whose state Slurm did not say, for an hour, and settles those that it no longer lists.

    Until it knows, it looks as often as at the start.
    """

    def __init__(self, workflow: Any, logger: Any) -> None:
        # First, since the plugin starts to look at jobs while it is being made.
        self._watch = _Watch()
        super().__init__(workflow, logger)

    def report_job_success(self, job_info: SubmittedJobInfo) -> None:
        """Note that the job is over, and report it."""
        self._watch.settled.add(job_info.external_jobid)
        super().report_job_success(job_info)

    def report_job_error(self, job_info: SubmittedJobInfo, msg: str | None = None, **kwargs: Any) -> None:
        """Note that the job is over, and report it."""
        self._watch.settled.add(job_info.external_jobid)
        super().report_job_error(job_info, msg, **kwargs)

    async def check_active_jobs(
        self, active_jobs: Sequence[SubmittedJobInfo]
    ) -> AsyncGenerator[SubmittedJobInfo, None]:
        """Report the jobs that are over and yield all others."""
        # A controller that lost its state gives the same numbers again.
        self._watch.settled.clear()
        waiting = [job async for job in super().check_active_jobs(active_jobs)]
        known = self._watch.settled.union(_numbers(waiting))
        dropped = [job for job in active_jobs if job.external_jobid not in known]
        self._bound_silence(dropped)
        self._settle_missing(waiting)
        for job in [*dropped, *waiting]:
            if job.external_jobid not in self._watch.settled:
                yield job
        # The plugin waits longer from look to look, up to three minutes, which suits jobs that just go on.
        if dropped or self._watch.missing:
            self.next_seconds_between_status_checks = self.workflow.executor_settings.init_seconds_before_status_checks

    def _bound_silence(self, dropped: Sequence[SubmittedJobInfo]) -> None:
        """Say once that Slurm is silent; end the run where it has been for too long."""
        now = time.monotonic()
        names = ", ".join(map(_describe, dropped[:_SHOWN])) + (" and others" if len(dropped) > _SHOWN else "")
        if not dropped:
            self._watch.silent_since = None
        elif self._watch.silent_since is None:
            self._watch.silent_since = now
            self.logger.warning(
                f"Slurm does not answer; waiting up to {_PATIENCE_MINUTES} minutes for the states of {names}"
            )
        elif now - self._watch.silent_since > _PATIENCE_MINUTES * 60:
            advice = "run the same command again when Slurm is back"
            message = f"Slurm has not answered for {_PATIENCE_MINUTES} minutes; {names} may still run: {advice}"
            self.workflow.scheduler.executor_error_callback(WorkflowError(message))

    def _settle_missing(self, waiting: Sequence[SubmittedJobInfo]) -> None:
        """Report the jobs that Slurm does not list at two looks in a row."""
        # Only the default cluster is asked.
        here = [job for job in waiting if not _CLUSTERS & set(job.job.resources.keys())]
        if not here:
            return
        try:
            listed = listed_jobs()
        except (AtlasError, OSError):
            return
        missing = _numbers(here) - listed
        gone = missing & self._watch.missing
        self._watch.missing = missing
        for job in here:
            if job.external_jobid in gone:
                self._settle(job)

    def _settle(self, job_info: SubmittedJobInfo) -> None:
        """Go by a job's outputs: a job removes older ones before it begins, and those of a failed one are removed."""
        fact = f"Slurm no longer lists {_describe(job_info)}"
        if all(_is_newer(Path(name), self._watch.started) for name in job_info.job.output):
            self.logger.warning(f"{fact}; its outputs are there, so it has finished")
            self.report_job_success(job_info)
        else:
            self.report_job_error(job_info, msg=f"{fact}, and not all of its outputs are there. ")


def _describe(job_info: SubmittedJobInfo) -> str:
    return f"job {job_info.external_jobid} ({job_info.job.name})"


def _numbers(jobs: Sequence[SubmittedJobInfo]) -> set[str | None]:
    return {job.external_jobid for job in jobs}


def _is_newer(file: Path, since: float) -> bool:
    return file.exists() and file.stat().st_mtime >= since
