"""Handle Ctrl-C: the first press shuts a run down cleanly, and a second does not cut the shutdown short."""

from __future__ import annotations

import os
import signal
import sys
from itertools import count
from types import FrameType

_WAITING = "Already stopping: jobs are ending, and finished results are kept. Press Ctrl-C again to stop at once.\n"


def stop_in_order() -> None:
    """Answer the second Ctrl-C of this process with one line instead of an exception.

    The first one makes Snakemake end its jobs and unlock the folder, which takes a moment. An exception meanwhile would
    leave both undone behind a screen of tracebacks. From the third one on Python does what it always does.
    """
    usual, times = signal.getsignal(signal.SIGINT), count(1)
    if not callable(usual):
        return

    def answer(number: int, frame: FrameType | None) -> None:
        if next(times) == 2:
            # Not by print, whose lock the interrupted code may hold.
            os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, _WAITING.encode())
        else:
            usual(number, frame)

    signal.signal(signal.SIGINT, answer)
