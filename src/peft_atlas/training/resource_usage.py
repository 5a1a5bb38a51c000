"""What a part of this process took: time, and the largest memory since it was last asked."""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def _gpu() -> Any:
    """Return torch's account of the GPU, None where this process uses none; torch is not imported for it."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_initialized() else None


def forget_peak() -> None:
    """Reset the peak; where the system does not allow it, the peak stays that of the whole process."""
    gpu = _gpu()
    if gpu is not None:
        gpu.reset_peak_memory_stats()
    try:
        _RESET.write_text("5", encoding="ascii")
    except OSError:
        return


def release_memory() -> None:
    """Give what is no longer used back to the system, so that it does not count in what comes next."""
    gc.collect()
    # Only glibc keeps freed pages and has this call.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def peak_megabytes() -> float:
    """Return the largest memory since `forget_peak`, in MB of 10^6 bytes.

    Of a process that uses a GPU, what torch had allocated there; else the resident set.
    """
    gpu = _gpu()
    if gpu is not None:
        return float(gpu.max_memory_allocated()) / 1e6
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return kilobytes * 1024 / 1e6


def _finish_on_gpu() -> None:
    """Wait for what a GPU has been given to do: the processor goes on without it."""
    gpu = _gpu()
    if gpu is not None:
        gpu.synchronize()


@dataclass
class Spent:
    """Elapsed seconds, processor seconds and `peak_megabytes`; 0 until the measured part has ended."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_megabytes: float = 0.0


@contextmanager
def timed() -> Iterator[Spent]:
    """Measure the time that the body of a ``with`` takes, and leave the peak of memory alone."""
    spent = Spent()
    _finish_on_gpu()
    start, cpu_start = time.perf_counter(), time.process_time()
    yield spent
    _finish_on_gpu()
    spent.seconds, spent.cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start


@contextmanager
def measured() -> Iterator[Spent]:
    """Measure time and memory that the body of a ``with`` takes."""
    forget_peak()
    with timed() as spent:
        yield spent
    spent.peak_megabytes = peak_megabytes()
