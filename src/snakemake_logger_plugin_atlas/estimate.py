"""What the jobs of a run ask of a machine or a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Request:
    """What one job asks for: CPUs, GPUs, memory in MB and run time in minutes; ``light`` runs where Snakemake runs."""

    rule: str
    cpus: int
    gpus: int
    megabytes: int
    minutes: float
    light: bool


def request_of(rule: str, threads: int, resources: Mapping[str, Any]) -> Request:
    """Return a job's request from its threads and resources.

    A rule that states the resource ``light`` runs where Snakemake runs. GPUs are counted from ``gpu`` or, where a
    site asks by name, from ``gres`` as ``gpu:1`` or ``gpu:a100:1``. A resource that is not known before the job starts
    counts as 0.
    """
    gres = str(resources.get("gres") or "")
    count = gres.rpartition(":")[2]
    by_name = int(count) if gres.startswith("gpu:") and count.isdecimal() else 0
    gpus = _number(resources.get("gpu")) or by_name
    megabytes, minutes = _number(resources.get("mem_mb")), _number(resources.get("runtime"))
    return Request(rule, threads, gpus, megabytes, minutes, light=bool(resources.get("light")))


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def describe(requests: Sequence[Request], seconds: Mapping[str, float]) -> str:
    """Return the estimate of a run as text: a line for all jobs, then a line per rule that is not light.

    Parameters
    ----------
    requests
        One per job.
    seconds
        Mean wall time of a job by rule, as earlier runs measured it; may be empty.
    """
    heavy = [request for request in requests if not request.light]
    hours = sum(request.cpus * request.minutes for request in heavy) / 60
    gpu_hours = sum(request.gpus * request.minutes for request in heavy) / 60
    peak = max((request.megabytes for request in heavy), default=0)
    lines = [
        f"Estimate: {len(heavy)} jobs to submit and {len(requests) - len(heavy)} light ones here; at most "
        f"{hours:.1f} CPU hours and {gpu_hours:.1f} GPU hours; {peak:,} MB in the largest job."
    ]
    for rule in dict.fromkeys(request.rule for request in heavy):
        lines.append(_rule_line([request for request in heavy if request.rule == rule], seconds.get(rule)))
    return "\n".join(lines)


def _rule_line(jobs: Sequence[Request], measured: float | None) -> str:
    """Return what the jobs of one rule ask for; where they differ, the most."""
    asks = (
        f"{max(job.cpus for job in jobs)} CPU, {max(job.gpus for job in jobs)} GPU, "
        f"{max(job.megabytes for job in jobs):,} MB, {max(job.minutes for job in jobs):g} min at most"
    )
    known = "" if measured is None else f"; about {measured:.0f} s by earlier runs"
    return f"  {len(jobs)} x {jobs[0].rule}: {asks}{known}"
