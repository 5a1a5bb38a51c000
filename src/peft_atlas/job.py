"""What every job does around its work: a log file, and one line for a fault that the user can mend."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from peft_atlas.errors import AtlasError


@contextmanager
def job(log: str) -> Iterator[None]:
    """Log to a file and to standard error while a job's work runs.

    Raises
    ------
    SystemExit
        With status 1 and one line in the log, if the work raised an AtlasError. Any other exception is
        logged with its traceback and raised again.
    """
    line = logging.Formatter("%(levelname)s %(name)s: %(message)s")
    handlers: list[logging.Handler] = [logging.FileHandler(log, mode="w", encoding="utf-8"), logging.StreamHandler()]
    root = logging.getLogger("peft_atlas")
    root.setLevel(logging.INFO)
    handlers[1].setLevel(logging.ERROR)
    for handler in handlers:
        handler.setFormatter(line)
        root.addHandler(handler)
    try:
        yield
    except AtlasError as error:
        root.error("%s", error)
        sys.exit(1)
    except Exception:
        root.exception("unexpected fault")
        raise
    finally:
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()
