"""The largest memory that this process took since it was last asked."""

from __future__ import annotations

import resource
from pathlib import Path

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def forget_peak() -> None:
    """Start the peak anew; where the system does not allow it, the peak stays that of the whole process."""
    try:
        _RESET.write_text("5", encoding="ascii")
    except OSError:
        return


def peak_megabytes() -> float:
    """Return the largest resident set since `forget_peak`, in MB of 10^6 bytes."""
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return kilobytes * 1024 / 1e6
