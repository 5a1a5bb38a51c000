"""Ctrl-C: the first one ends a run in order, the second does not break that off."""

from __future__ import annotations

import os
import signal
import sys
from itertools import count
from types import FrameType

_WAITING = "Stopping already: jobs are ending, and what is finished is kept. Ctrl-C once more breaks that off.\n"


def stop_in_order() -> None:
    """Have this process answer its second Ctrl-C by a line in place of an exception.

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
