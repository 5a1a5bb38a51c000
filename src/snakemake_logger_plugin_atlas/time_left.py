"""The time that a run still needs, from the expected durations of its jobs and what this run shows of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from snakemake_logger_plugin_atlas.durations import Durations

# This machine counts as fast as expected until jobs of this many seconds have shown otherwise.
_TRUSTED_SECONDS = 10.0
# A rule counts as fast as the others until as much work as this many of its jobs has shown otherwise.
_TRUSTED_JOBS = 2.0


@dataclass
class Chain:
    """The order of the rules: the rule of each node, and pairs of nodes of which the second reads the first."""

    rules: Sequence[str] = ()
    links: Sequence[tuple[int, int]] = ()

    def longest(self, seconds: Mapping[str, float]) -> float:
        """Return the seconds of the longest chain of rules that wait for each other."""
        ends: dict[int, float] = {}
        before: dict[int, list[int]] = {}
        for source, target in self.links:
            before.setdefault(target, []).append(source)

        def end(node: int) -> float:
            if node not in ends:
                ends[node] = seconds.get(self.rules[node], 0.0) + max(map(end, before.get(node, ())), default=0.0)
            return ends[node]

        return max(map(end, range(len(self.rules))), default=0.0)


@dataclass(frozen=True)
class Job:
    """A job that started: its rule, the name of its benchmark file, and when it started, in seconds."""

    rule: str
    name: str
    start: float


@dataclass
class _Seen:
    """What has been seen of a rule: the names of its jobs that started, and seconds of those that ended."""

    started: set[str] = field(default_factory=set)
    ended: int = 0
    actual: float = 0.0
    expected: float = 0.0


@dataclass
class TimeLeft:
    """Estimates a run's remaining time.

    Parameters
    ----------
    jobs
        Number of jobs to run, by rule.
    durations
        What is expected of them.
    cores
        Jobs that run at once, or None where a cluster decides; then as many as have run at once so far.
    chain
        The order of the rules, which bounds the time on many cores.
    """

    jobs: Mapping[str, int]
    durations: Durations
    cores: int | None = None
    chain: Chain = field(default_factory=Chain)
    running: dict[int, Job] = field(default_factory=dict)
    seen: dict[str, _Seen] = field(default_factory=dict)
    begin: float | None = None

    def start(self, number: int, job: Job) -> None:
        """Note that a job started, or was submitted."""
        self.begin = job.start if self.begin is None else self.begin
        self.running[number] = job
        self.seen.setdefault(job.rule, _Seen()).started.add(job.name)

    def finish(self, number: int, now: float) -> float:
        """Note that a job ended at a time in seconds; return how long it took."""
        job = self.running.pop(number)
        seen = self.seen[job.rule]
        seen.ended += 1
        seen.actual += now - job.start
        seen.expected += self.durations.of_job(job.rule, job.name)
        return now - job.start

    def fail(self, number: int) -> None:
        """Note that a job failed; it may be tried again."""
        self.running.pop(number, None)

    def seconds(self, now: float) -> float:
        """Return the seconds that are left: the work divided by the jobs at once, or the longest chain of rules."""
        speed = self._slowness(now)
        waiting = {rule: max(self._waiting(rule), 0) for rule in self.jobs}
        lengths = {rule: self._length(rule, speed) for rule, count in waiting.items() if count}
        work, still = sum(waiting[rule] * length for rule, length in lengths.items()), dict(lengths)
        for job in self.running.values():
            whole = self.durations.of_job(job.rule, job.name) * self._slowness_of(job.rule, speed)
            rest = max(whole - (now - job.start), 0.0)
            work += rest
            still[job.rule] = max(still.get(job.rule, 0.0), rest)
        return max(work / self._at_once(now), self.chain.longest(still))

    def _waiting(self, rule: str) -> int:
        """Return how many jobs of a rule have not started."""
        running = sum(job.rule == rule for job in self.running.values())
        return self.jobs[rule] - self.seen.get(rule, _Seen()).ended - running

    def _length(self, rule: str, speed: float) -> float:
        """Return the seconds of a job of a rule that has not started."""
        started = self.seen.get(rule, _Seen()).started
        return self.durations.of_rest(rule, started) * self._slowness_of(rule, speed)

    def _slowness_of(self, rule: str, speed: float) -> float:
        """Return how many times longer than expected the jobs of a rule take."""
        seen = self.seen.get(rule, _Seen())
        trusted = _TRUSTED_JOBS * self.durations.of_rest(rule, ())
        total = trusted + seen.expected
        return (trusted * speed + seen.actual) / total if total else speed

    def _slowness(self, now: float) -> float:
        """Return how many times longer than expected all jobs of this run take of which something was expected."""
        actual = expected = _TRUSTED_SECONDS
        known = self.durations.known
        for seen in (seen for rule, seen in self.seen.items() if rule in known):
            actual += seen.actual
            expected += seen.expected
        for job in (job for job in self.running.values() if job.rule in known):
            # A job that has not ended shows only that it takes longer than it has taken so far.
            whole = self.durations.of_job(job.rule, job.name)
            if now - job.start > whole:
                actual += now - job.start
                expected += whole
        return actual / expected

    def _at_once(self, now: float) -> float:
        """Return how many jobs run at once."""
        if self.cores is not None:
            return self.cores
        if self.begin is None or now <= self.begin:
            return 1.0
        busy = sum(seen.actual for seen in self.seen.values()) + sum(now - job.start for job in self.running.values())
        return max(1.0, busy / (now - self.begin))


def in_words(seconds: float) -> str:
    """Return a time as ``20 s``, ``3 min`` or ``2.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
