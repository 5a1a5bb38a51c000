"""The smallest study on a real Slurm: what jobs ask for, that one GPU holds one job, the same bytes, and its faults."""

import itertools
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from peft_atlas.errors import AtlasError
from peft_atlas.snakemake_support.stale_slurm_jobs import Orphan, cancel_orphans, find_orphans

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

GPU_RULES = {"train_baseline", "train_sweep", "train_tuned", "check_notebook"}
# Made by one short job.
TUNED = "results/runs/notebook/tuned/held_out.runs.parquet"
CPU_RULES = {"count_parameters", "check_rounding"}


def requests(project, words, config):
    """Return what the rules say of each submitted rule: CPUs, MB, minutes and GPUs, by a dry run."""
    # A job with a message does not print its resources, so the messages go.
    for path in (project.folder / "workflow/rules").glob("*.smk"):
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r" +message:\n.*\n", "", text), encoding="utf-8")
    done = project.snakemake("--dry-run", "--forceall", *words, config=config)
    assert done.returncode == 0, done.stdout
    found = {}
    for rule, body in re.findall(r"^rule (\w+):\n((?: {4}.*\n)+)", done.stdout, flags=re.MULTILINE):
        if "runtime=" not in body:
            continue  # A target, which asks for nothing.
        numbers = {name: int(value) for name, value in re.findall(r"\b(threads: |mem_mb=|runtime=|gpu=)(\d+)", body)}
        asked = (numbers.get("threads: ", 1), numbers["mem_mb="], numbers["runtime="], numbers.get("gpu=", 0))
        assert found.setdefault(rule, asked) == asked
    return found


def wait_for(condition, seconds=60):
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never held"
        time.sleep(0.2)


def test_each_job_asked_for_what_its_rule_says(on_slurm, cluster, slurm_words, tmp_path):
    jobs = cluster.jobs(on_slurm.project.folder)
    said = requests(on_slurm.project.copy(tmp_path / "copy"), slurm_words, on_slurm.config)
    asked = {job.rule: (job.cpus, job.megabytes, job.minutes, job.gpus) for job in jobs}
    assert set(asked) == GPU_RULES | CPU_RULES
    assert asked == {rule: said[rule] for rule in asked}
    assert {job.state for job in jobs} == {"COMPLETED"}


def test_the_documented_command_runs_letter_by_letter(cluster, fresh, root):
    command = "snakemake --workflow-profile slurm"
    assert f"`{command}`" in (root / "docs/how-to.md").read_text(encoding="utf-8")
    # A light target: what a job asks for and gets is tested on the whole study.
    words = [sys.executable, "-m", *command.split(), "--", "results/memory.parquet"]
    done = subprocess.run(words, cwd=fresh.folder, text=True, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (fresh.folder / "results/memory.parquet").is_file()


def test_gpu_jobs_got_the_gpu_and_cpu_jobs_none(on_slurm, cluster):
    jobs = cluster.jobs(on_slurm.project.folder)
    assert {job.rule for job in jobs if job.gpus == 1} == GPU_RULES
    assert {job.rule for job in jobs if job.gpus == 0} == CPU_RULES
    assert {job.partition for job in jobs if job.gpus} == {"gpu"}
    assert {job.partition for job in jobs if not job.gpus} == {"cpu"}


def test_no_two_jobs_shared_the_gpu(on_slurm, cluster):
    jobs = sorted((job for job in cluster.jobs(on_slurm.project.folder) if job.gpus), key=lambda job: job.start)
    assert len(jobs) == 5
    for earlier, later in itertools.pairwise(jobs):
        assert earlier.end <= later.start
    # Four were in the queue at once, so it was Slurm that kept them apart.
    assert sum(job.submit < jobs[0].end for job in jobs) == 4


def test_the_limits_are_printed_before_the_first_submission(on_slurm):
    before, _ = on_slurm.printed.split("has been submitted", maxsplit=1)
    assert "Estimate: 7 jobs to submit" in before
    assert "2,000 MB in the largest job" in before


def test_every_data_file_equals_the_local_run(on_slurm, undisturbed):
    there, here = on_slurm.project.data_files(), undisturbed.data_files()
    assert len(here) > 15
    assert there == here


def test_a_cancelled_job_is_sent_again_with_more_memory(
    half_done, undisturbed, cluster, slurm_words, tiny, tiny_tables
):
    driver = half_done.start(*tiny_tables, *slurm_words, config=tiny)
    first = cluster.wait(half_done.folder, "train_sweep", "RUNNING")
    cluster.run("scancel", first.number)
    assert driver.wait(timeout=200) == 0, half_done.printed()
    jobs = cluster.jobs(half_done.folder)
    assert [(job.rule, job.state, job.megabytes) for job in jobs] == [
        ("train_sweep", "CANCELLED", 1000),
        ("train_sweep", "COMPLETED", 2000),
    ]
    assert half_done.data_files() == undisturbed.data_files()
    assert half_done.unfinished() == []


def test_the_job_of_a_killed_driver_never_writes_while_its_successor_runs(
    half_done, undisturbed, cluster, slurm_words, tiny, tiny_tables
):
    driver = half_done.start(*tiny_tables, *slurm_words, config=tiny)
    orphan = cluster.wait(half_done.folder, "train_sweep", "RUNNING")
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait(timeout=20)
    # It lives on; held where it is, it cannot end by itself before the next run looks.
    cluster.run("scontrol", "suspend", orphan.number)
    half_done.unlock()
    done = half_done.snakemake(*tiny_tables, *slurm_words, config=tiny, timeout=200)
    assert done.returncode == 0, done.stdout
    assert f"Cancelled Slurm job {orphan.number} of a killed run: train_sweep" in done.stdout
    first, second = cluster.jobs(half_done.folder)
    assert (first.state, second.state) == ("CANCELLED", "COMPLETED")
    assert first.end <= second.start
    assert half_done.data_files() == undisturbed.data_files()
    assert half_done.unfinished() == []


def test_a_run_outlives_its_controller(fresh, own_cluster, slurm_words, tiny):
    driver = fresh.start(TUNED, *slurm_words, config=tiny)
    job = own_cluster.wait(fresh.folder, "train_tuned", "RUNNING")
    # Held where it is, so that it is not over before the driver has asked in vain.
    own_cluster.run("scontrol", "suspend", job.number)
    own_cluster.control("stop")
    wait_for(lambda: "Slurm does not answer" in fresh.printed())
    own_cluster.control("start")
    own_cluster.run("scontrol", "resume", job.number)
    assert driver.wait(timeout=100) == 0, fresh.printed()
    assert [job.state for job in own_cluster.jobs(fresh.folder)] == ["COMPLETED"]
    assert fresh.printed().count("Slurm does not answer") == 1
    assert (fresh.folder / TUNED).is_file()


def test_a_job_that_slurm_has_forgotten_is_sent_again(fresh, own_cluster, slurm_words, tiny):
    driver = fresh.start(TUNED, *slurm_words, config=tiny)
    job = own_cluster.wait(fresh.folder, "train_tuned", "RUNNING")
    own_cluster.run("scontrol", "suspend", job.number)
    own_cluster.control("stop")
    own_cluster.control("start-new")
    assert driver.wait(timeout=100) == 0, fresh.printed()
    assert f"Slurm no longer lists job {job.number} (train_tuned)" in fresh.printed()
    assert [job.state for job in own_cluster.jobs(fresh.folder)] == ["COMPLETED"]
    assert (fresh.folder / TUNED).is_file()


def test_only_this_folders_jobs_of_snakemake_are_orphans(cluster, tmp_path):
    here, there = tmp_path / "study", tmp_path / "other"

    def submit(folder, *words):
        folder.mkdir(exist_ok=True)
        command = ("sbatch", "--parsable", "--hold", "-D", str(folder), "-o", "/dev/null", *words, "--wrap", "true")
        return cluster.run(*command).strip()

    orphan = submit(here, "--comment", "rule_train_wildcards_a|b")
    # The driver itself may be a job of the same folder.
    kept = [submit(here), submit(there, "--comment", "rule_train")]
    assert cancel_orphans(here) == [Orphan(orphan, "train_wildcards_a|b")]
    assert find_orphans(here) == []
    queued = cluster.run("squeue", "--noheader", "-o", "%A").split()
    assert set(kept) <= set(queued)
    assert orphan not in queued
    cluster.run("scancel", *kept)


def test_a_cluster_that_does_not_answer_is_named(cluster, tmp_path, monkeypatch):
    (tmp_path / "none.conf").write_text("no configuration\n", encoding="utf-8")
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "none.conf"))
    with pytest.raises(AtlasError, match="squeue: ") as caught:
        find_orphans(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_second_cluster_disturbs_nothing_and_finds_its_own_node(cluster, second_cluster):
    # As inside a job, where the plugin has dropped what names the configuration.
    environment = {name: value for name, value in second_cluster.items() if name != "SLURM_CONF"}
    words = ("srun", "--partition", "cpu", "printenv", "SLURM_JOB_ID")
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.returncode) == ("1\n", 0), done.stderr
    assert cluster.run("sinfo", "--noheader", "--partition", "cpu", "-o", "%T").strip() in {"idle", "mixed"}
