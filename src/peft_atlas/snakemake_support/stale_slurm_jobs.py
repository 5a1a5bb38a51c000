"""Slurm jobs that a killed run left behind: they still write what the next run is about to write."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from peft_atlas.errors import AtlasError

# Job, working folder, comment; the plugin for Slurm sets the comment to `rule_` and what the job runs.
_FORMAT = "%A|%Z|%k"
_PLUGIN_MARK = "rule_"
_SECONDS = 60


@dataclass(frozen=True)
class Orphan:
    """A job in Slurm's queue: its number, and the rule and wildcards it runs."""

    number: str
    task: str


def find_orphans(folder: Path) -> list[Orphan]:
    """Return the queued and running Slurm jobs that an earlier run in this folder submitted.

    Call it while the folder is locked and nothing is submitted yet: then every such job is an orphan. Empty where
    there is no Slurm.

    Raises
    ------
    AtlasError
        If Slurm does not answer.
    """
    try:
        listed = _run(["squeue", "--me", "--noheader", "--states=PENDING,RUNNING,SUSPENDED,COMPLETING", "-o", _FORMAT])
    except FileNotFoundError:
        return []
    rows = (line.strip().split("|", maxsplit=2) for line in listed.splitlines() if line.count("|") >= 2)
    return [
        Orphan(number, comment.removeprefix(_PLUGIN_MARK))
        for number, place, comment in rows
        if comment.startswith(_PLUGIN_MARK) and Path(place).resolve() == folder.resolve()
    ]


def listed_jobs() -> set[str]:
    """Return the numbers of the user's jobs that Slurm lists in any state, the latest ended ones among them.

    Raises
    ------
    AtlasError
        If Slurm does not answer.
    """
    return set(_run(["squeue", "--me", "--noheader", "--array", "--states=all", "-o", "%i"]).split())


def cancel_orphans(folder: Path) -> list[Orphan]:
    """Cancel what `find_orphans` finds, wait until it is gone, and return it.

    Raises
    ------
    AtlasError
        If Slurm does not answer, or a job is still there after a minute.
    """
    orphans = find_orphans(folder)
    if not orphans:
        return []
    _run(["scancel", *(orphan.number for orphan in orphans)])
    end = time.monotonic() + _SECONDS
    while left := find_orphans(folder):
        if time.monotonic() > end:
            numbers = ", ".join(orphan.number for orphan in left)
            raise AtlasError(f"Slurm jobs {numbers} of an earlier run in {folder} do not end; allowed: none")
        time.sleep(0.5)
    return orphans


def _run(command: Sequence[str]) -> str:
    """Return what a Slurm command prints; one that hangs is given up."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        cause = " ".join(str(error.stderr or error).split())
        raise AtlasError(f"{command[0]}: {cause}; is the jobs' cluster up?") from None
    return done.stdout
