"""Files that seem to come from the future, because the clock was set back since they were made."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

# Clocks of a cluster's nodes and of its file server may differ by this much without harm.
_TOLERANCE_SECONDS = 60
_STEP_NANOSECONDS = 1000


def bring_to_the_present(files: Iterable[Path], now_ns: int | None = None) -> int:
    """Give files whose modification time lies ahead of the clock a time just before now; return how many there were.

    What is made next would look older than they, so that Snakemake would refuse it, or not see that it must be made
    again. Their order among each other is kept, since that is what decides what is out of date.

    Parameters
    ----------
    files
        Files to look at; one that vanishes meanwhile, or whose time cannot be set, is passed over.
    now_ns
        The present, nanoseconds since the epoch; the clock where None.
    """
    now = time.time_ns() if now_ns is None else now_ns
    ahead: dict[Path, int] = {}
    for file in files:
        try:
            made = file.stat().st_mtime_ns
        except FileNotFoundError:
            continue
        if made > now + _TOLERANCE_SECONDS * 10**9:
            ahead[file] = made
    ranks = {made: rank for rank, made in enumerate(sorted(set(ahead.values()), reverse=True))}
    for file, made in ahead.items():
        present = now - ranks[made] * _STEP_NANOSECONDS
        # In a checkout that is read-only or someone else's; Snakemake knows small files by content as well.
        with suppress(OSError):
            os.utime(file, ns=(present, present))
    return len(ahead)
