"""Ctrl-C: the first press shuts a run down cleanly, the second prints a line, the third stops at once."""

import os
import signal
import subprocess
import sys

import pytest

from peft_atlas.snakemake_support.job_log import job

# What Snakemake does: at a KeyboardInterrupt it cleans up, here for as long as two more come.
PROGRAM = """
import os, signal
from peft_atlas.snakemake_support.interrupts import stop_in_order

# A process in the background of a script ignores Ctrl-C, and so do its children.
signal.signal(signal.SIGINT, signal.default_int_handler)
stop_in_order()
press = lambda: os.kill(os.getpid(), signal.SIGINT)
try:
    press()
    print("not interrupted")
except KeyboardInterrupt:
    press()
    print("cleaned up", flush=True)
    try:
        press()
        print("not stopped")
    except KeyboardInterrupt:
        print("stopped")
"""


def test_the_second_ctrl_c_is_one_line(root):
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, text=True, capture_output=True, check=True)
    assert done.stdout.split("\n") == ["cleaned up", "stopped", ""]
    assert done.stderr.startswith("Already stopping: ")
    assert done.stderr.count("\n") == 1


@pytest.fixture
def _heeding():
    """Have this process heed Ctrl-C, also where it runs in the background of a script."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_heeding")
def test_an_interrupted_job_is_one_line_in_its_log(tmp_path, capsys):
    log = tmp_path / "logs/train.log"
    with pytest.raises(SystemExit) as ended, job(str(log)):
        signal.raise_signal(signal.SIGINT)
    assert ended.value.code == 130
    assert log.read_text(encoding="utf-8") == "ERROR peft_atlas: interrupted\n"
    assert "Traceback" not in capsys.readouterr().err
