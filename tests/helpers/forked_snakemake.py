"""Snakemake's command in a fork of a process that has imported it, which takes half of the time of a short call.

Everything else is as in a new process: arguments, folder, environment, output, exit status, and nothing of the project
is imported. Its jobs are forks too; see `job_server`. `tests/workflow/test_ways_to_run.py` and what is sent signals
start new processes all the same.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

from job_server import end_after, job_server

PYTHON_OF_JOBS = str(Path(__file__).with_name("python_of_jobs"))
# Installed packages that every call imports, some of them through Snakemake's plugins.
IMPORTED = (
    *("snakemake.cli", "snakemake.persistence", "snakemake.report.html_reporter", "snakemake_executor_plugin_slurm"),
    *("snakemake_interface_logger_plugins.registry", "nbformat", "pandas", "pydantic", "requests", "smart_open"),
)


def run_snakemake(words: Sequence[str], folder: Path, timeout: int) -> subprocess.CompletedProcess[str]:
    """Return what `snakemake` with these arguments did in a folder, its output and errors as one text."""
    server = _server()
    assert server.stdin
    assert server.stdout
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as output:
        call = {"words": list(words), "folder": str(folder), "output": output.name, "timeout": timeout}
        jobs = {"PEFT_ATLAS_TEST_JOBS": job_server(), "PEFT_ATLAS_TEST_PYTHON": sys.executable}
        server.stdin.write(json.dumps({**call, "environment": {**os.environ, **jobs}}) + "\n")
        server.stdin.flush()
        status = int(server.stdout.readline())
        return subprocess.CompletedProcess(["snakemake", *words], status, output.read())


@cache
def _server() -> subprocess.Popen[str]:
    """Start the process that is forked for each call; it ends with this one."""
    command = [sys.executable, __file__]
    server = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    atexit.register(server.communicate)
    return server


def _serve() -> None:
    """Import what every call needs, then fork for each line of standard input and write its exit status."""
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if not child:
            end_after(partial(_become_snakemake, **json.loads(line)))
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()


def _become_snakemake(words: list[str], folder: str, output: str, timeout: int, environment: dict[str, str]) -> None:
    """Do what ``python -m snakemake`` does in a process of its own."""
    signal.alarm(timeout)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for stream, name, flags in ((0, os.devnull, os.O_RDONLY), (1, output, os.O_WRONLY | os.O_APPEND)):
        os.dup2(os.open(name, flags), stream)
    os.dup2(1, 2)
    # Where ``-m`` puts the folder in which Python was started.
    sys.path[0] = folder
    sys.argv[1:] = words
    sys.executable = PYTHON_OF_JOBS
    runpy.run_module("snakemake", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _serve()
