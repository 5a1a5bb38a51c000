"""The logger plugin: what jobs ask for, how long they take, the time left, and the lines on the terminal."""

import csv
import heapq
import io
import logging
import random
import statistics
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_atlas import LogHandler, LogHandlerSettings, handler
from snakemake_logger_plugin_atlas.durations import Durations, earlier_durations, reference_durations
from snakemake_logger_plugin_atlas.estimate import describe, request_of
from snakemake_logger_plugin_atlas.time_left import Chain, Job, TimeLeft, in_words

# When the jobs of a default study on two cores started and ended.
DEFAULT_RUN = Path(__file__).parents[1] / "helpers/default_run.csv"


def test_the_estimate_adds_what_jobs_ask_for():
    jobs = [
        *[request_of("train", 2, {"mem_mb": 1000, "runtime": 30, "gpu": 1})] * 3,
        request_of("retrain", 1, {"mem_mb": 2500, "runtime": 60, "gres": "gpu:a100:2"}),
        request_of("draw", 1, {"mem_mb": 9000, "runtime": 600, "light": 1}),
        request_of("late", 1, {"mem_mb": "<TBD>", "runtime": 0}),
    ]
    text = describe(jobs, {"train": 12.4}).splitlines()
    # 3 x 2 CPUs x 30 min + 60 min; 3 x 1 GPU x 30 min + 2 GPUs x 60 min.
    assert text[0] == (
        "Estimate: 5 jobs to submit and 1 light ones here; at most 4.0 CPU hours and 3.5 GPU hours; "
        "2,500 MB in the largest job."
    )
    assert text[1] == "  3 x train: 2 CPU, 1 GPU, 1,000 MB, 30 min at most; about 12 s by earlier runs"
    assert [line.split(":")[0] for line in text[1:]] == ["  3 x train", "  1 x retrain", "  1 x late"]


def test_earlier_durations_are_read_by_job_and_half_files_are_left_out(tmp_path):
    header = "s\th:m:s\tmax_rss\tcpu_time\n"
    files = {
        "train/1.tsv": f"{header}2\t0\t1\t1\n4\t0\t1\t1\n",
        "train/2.tsv": f"{header}5\t0\tNA\tNA\n",
        "train/3.tsv": "",
        "train/4.tsv": f"{header}NA\t0\t1\t1\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = earlier_durations(tmp_path.glob("*/*.tsv"))
    assert found.known == {"train": {"1": 3.0, "2": 5.0}}
    assert found.of_rules() == {"train": 4.0}


def test_a_duration_is_the_jobs_then_its_rules_then_typical():
    known = Durations({"train": {"a": 10.0, "b": 30.0}, "draw": {"all": 2.0}, "check": {"all": 4.0}})
    assert known.of_job("train", "b") == 30.0
    assert known.of_job("train", "new") == 20.0
    # What has started is no longer ahead.
    assert known.of_rest("train", {"b"}) == 10.0
    assert known.of_rest("train", {"a", "b"}) == 20.0
    assert known.of_job("unknown", "all") == 4.0
    assert (known | Durations({"train": {"a": 1.0}})).known["train"] == {"a": 1.0}


def test_the_reference_knows_every_rule_of_the_default_study(root):
    """A rule that is renamed must be renamed in the table, too."""
    text = "".join(path.read_text(encoding="utf-8") for path in (root / "workflow/rules").glob("*.smk"))
    rules = {rule for rule in reference_durations().known if not rule.startswith("draw_")} - {"all"}
    assert len(rules) > 20
    assert [rule for rule in sorted(rules) if f" {rule}" not in text and rule not in {"figures", "report"}] == []


def test_time_left_is_the_work_left_over_jobs_at_once():
    left = TimeLeft({"train": 4, "draw": 1}, Durations({"train": {"x": 10.0}, "draw": {"all": 4.0}}), cores=2)
    assert left.seconds(0.0) == pytest.approx((4 * 10 + 4) / 2)
    left.start(1, Job("train", "a", 0.0))
    left.start(2, Job("train", "b", 0.0))
    assert left.seconds(5.0) == pytest.approx((5 + 5 + 2 * 10 + 4) / 2)
    assert left.finish(1, 10.0) == 10.0
    left.finish(2, 10.0)
    assert left.seconds(10.0) == pytest.approx((2 * 10 + 4) / 2)
    left.start(3, Job("train", "c", 10.0))
    left.start(4, Job("train", "d", 10.0))
    left.fail(4)
    # Job 4 is tried again from its start.
    assert left.seconds(16.0) == pytest.approx((4 + 10 + 4) / 2)


def test_a_slower_machine_is_noticed_also_in_rules_that_have_not_run():
    left = TimeLeft({"train": 1, "check": 10}, Durations({"train": {"x": 90.0}, "check": {"all": 30.0}}), cores=1)
    left.start(1, Job("train", "x", 0.0))
    left.finish(1, 270.0)
    # 270 s for 90 s, and 10 s that were taken as expected: 2.8 times as long.
    assert left.seconds(270.0) == pytest.approx(10 * 30 * 2.8)


def test_a_rule_that_is_not_known_says_nothing_of_the_machine():
    """Or a new rule with long jobs turns minutes into hours."""
    left = TimeLeft({"new": 1, "train": 4}, Durations({"train": {"all": 60.0}, "draw": {"all": 1.0}}), cores=1)
    left.start(1, Job("new", "all", 0.0))
    assert left.seconds(200.0) == pytest.approx(4 * 60.0)
    left.finish(1, 240.0)
    assert left.seconds(240.0) == pytest.approx(4 * 60.0)


def test_on_many_cores_the_longest_chain_bounds_the_time():
    chain = Chain(["fetch", "train", "report"], [(0, 1), (1, 2)])
    durations = Durations({"fetch": {"all": 3.0}, "train": {"all": 20.0}, "report": {"all": 4.0}})
    left = TimeLeft({"fetch": 1, "train": 8, "report": 1}, durations, cores=100, chain=chain)
    assert left.seconds(0.0) == pytest.approx(27.0)


def test_a_cluster_runs_as_many_at_once_as_it_did():
    left = TimeLeft({"train": 6}, Durations({"train": {"all": 10.0}}))
    for number in range(3):
        left.start(number, Job("train", str(number), 0.0))
    for number in range(3):
        left.finish(number, 10.0)
    assert left.seconds(10.0) == pytest.approx(30 / 3)


@pytest.mark.parametrize(("seconds", "words"), [(20.4, "20 s"), (200, "3 min"), (9000, "2.5 h")])
def test_times_are_given_in_words(seconds, words):
    assert in_words(seconds) == words


def replay(slower, seed):
    """Yield the time and the ratio of estimated to true time left, at the end of each job of a default run.

    The jobs start in the order of the recorded run, on two cores of a machine that is so many times slower; each takes
    longer or shorter than it was recorded by chance, by a fifth or so. What is known beforehand is the recorded run,
    which is of the rules of its day.
    """
    with DEFAULT_RUN.open(encoding="utf-8", newline="") as file:
        jobs = sorted(csv.DictReader(file), key=lambda job: float(job["start"]))
    chance, cores, events = random.Random(seed), [0.0, 0.0], []
    for number, job in enumerate(jobs):
        start = heapq.heappop(cores)
        end = start + (float(job["end"]) - float(job["start"])) * slower * chance.lognormvariate(0, 0.2)
        heapq.heappush(cores, end)
        events += [(start, "start", number), (end, "end", number)]
    known: dict[str, dict[str, float]] = {}
    for job in jobs:
        known.setdefault(job["rule"], {})[job["job"]] = float(job["end"]) - float(job["start"])
    left = TimeLeft(Counter(job["rule"] for job in jobs), Durations(known), cores=2)
    for now, event, number in sorted(events):
        if event == "start":
            left.start(number, Job(jobs[number]["rule"], jobs[number]["job"], now))
            continue
        left.finish(number, now)
        # At the end one long job decides, and the seconds that are left are few.
        if max(cores) - now > 120 * slower:
            yield now, left.seconds(now) / (max(cores) - now)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("slower", [0.5, 1.0, 2.0, 3.0])
def test_after_a_minute_the_time_left_of_a_default_run_is_right_within_a_factor_of_1_3(slower, seed):
    ratios = [ratio for now, ratio in replay(slower, seed) if now >= 60]
    assert len(ratios) > 50
    assert max(max(ratio, 1 / ratio) for ratio in ratios) < 1.3


class Records:
    """Sends Snakemake's events to the plugin's handler and keeps what it writes."""

    def __init__(self, *, dryrun=False, limits=False):
        common = SimpleNamespace(stdout=dryrun, dryrun=dryrun, nocolor=True)
        self.handler = LogHandler(common, LogHandlerSettings(limits=limits))
        self.written = self.handler._stream = io.StringIO()

    def send(self, text, event=None, level=logging.INFO, at=0.0, **fields):
        record = logging.makeLogRecord({"msg": text, "levelno": level, "created": at, **fields})
        if event:
            record.event = event
        self.handler.handle(record)

    def lines(self):
        return self.written.getvalue().splitlines()


@pytest.fixture
def no_earlier_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def job(number, rule, message="", **fields):
    given = {"resources": {}, "threads": 1, "benchmark": None, "output": ["x"], "jobid": number}
    return {**given, "rule_name": rule, "rule_msg": message, **fields}


@pytest.mark.usefixtures("no_earlier_runs")
def test_a_run_is_its_length_then_a_line_per_job_then_what_fails():
    run = Records()
    run.send("Building DAG of jobs...")
    run.send("Provided cores: 2", LogEvent.RESOURCES_INFO, cores=2)
    run.send("a long table", LogEvent.RUN_INFO, stats={"train_sweep": 2, "total": 2})
    run.send("Select jobs to execute...")
    run.send("Execute 2 jobs...", LogEvent.JOB_STARTED, jobs=[1, 2])
    for number in (1, 2):
        run.send("info", LogEvent.JOB_INFO, **job(number, "train_sweep", "training the sweep"))
    run.send("Finished jobid: 1", LogEvent.JOB_FINISHED, at=8.0, job_id=1)
    run.send("None", LogEvent.PROGRESS, done=1, total=2)
    run.send("Error in rule train_sweep", LogEvent.JOB_ERROR, level=logging.ERROR, jobid=2)
    first, length, *rest = run.lines()
    assert first == "Building DAG of jobs..."
    seconds = round(statistics.fmean(reference_durations().known["train_sweep"].values()))
    assert length.startswith(f"2 jobs on 2 cores: about {seconds} s, judging by a run of the default study elsewhere")
    assert rest[0].startswith("[1/2] train_sweep: training the sweep (8 s); about 0 s left")
    assert rest[1:] == ["Error in rule train_sweep"]


def test_earlier_runs_in_the_folder_win_over_the_reference(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    benchmark = tmp_path / "results/benchmarks/train_sweep/block=0.tsv"
    benchmark.parent.mkdir(parents=True)
    benchmark.write_text("s\n600\n", encoding="utf-8")
    run = Records()
    run.send("Provided cores: 2", LogEvent.RESOURCES_INFO, cores=1)
    run.send("table", LogEvent.RUN_INFO, stats={"train_sweep": 1, "total": 1})
    assert run.lines() == ["1 jobs on 1 cores: about 10 min, judging by earlier runs here; corrected as jobs finish."]


@pytest.mark.usefixtures("no_earlier_runs")
def test_a_dry_run_ends_with_the_estimate():
    run = Records(dryrun=True)
    run.send("table", LogEvent.RUN_INFO, stats={"train": 1, "total": 2})
    run.send("[now]\nJob 1: training", LogEvent.JOB_INFO, **job(1, "train", "training", resources={"runtime": 60}))
    run.send("rule all", LogEvent.JOB_INFO, **job(0, "all", output=[]))
    run.send("table", LogEvent.RUN_INFO, stats={"train": 1, "total": 2})
    lines = run.lines()
    assert lines[:4] == ["table", "Job 1: training", "rule all", "table"]
    assert lines[4].startswith("Estimate: 1 jobs to submit and 1 light ones here; at most 1.0 CPU hours")


@pytest.mark.usefixtures("no_earlier_runs")
def test_the_limits_are_printed_where_the_profile_asks_for_them(monkeypatch):
    said = "Job 1: x\nEstimate: 1 jobs; 2 MB\n  1 x train: 1 CPU\nReasons:\n    many\n"
    monkeypatch.setattr(handler.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=said))
    for limits, expected in ((True, ["Estimate: 1 jobs; 2 MB", "  1 x train: 1 CPU"]), (False, [])):
        run = Records(limits=limits)
        run.send("table", LogEvent.RUN_INFO, stats={"train": 1, "total": 1})
        assert run.lines()[1:] == expected
