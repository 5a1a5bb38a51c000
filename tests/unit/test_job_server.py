"""The stand-in for Python that the tests' jobs start with: as a new process, by a fork of the server."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from forked_snakemake import PYTHON_OF_JOBS
from job_server import job_server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server():
    """Return the socket of a server that is ready."""
    path, end = job_server(), time.monotonic() + 60
    while not Path(path).exists():
        assert time.monotonic() < end, "the server never listened"
        time.sleep(0.1)
    return path


def start(server, folder, program, **environment):
    """Start a script of a rule in a folder."""
    script = folder / ".snakemake/scripts/job.py"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(program, encoding="utf-8")
    given = {"PEFT_ATLAS_TEST_JOBS": server, "PEFT_ATLAS_TEST_PYTHON": sys.executable, "PATH": os.environ["PATH"]}
    return subprocess.Popen(
        [PYTHON_OF_JOBS, str(script)], cwd=folder, env=given | environment, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


FACTS = """
import os, sys
print(os.getcwd(), os.environ["OWN"], "torch" in sys.modules, "peft_atlas" in sys.modules, sys.path[:2], sys.argv)
print("to errors", file=sys.stderr)
sys.exit(3)
"""


def test_a_job_is_as_in_a_process_of_its_own(server, tmp_path):
    library = str(tmp_path / "library")
    job = start(server, tmp_path, FACTS, OWN="a value", PYTHONPATH=library)
    printed, errors = job.communicate(timeout=30)
    script = tmp_path / ".snakemake/scripts/job.py"
    # That torch is there shows that the server ran it.
    assert printed == f"{tmp_path} a value True False {[str(script.parent), library]} {[str(script)]}\n"
    assert (errors, job.returncode) == ("to errors\n", 3)


def test_a_fault_is_printed_and_a_signal_is_passed_on(server, tmp_path):
    job = start(server, tmp_path, "raise ValueError('what is wrong')")
    _, errors = job.communicate(timeout=30)
    assert errors.endswith("ValueError: what is wrong\n")
    assert job.returncode == 1
    job = start(server, tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGTERM)")
    job.communicate(timeout=30)
    assert job.returncode == -signal.SIGTERM


def test_a_job_that_nobody_waits_for_is_killed(server, tmp_path):
    job = start(server, tmp_path, "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(60)")
    number = int(job.stdout.readline())
    job.kill()
    end = time.monotonic() + 10
    while Path(f"/proc/{number}").exists():
        assert time.monotonic() < end, "the job goes on"
        time.sleep(0.05)


def test_a_job_that_is_killed_before_it_says_what_it_wants_disturbs_no_other(server, tmp_path):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(server)
    job = start(server, tmp_path, "print('done')")
    assert job.communicate(timeout=30) == ("done\n", "")


def test_everything_else_is_a_new_process(tmp_path):
    own = {"PEFT_ATLAS_TEST_JOBS": str(tmp_path / "none"), "PEFT_ATLAS_TEST_PYTHON": sys.executable}
    words = [PYTHON_OF_JOBS, "-c", "import sys; print(sys.executable, 'torch' in sys.modules)"]
    done = subprocess.run(words, env=os.environ | own, text=True, capture_output=True, check=True)
    assert done.stdout == f"{sys.executable} False\n"
