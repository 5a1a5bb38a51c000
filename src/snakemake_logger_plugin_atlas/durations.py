"""How long jobs take: by earlier runs in this folder, and by the times that come with the package."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_REFERENCE = Path(__file__).with_name("reference_seconds.csv")
# Snakemake's column of wall-clock seconds in a benchmark file.
_SECONDS = "s"


@dataclass(frozen=True)
class Durations:
    """Seconds per job, by rule and by the name of the job's benchmark file."""

    known: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def __or__(self, other: Durations) -> Durations:
        """Return these with the rules of another in place of their own."""
        return Durations({**self.known, **other.known})

    def of_job(self, rule: str, job: str) -> float:
        """Return the seconds of a job; of one that is not known, the mean of its rule."""
        return self.known.get(rule, {}).get(job, self.of_rest(rule, ()))

    def of_rest(self, rule: str, started: Iterable[str]) -> float:
        """Return the mean seconds of a rule's jobs but those that started; of an unknown rule, what is typical."""
        jobs = self.known.get(rule)
        if not jobs:
            return self._typical()
        rest = [seconds for job, seconds in jobs.items() if job not in set(started)]
        return statistics.fmean(rest or jobs.values())

    def of_rules(self) -> dict[str, float]:
        """Return the mean seconds per job by rule."""
        return {rule: statistics.fmean(jobs.values()) for rule, jobs in self.known.items() if jobs}

    def _typical(self) -> float:
        means = self.of_rules().values()
        return statistics.median(means) if means else 1.0


def reference_durations() -> Durations:
    """Return the durations of a default study on two cores."""
    known: dict[str, dict[str, float]] = {}
    with _REFERENCE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            known.setdefault(row["rule"], {})[row["job"]] = float(row["seconds"])
    return Durations(known)


def earlier_durations(benchmarks: Iterable[Path]) -> Durations:
    """Return the durations that earlier runs measured, from benchmark files named ``<rule>/<job>.tsv``."""
    known: dict[str, dict[str, float]] = {}
    for path in benchmarks:
        try:
            seconds = _read(path)
        except (OSError, ValueError, KeyError):
            continue  # A killed job may have left half a file; no result rests on it.
        known.setdefault(path.parent.name, {})[path.stem] = seconds
    return Durations(known)


def _read(path: Path) -> float:
    with path.open(encoding="utf-8", newline="") as file:
        return statistics.fmean(float(row[_SECONDS]) for row in csv.DictReader(file, delimiter="\t"))
