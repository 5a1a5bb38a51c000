"""Jobs of the workflow in forks of a process that has imported the large packages: most of a small job is imports.

A driver that `forked_snakemake` starts gives its scripts to `python_of_jobs`, and that gives them to this. A job has
the folder, environment, streams and exit status of a new process, it imports the project itself, and it is killed when
who waits for it is. What is sent signals or measured, and runs that are compared with these, start new processes.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import NoReturn

IMPORTED = (
    *("torch", "pandas", "pyarrow.parquet", "pydantic", "scipy.stats", "sklearn.linear_model"),
    *("matplotlib.pyplot", "seaborn", "jinja2", "safetensors.torch", "tokenizers", "transformers", "peft"),
)
# Read by libraries when they are imported; one thread is what a job has.
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@cache
def job_server() -> str:
    """Start the server, which ends with this process, and return its socket."""
    path = Path(tempfile.mkdtemp(prefix="jobs")) / "socket"
    command = [sys.executable, __file__, str(path)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, env={**os.environ, **THREADS})
    atexit.register(server.communicate)
    return str(path)


def _serve(path: str) -> None:
    """Import what jobs need, then run a job for each connection until standard input ends."""
    with socket.socket(socket.AF_UNIX) as listening, selectors.DefaultSelector() as events:
        for name in IMPORTED:
            importlib.import_module(name)
        gc.freeze()
        listening.bind(f"{path}.new")
        listening.listen()
        # A client that sees the socket can connect.
        Path(f"{path}.new").rename(path)
        events.register(sys.stdin, selectors.EVENT_READ)
        events.register(listening, selectors.EVENT_READ, lambda: _start_job(listening.accept()[0], events))
        # One event at a time, since it can make another void.
        while (event := events.select()[0][0]).fileobj is not sys.stdin:
            event.data()


def _start_job(connection: socket.socket, events: selectors.BaseSelector) -> None:
    """Fork a job, and note what is to be done when it ends or nobody waits for it any more."""
    size, streams, _, _ = socket.recv_fds(connection, 4, 3)
    with connection.makefile("rb") as message:
        job = message.read(int.from_bytes(size, "big"))
    if not job:
        # It was killed before it could say what it wants.
        connection.close()
        return
    child = os.fork()
    if not child:
        end_after(partial(_become_job, streams, **json.loads(job)))
    for stream in streams:
        os.close(stream)
    ended = os.pidfd_open(child)

    def finish() -> None:
        events.unregister(ended)
        os.close(ended)
        if connection in events.get_map():
            events.unregister(connection)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        # Jobs that were forked meanwhile hold the connection too, so that closing it alone would not end it.
        with connection, suppress(OSError):
            connection.sendall(str(status).encode())
            connection.shutdown(socket.SHUT_RDWR)

    def kill() -> None:
        events.unregister(connection)
        signal.pidfd_send_signal(ended, signal.SIGKILL)

    events.register(ended, selectors.EVENT_READ, finish)
    events.register(connection, selectors.EVENT_READ, kill)


def end_after(work: Callable[[], object]) -> NoReturn:
    """Do the work and end this process as Python does, but without taking down all modules that it has from the server.

    That takes 0.4 s, several times as long as a small job.
    """
    status: object = 1
    try:
        status = _exit_status(work)
        # What libraries registered, such as the removal of temporary folders; there is no public name for it.
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status if isinstance(status, int) else 1)


def _exit_status(work: Callable[[], object]) -> object:
    """Return what ``sys.exit`` was called with, and print what Python prints at the end of a program."""
    try:
        work()
    except SystemExit as ending:
        if isinstance(ending.code, str):
            sys.stderr.write(f"{ending.code}\n")
        return ending.code or 0
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _become_job(streams: list[int], script: str, folder: str, environment: dict[str, str]) -> None:
    """Do what ``python script`` does in a process of its own."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for place, stream in enumerate(streams):
        os.dup2(stream, place)
    sys.argv[:] = [script]
    own = environment.get("PYTHONPATH")
    sys.path[:1] = [str(Path(script).parent), *(own.split(os.pathsep) if own else [])]
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    _serve(sys.argv[1])
