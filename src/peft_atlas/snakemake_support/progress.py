"""Watch a run: its estimate before it starts, and the time left while it runs."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class TimeLeft:
    """Guesses a run's remaining time from its jobs' rules and how long jobs took, in this run and in earlier ones.

    Parameters
    ----------
    rules
        Rule of each job to run, by job number.
    earlier
        Mean seconds of a job by rule, from earlier runs.
    """

    rules: Mapping[int, str]
    earlier: Mapping[str, float] = field(default_factory=dict)
    started: dict[int, float] = field(default_factory=dict)
    took: dict[int, float] = field(default_factory=dict)
    begin: float | None = None

    def start(self, job: int, now: float) -> None:
        """Note that a job started, or was submitted, at a time in seconds."""
        self.begin = now if self.begin is None else self.begin
        self.started[job] = now

    def finish(self, job: int, now: float) -> None:
        """Note that a job ended at a time in seconds."""
        if job in self.started:
            self.took[job] = now - self.started[job]

    def seconds(self, now: float) -> float | None:
        """Return the seconds that are left, or None where no job has told yet.

        The work left is shared by as many jobs at once as ran at once so far.
        """
        if self.begin is None or not self.took:
            return None
        mean = sum(self.took.values()) / len(self.took)
        work = sum(self._length(job, rule, mean, now) for job, rule in self.rules.items() if job not in self.took)
        busy = sum(self.took.values()) + sum(now - self.started[job] for job in self.started if job not in self.took)
        return work / max(1.0, busy / max(now - self.begin, 1e-9))

    def _length(self, job: int, rule: str, mean: float, now: float) -> float:
        """Return the seconds that a job still needs; one that runs longer than it should is about to end."""
        alike = [seconds for other, seconds in self.took.items() if self.rules.get(other) == rule]
        whole = sum(alike) / len(alike) if alike else self.earlier.get(rule, mean)
        return max(0.0, whole - (now - self.started[job])) if job in self.started else whole


def in_words(seconds: float) -> str:
    """Return a time as ``20 s``, ``3 min`` or ``2.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Watcher(logging.Handler):
    """Adds to what Snakemake prints: an estimate after its list of jobs, and the time left after each progress.

    Parameters
    ----------
    begin
        Called when the jobs are known; returns the estimate as text and what guesses the time left.
    """

    def __init__(self, begin: Callable[[], tuple[str, TimeLeft]]) -> None:
        super().__init__()
        self._begin = begin
        self._left: TimeLeft | None = None
        self._estimate = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Follow one event of Snakemake's."""
        event = str(getattr(getattr(record, "event", None), "value", ""))
        line = self._line(event, vars(record), time.monotonic())
        if line:
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    def _line(self, event: str, fields: Mapping[str, Any], now: float) -> str | None:
        """Return what to print after an event."""
        if event == "run_info":
            # A dry run tells its jobs twice, and at the second time none is left to ask.
            if self._left is None:
                self._estimate, self._left = self._begin()
            return self._estimate
        if self._left is None:
            return None
        if event == "job_started":
            for job in fields["jobs"]:
                self._left.start(job, now)
        elif event == "job_finished":
            self._left.finish(fields["job_id"], now)
        elif event == "progress" and fields["done"] < fields["total"]:
            seconds = self._left.seconds(now)
            return None if seconds is None else f"about {in_words(seconds)} left"
        return None
