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
import select
import signal
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

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
    """Import what jobs need, then fork for each connection until standard input ends."""
    with socket.socket(socket.AF_UNIX) as listening:
        for name in IMPORTED:
            importlib.import_module(name)
        gc.freeze()
        # Nobody waits for the processes that wait for jobs.
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        listening.bind(f"{path}.new")
        listening.listen()
        # A client that sees the socket can connect.
        Path(f"{path}.new").rename(path)
        while listening in select.select([listening, sys.stdin], [], [])[0]:
            connection, _ = listening.accept()
            if not os.fork():
                listening.close()
                _wait_for_job(connection)
            connection.close()


def _wait_for_job(connection: socket.socket) -> None:
    """Fork the job, send its exit status, and kill it where nobody waits for it any more; does not return."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, streams, _, _ = socket.recv_fds(connection, 4, 3)
    with connection.makefile("rb") as message:
        job = json.loads(message.read(int.from_bytes(size, "big")))
    child = os.fork()
    if not child:
        connection.close()
        _become_job(streams, **job)
        raise SystemExit
    ended = os.pidfd_open(child)
    if ended not in select.select([connection, ended], [], [])[0]:
        os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    connection.sendall(str(status).encode())
    os._exit(0)


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
