"""What a run asks of a machine or a cluster, told before anything is submitted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peft_atlas.errors import AtlasError
from peft_atlas.snakemake_support.costs import read_costs


@dataclass(frozen=True)
class Request:
    """What one job asks for: CPUs, GPUs, memory in MB and run time in minutes; ``light`` runs where Snakemake runs."""

    rule: str
    cpus: int
    gpus: int
    megabytes: int
    minutes: float
    light: bool


def request_of(rule: str, threads: int, resources: Mapping[str, Any], *, light: bool) -> Request:
    """Return a job's request from its threads and resources.

    GPUs are counted from ``gpu`` or, where a site asks by name, from ``gres`` as ``gpu:1`` or ``gpu:a100:1``. A
    resource that is not known before the job starts counts as 0.
    """
    gres = str(resources.get("gres") or "")
    count = gres.rpartition(":")[2]
    by_name = int(count) if gres.startswith("gpu:") and count.isdecimal() else 0
    gpus = _number(resources.get("gpu")) or by_name
    megabytes, minutes = _number(resources.get("mem_mb")), _number(resources.get("runtime"))
    return Request(rule, threads, gpus, megabytes, minutes, light)


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def describe(requests: Sequence[Request], seconds: Mapping[str, float]) -> str:
    """Return the estimate of a run as text: a line in all, then a line a rule that is not light.

    Parameters
    ----------
    requests
        One a job.
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
    """Return what the jobs of one rule ask for; of jobs that differ, the most."""
    asks = (
        f"{max(job.cpus for job in jobs)} CPU, {max(job.gpus for job in jobs)} GPU, "
        f"{max(job.megabytes for job in jobs):,} MB, {max(job.minutes for job in jobs):g} min at most"
    )
    known = "" if measured is None else f"; about {measured:.0f} s by earlier runs"
    return f"  {len(jobs)} x {jobs[0].rule}: {asks}{known}"


def earlier_seconds(benchmarks: Iterable[Path]) -> dict[str, float]:
    """Return the mean wall time of a job by rule, from the benchmark files that earlier runs left."""
    times: dict[str, list[float]] = {}
    for path in benchmarks:
        try:
            rows = read_costs([path])
        except (AtlasError, OSError, ValueError):
            continue  # A file that a killed job left half written tells nothing, and nothing rests on it.
        for row in rows:
            if row["wall_seconds"] is not None:
                times.setdefault(row["rule"], []).append(row["wall_seconds"])
    return {rule: sum(values) / len(values) for rule, values in times.items()}
