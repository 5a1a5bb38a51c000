"""What every job does around its work: a log file, a lock, and one line for a fault that the user can fix."""

from __future__ import annotations

import fcntl
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peft_atlas.errors import AtlasError

# What a shell gives for a program that SIGINT ended.
_INTERRUPTED = 130


@contextmanager
def job(log: str) -> Iterator[None]:
    """Log to a file and to standard error while a job's work runs.

    Where a killed run left a process that still does the same job, this one waits for its end, so that two never
    write one output. Their lock is a hidden file next to the log.

    Raises
    ------
    SystemExit
        With one line in the log, and status 1 if the work raised an AtlasError or a GPU had no room for it, 130 if it
        was interrupted. Any other exception is logged with its traceback and raised again.
    """
    root = logging.getLogger("peft_atlas")
    root.setLevel(logging.INFO)
    with _lock(Path(log)):
        handlers = _handlers(log)
        for handler in handlers:
            root.addHandler(handler)
        try:
            yield
        except AtlasError as error:
            root.error("%s", error)
            if error.__cause__ is not None:
                root.info("which comes of", exc_info=error.__cause__)
            sys.exit(1)
        except KeyboardInterrupt:
            root.error("interrupted")
            sys.exit(_INTERRUPTED)
        except Exception as error:
            if _lacks_gpu_memory(error):
                root.error("GPU: %s; allowed: fewer jobs at once, as --resources gpu=1", str(error).splitlines()[0])
                sys.exit(1)
            root.exception("unexpected fault")
            raise
        finally:
            for handler in handlers:
                root.removeHandler(handler)
                handler.close()


def _lacks_gpu_memory(error: Exception) -> bool:
    """Return whether an error is torch's that a GPU has no room left, without an import of torch.

    There are two kinds, one by torch's allocator and one by CUDA's own, as where other processes fill the GPU.
    """
    return isinstance(error, RuntimeError) and "CUDA" in str(error) and "out of memory" in str(error)


@contextmanager
def _lock(log: Path) -> Iterator[None]:
    """Hold a job's lock; the system takes it back from a process that dies."""
    # Not the log itself: Snakemake removes that before each job, and a new file would be a new lock.
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.with_name(f".{log.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _handlers(log: str) -> list[logging.Handler]:
    """Return the handlers of a job's log file and of standard error, where errors go."""
    to_file = logging.FileHandler(log, mode="w", encoding="utf-8")
    to_screen = logging.StreamHandler()
    to_screen.setLevel(logging.ERROR)
    line = logging.Formatter("%(levelname)s %(name)s: %(message)s")
    for handler in (to_file, to_screen):
        handler.setFormatter(line)
    return [to_file, to_screen]
