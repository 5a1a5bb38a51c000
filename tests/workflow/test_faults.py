"""Faults that a long study meets: each ends with the bytes of an undisturbed run, and with no half file."""

import itertools
import os
import shutil
import signal
import subprocess
import time

import psutil
import pytest

from peft_atlas.tables.contract import read_table
from peft_atlas.tables.schemas import RUNS

pytestmark = pytest.mark.slow

TABLES = tuple(f"results/{name}.parquet" for name in ("runs", "curves", "summary", "contrasts"))
TINY = {"studies": ["notebook"], "seeds": 2}
SWEEP = "results/runs/notebook/sweep/held_out/block=0.runs.parquet"


def recover(project):
    """Run the study to its end, as a user does after a fault."""
    done = project.snakemake(*TABLES, config=TINY)
    assert done.returncode == 0, done.stdout


def assert_same(project, undisturbed):
    assert project.data_files() == undisturbed.data_files()
    assert project.unfinished() == []


def wait_for(path, driver, seconds=120):
    """Wait until a file appears while a driver runs."""
    end = time.monotonic() + seconds
    while not path.exists():
        assert driver.poll() is None, "the run ended before it got there"
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.005)


def kill(driver, *, whole):
    """Kill a driver alone, or with all its jobs, as when the power fails."""
    if whole:
        os.killpg(driver.pid, signal.SIGKILL)
    else:
        driver.kill()
    driver.wait(timeout=30)


@pytest.mark.parametrize(
    ("log", "whole"),
    [("train_sweep/block=0.log", True), ("train_sweep/block=0.log", False), ("combine_runs.log", True)],
    ids=["in training, with its jobs", "in training, its job lives on", "in combine"],
)
def test_a_killed_driver(half_done, undisturbed, log, whole):
    driver = half_done.start(*TABLES, config=TINY)
    wait_for(half_done.folder / "logs" / log, driver)
    kill(driver, whole=whole)
    assert "LockException" in half_done.snakemake(*TABLES, config=TINY).stdout
    half_done.unlock()
    recover(half_done)
    assert_same(half_done, undisturbed)


def test_a_driver_killed_in_the_report(smoked, tmp_path):
    project = smoked.copy(tmp_path / "project")
    for name in ("results/report.html", "results/report.md", "logs/render_report.log"):
        (project.folder / name).unlink()
    driver = project.start()
    wait_for(project.folder / "logs/render_report.log", driver)
    kill(driver, whole=True)
    project.unlock()
    done = project.snakemake()
    assert done.returncode == 0, done.stdout
    for name in ("results/report.html", "results/report.md"):
        # The same but for the costs, which no job but the report took again.
        assert (project.folder / name).read_bytes() == (smoked.folder / name).read_bytes()
    assert_same(project, smoked)


def test_ctrl_c_twice(half_done, undisturbed):
    driver = half_done.start(*TABLES, config=TINY)
    wait_for(half_done.folder / "logs/train_sweep/block=0.log", driver)
    for _ in range(2):
        # As a terminal does, to the driver and all its jobs.
        os.killpg(driver.pid, signal.SIGINT)
        time.sleep(0.05)
    assert driver.wait(timeout=60) == 1
    assert "Traceback" not in half_done.printed()
    assert half_done.unfinished() == []
    # The folder is not locked.
    recover(half_done)
    assert_same(half_done, undisturbed)


def test_a_killed_job(half_done, undisturbed):
    driver = half_done.start(*TABLES, config=TINY)
    wait_for(half_done.folder / "logs/train_sweep/block=0.log", driver)
    children = psutil.Process(driver.pid).children(recursive=True)
    jobs = [child for child in children if "run_step" in str(child.cmdline())]
    assert jobs
    for child in jobs:
        child.kill()
    assert driver.wait(timeout=60) != 0
    assert "logs/train_sweep/block=0.log" in half_done.printed()
    assert not (half_done.folder / SWEEP).exists()
    recover(half_done)
    assert_same(half_done, undisturbed)


def test_out_of_memory_is_tried_again_with_more(half_done, undisturbed):
    # The limit is what the job asked for; the work needs more than the first request and less than the second.
    limit = (
        "import resource\n"
        "allowed = snakemake.resources.mem_mb * 10**6\n"
        "if snakemake.rule.startswith('train_'):\n"
        "    resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))\n"
        "    needed = bytes(1200 * 10**6)\n"
        "    del needed\n"
    )
    half_done.edit("workflow/scripts/run_step.py", "\nrun_step(", f"\n{limit}\nrun_step(")
    done = half_done.snakemake(*TABLES, "--retries", "1", "--rerun-triggers", "mtime", config=TINY)
    assert done.returncode == 0, done.stdout
    assert "MemoryError" in done.stdout
    assert "Trying to restart job" in done.stdout
    assert_same(half_done, undisturbed)


def test_a_full_disk(half_done, undisturbed):
    # A limit on the size of a file makes the same call fail in the same way, and needs no rights.
    done = half_done.snakemake(*TABLES, config=TINY, prefix=("bash", "-c", 'ulimit -f 14; exec "$@"', "-"))
    assert done.returncode != 0
    assert "held_out/block=0.runs.parquet: not written: File too large" in done.stdout
    assert "Traceback" not in done.stdout
    assert not (half_done.folder / SWEEP).exists()
    assert half_done.unfinished() == []
    recover(half_done)
    assert_same(half_done, undisturbed)


def test_read_only_results(half_done, undisturbed):
    folder = (half_done.folder / SWEEP).parent
    # Something to keep the folder from being removed as empty.
    (folder / "note.txt").touch()
    folder.chmod(0o555)
    # root may write anywhere, unless it gives that right up.
    giving_up = ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override") if os.geteuid() == 0 else ()
    done = half_done.snakemake(*TABLES, config=TINY, prefix=giving_up)
    folder.chmod(0o755)
    assert done.returncode != 0
    assert "block=0.runs.parquet: not written: Permission denied" in done.stdout
    assert "Traceback" not in done.stdout
    recover(half_done)
    assert_same(half_done, undisturbed)


def test_an_output_that_is_truncated_or_another_file(undisturbed, tmp_path):
    project = undisturbed.copy(tmp_path / "project")
    part = project.folder / SWEEP
    part.write_bytes(part.read_bytes()[:-20])
    truncated = project.snakemake(*TABLES, config=TINY)
    assert truncated.returncode != 0
    assert f"{SWEEP}: not a complete Parquet file" in truncated.stdout
    shutil.copyfile(project.folder / "results/runs/notebook/baseline/held_out/block=0.runs.parquet", part)
    replaced = project.snakemake(*TABLES, config=TINY)
    assert replaced.returncode != 0
    assert f"{SWEEP} and results/runs/notebook/baseline/held_out/block=0.runs.parquet" in replaced.stdout
    part.unlink()
    recover(project)
    assert_same(project, undisturbed)


def test_two_drivers_at_once(half_done, undisturbed):
    first = half_done.start(*TABLES, config=TINY)
    wait_for(half_done.folder / "logs/train_sweep/block=0.log", first)
    # Held where it is, it cannot end before the second one comes.
    os.killpg(first.pid, signal.SIGSTOP)
    second = half_done.snakemake(*TABLES, config=TINY)
    os.killpg(first.pid, signal.SIGCONT)
    assert second.returncode != 0
    assert "LockException" in second.stdout
    assert first.wait(timeout=120) == 0, half_done.printed()
    assert_same(half_done, undisturbed)


def test_a_clock_set_back(half_done, undisturbed):
    # To the clock that was set back, all that the study has made so far was made tomorrow.
    tomorrow = time.time() + 86_400
    for path in (half_done.folder / "results").rglob("*.*"):
        os.utime(path, (tomorrow, tomorrow))

    def times():
        folders = ("results", "data", "src", "workflow")
        files = [path for folder in folders for path in (half_done.folder / folder).rglob("*.*")]
        return {path: path.stat().st_mtime_ns for path in files if "__pycache__" not in path.parts}

    before = times()
    dry = half_done.snakemake("--dry-run", *TABLES, config=TINY)
    assert dry.returncode == 0, dry.stdout
    assert times() == before
    done = half_done.snakemake(*TABLES, config=TINY)
    assert done.returncode == 0, done.stdout
    assert "is the clock right?" in done.stdout
    assert "train_baseline" not in done.stdout
    assert_same(half_done, undisturbed)


def test_a_member_that_diverges_leaves_the_others_alone(half_done, undisturbed):
    settings = {**TINY, "notebook": {"alphas": [1, 4, 1e6]}}
    done = half_done.snakemake("results/runs.parquet", config=settings)
    assert done.returncode == 0, done.stdout
    runs = read_table(RUNS, half_done.folder / "results/runs.parquet")
    bad = runs["alpha"] == 1e6
    assert set(runs[bad]["status"]) == {"diverged"}
    assert runs[bad]["test_accuracy"].isna().all()
    expected = read_table(RUNS, undisturbed.folder / "results/runs.parquet")
    assert runs[~bad].reset_index(drop=True).equals(expected)


def test_a_figure_that_fails_costs_nothing_else(smoked, tmp_path):
    project = smoked.copy(tmp_path / "project")
    module = "src/peft_atlas/studies/notebook/figures/learning_curves.py"
    project.edit(module, "label_panels(axes)", "raise ValueError('made to fail')")
    (project.folder / "results/report.html").unlink()
    done = project.snakemake()
    assert done.returncode != 0
    assert "made to fail" in done.stdout
    assert "Incomplete report: results/incomplete_report.html" in done.stdout
    for ending in ("html", "md"):
        page = (project.folder / f"results/incomplete_report.{ending}").read_text(encoding="utf-8")
        assert "the following could not be produced: figures/learning_curves." in page
    assert not (project.folder / "results/report.html").exists()
    spared = {n: d for n, d in smoked.data_files().items() if not n.startswith("figures/learning_curves.")}
    assert project.data_files() == spared
    project.edit(module, "raise ValueError('made to fail')", "label_panels(axes)")
    done = project.snakemake()
    assert done.returncode == 0, done.stdout
    assert not (project.folder / "results/incomplete_report.html").exists()
    assert_same(project, smoked)


def test_a_second_process_waits_for_the_first_to_end_the_same_job(tmp_path, root):
    program = (
        "import sys, time\nfrom peft_atlas.snakemake_support.job_log import job\n"
        "with job(sys.argv[1]):\n    print('in', time.monotonic(), flush=True)\n    time.sleep(0.5)\n"
        "    print('out', time.monotonic(), flush=True)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    command = ["python", "-c", program, str(tmp_path / "job.log")]
    running = [subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE) for _ in range(3)]
    spans = sorted([float(word) for word in process.communicate(timeout=60)[0].split()[1::2]] for process in running)
    assert len(spans) == 3
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
