"""The handler of Snakemake's events: what each prints in a dry run and in a real one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import takewhile
from logging import ERROR, LogRecord
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_atlas.durations import Durations, earlier_durations, reference_durations
from snakemake_logger_plugin_atlas.estimate import Request, describe, request_of
from snakemake_logger_plugin_atlas.time_left import Chain, Job, TimeLeft, in_words

# Where Snakemake was called, before it goes to the folder of `--directory`.
_CALLED_IN = Path.cwd()
_BENCHMARKS = Path("results/benchmarks")
_ESTIMATE = re.compile(r"^Estimate: .*(?:\n +\d+ x .*)*", flags=re.MULTILINE)
# Said before each job, without an event by which it could be known.
_NOISE = {"Select jobs to execute..."}
_RED, _PLAIN = "\033[31m", "\033[0m"


class DryRun:
    """A dry run prints what Snakemake prints, a line per job, and at its end what the jobs ask for."""

    def __init__(self) -> None:
        self._requests: list[Request] = []

    def text(self, record: LogRecord, default: Callable[[], str]) -> str | None:
        """Return what to print after an event."""
        event = getattr(record, "event", None)
        if event == LogEvent.JOB_INFO:
            return self._job(vars(record), default())
        if event == LogEvent.RULEGRAPH:
            return None
        if event == LogEvent.RUN_INFO and self._requests:
            return f"{default()}\n{describe(self._requests, _earlier().of_rules())}"
        return default()

    def _job(self, job: dict[str, Any], text: str) -> str:
        """Note a job's request; drop the time from its lines, which is the same for all."""
        # A target has no output and runs nothing.
        resources = dict(job["resources"].items()) if job["output"] else {"light": 1}
        self._requests.append(request_of(job["rule_name"], job["threads"], resources))
        return text.partition("\n")[2] if job["rule_msg"] else text


class RealRun:
    """A run prints how long it will take, then a line per finished job with the time left, then what else is said.

    Parameters
    ----------
    limits
        What the jobs ask for, printed at the start; empty where that is not wanted.
    """

    def __init__(self, limits: str = "") -> None:
        self._limits = limits
        self._cores: int | None = None
        self._chain = Chain()
        self._left: TimeLeft | None = None
        self._about: dict[int, str] = {}
        self._done = 0

    def text(self, record: LogRecord, default: Callable[[], str]) -> str | None:
        """Return what to print after an event."""
        event = getattr(record, "event", None)
        if event is None:
            return None if record.getMessage() in _NOISE else default()
        follow: Callable[[LogRecord, Callable[[], str]], str | None] | None = {
            LogEvent.RESOURCES_INFO: self._resources,
            LogEvent.RULEGRAPH: self._rules,
            LogEvent.RUN_INFO: self._begin,
            LogEvent.JOB_INFO: self._start,
            LogEvent.JOB_FINISHED: self._finish,
            LogEvent.JOB_ERROR: self._fail,
            LogEvent.JOB_STARTED: self._nothing,
            LogEvent.PROGRESS: self._nothing,
        }.get(event)
        return default() if follow is None else follow(record, default)

    def _nothing(self, record: LogRecord, default: Callable[[], str]) -> None:
        """Print nothing: the line of the finished job says it."""

    def _resources(self, record: LogRecord, default: Callable[[], str]) -> str | None:
        self._cores = getattr(record, "cores", self._cores)
        return default() if hasattr(record, "nodes") or hasattr(record, "provided_resources") else None

    def _rules(self, record: LogRecord, default: Callable[[], str]) -> None:
        graph = vars(record)["rulegraph"]
        links = [(link["source"], link["target"]) for link in graph["links"]]
        self._chain = Chain([node["rule"] for node in graph["nodes"]], links)

    def _begin(self, record: LogRecord, default: Callable[[], str]) -> str:
        """Return the first line of the run, and what its jobs ask for where that is wanted."""
        jobs = {rule: count for rule, count in vars(record)["stats"].items() if rule != "total"}
        earlier = _earlier()
        self._left = TimeLeft(jobs, reference_durations() | earlier, self._cores, self._chain)
        known = set(jobs) & set(earlier.known)
        source = "earlier runs here" if known else "a run of the default study elsewhere"
        where = "in the queue of the cluster" if self._cores is None else f"on {self._cores} cores"
        seconds = in_words(self._left.seconds(record.created))
        work = f"about {seconds}" + (" of work" if self._cores is None else "")
        line = f"{sum(jobs.values())} jobs {where}: {work}, judging by {source}; corrected as jobs finish."
        return "\n".join(filter(None, (line, self._limits)))

    def _start(self, record: LogRecord, default: Callable[[], str]) -> str | None:
        job = vars(record)
        if self._left is None:
            return default()
        name = Path(job["benchmark"] or "all").stem
        self._left.start(job["jobid"], Job(job["rule_name"], name, record.created))
        self._about[job["jobid"]] = ": ".join(filter(None, (job["rule_name"], job["rule_msg"])))
        return None

    def _finish(self, record: LogRecord, default: Callable[[], str]) -> str:
        job = vars(record)["job_id"]
        self._done += 1
        if self._left is None or job not in self._about:
            return default()
        seconds = self._left.finish(job, record.created)
        total = sum(self._left.jobs.values())
        left = f"; about {in_words(self._left.seconds(record.created))} left" if self._done < total else ""
        return f"[{self._done:>{len(str(total))}}/{total}] {self._about[job]} ({in_words(seconds)}){left}"

    def _fail(self, record: LogRecord, default: Callable[[], str]) -> str:
        if self._left is not None:
            self._left.fail(vars(record)["jobid"])
        return default()


def _earlier() -> Durations:
    """Return what earlier runs in this folder measured."""
    return earlier_durations(_BENCHMARKS.glob("*/*.tsv"))


def limits_of_jobs() -> str:
    """Return what a dry run of this same command says that its jobs ask for.

    An event of the run says it of a job only when that job is submitted.
    """
    # First, since after a -- of the command line they would be targets, and the dry run a real one.
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--nolock", *sys.argv[1:]]
    done = subprocess.run(command, cwd=_CALLED_IN, capture_output=True, text=True)
    found = _ESTIMATE.search(done.stdout)
    return found[0] if found else "No estimate of what the jobs ask for: see a dry run (-n)."


def misplaced_targets(words: Sequence[str]) -> list[str]:
    """Return the words of a command line that follow ``--configfile`` and are no files: targets, most likely."""
    after = [index for index, word in enumerate(words) if word in {"--configfile", "--configfiles"}]
    following = [takewhile(lambda word: not word.startswith("-"), words[index + 1 :]) for index in after]
    return [word for some in following for word in some if not (_CALLED_IN / word).is_file()]


def _unread_configuration(record: LogRecord) -> str | None:
    """Return one line on a configuration that could not be opened since it is none, in place of a traceback."""
    if getattr(record, "exception", None) not in {"IsADirectoryError", "FileNotFoundError"}:
        return None
    names = " ".join(misplaced_targets(sys.argv[1:]))
    advice = (
        f"Snakemake reads every name after it as a configuration; put targets first: snakemake {names} --configfile"
    )
    return f"--configfile: {names}: no such file. {advice} ..." if names else None


class AtlasHandler(LogHandlerBase):
    """Writes to the terminal in place of Snakemake's own handler; Snakemake's log file is as ever."""

    def __post_init__(self) -> None:
        """Prepare what follows the run."""
        stream = sys.stdout if self.common_settings.stdout else sys.stderr
        # None where the process was started with that stream closed.
        self._stream = Path(os.devnull).open("w", encoding="utf-8") if stream is None else stream  # noqa: SIM115
        self._coloured = self._stream.isatty() and not self.common_settings.nocolor
        if self.common_settings.dryrun:
            self._run: DryRun | RealRun = DryRun()
        else:
            # Before this process reads the rules, so that no job has begun.
            self._run = RealRun(limits_of_jobs() if getattr(self.settings, "limits", False) else "")

    def emit(self, record: LogRecord) -> None:
        """Print what an event is worth; Snakemake's filter has already dropped what `--quiet` names."""
        try:
            text = _unread_configuration(record) or self._run.text(record, lambda: self.format(record))
            if text:
                red = self._coloured and record.levelno >= ERROR
                self._stream.write(f"{_RED}{text}{_PLAIN}\n" if red else f"{text}\n")
                self._stream.flush()
        except Exception:
            self.handleError(record)

    @property
    def writes_to_stream(self) -> bool:
        """It takes the place of Snakemake's handler."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """It keeps no log file; Snakemake does."""
        return False

    @property
    def has_filter(self) -> bool:
        """Snakemake's own, which knows `--quiet`."""
        return False

    @property
    def has_formatter(self) -> bool:
        """Snakemake's own, for all that has no line of ours."""
        return False

    @property
    def needs_rulegraph(self) -> bool:
        """For the longest chain of rules."""
        return True
