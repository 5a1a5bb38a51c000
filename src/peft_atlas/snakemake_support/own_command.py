"""What this Snakemake command, called again with another option, says of the workflow."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

_PENDING = "update pending"
# Tells the jobs of a run, which have commands of their own, what the run was asked for.
_ASKED = "PEFT_ATLAS_ASKED_FOR"


def is_asked_for(target: str) -> bool:
    """Return whether the command that this run began with names a target, in the run's local jobs as well."""
    return target in os.environ.setdefault(_ASKED, " ".join(sys.argv[1:])).split()


def unfinished_outputs(since: float) -> list[str]:
    """Return the outputs that a failed run did not bring up to date, by ``--summary`` of the same command.

    Parameters
    ----------
    since
        When the run started, seconds since the epoch. What was made later is up to date even where the command
        line forces it to be made again.
    """
    # First, since after a -- of the command line they would be targets, and this another run.
    command = [sys.executable, "-m", "snakemake", "--summary", "--nolock", *sys.argv[1:]]
    done = subprocess.run(command, capture_output=True, text=True)
    rows = csv.DictReader(done.stdout.splitlines(), delimiter="\t")
    pending = [row["output_file"] for row in rows if row.get("plan") == _PENDING]
    return [name for name in pending if not _is_newer(Path(name), since)]


def _is_newer(file: Path, since: float) -> bool:
    return file.is_file() and file.stat().st_mtime >= since
