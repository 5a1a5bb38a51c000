"""Around a run: what jobs may ask for, the estimate, the time left, and what a killed run left in Slurm's queue."""

import os

import pytest

from peft_atlas.errors import AtlasError
from peft_atlas.snakemake_support.estimate import describe, earlier_seconds, request_of
from peft_atlas.snakemake_support.gpu_resources import gpu_request, share_gpus
from peft_atlas.snakemake_support.progress import TimeLeft, in_words
from peft_atlas.snakemake_support.stale_slurm_jobs import cancel_orphans


@pytest.mark.parametrize(
    ("device", "offered", "gres", "request_"),
    [
        ("cpu", 0, None, {}),
        ("cpu", 4, "gpu:a100", {}),
        ("auto", 0, None, {}),
        ("auto", 0, "gpu", {}),
        ("auto", 2, None, {"gpu": 1}),
        ("auto", 2, "gpu:a100", {"gres": "gpu:a100:1"}),
        ("cuda", 0, None, {"gpu": 1}),
        ("cuda", 0, "gpu", {"gres": "gpu:1"}),
    ],
)
def test_a_gpu_is_asked_for_where_study_and_site_say_so(device, offered, gres, request_):
    assert gpu_request(device, offered, gres) == request_


def test_a_job_elsewhere_learns_what_the_first_process_was_told(monkeypatch):
    monkeypatch.setenv("PEFT_ATLAS_GPUS", "0")
    assert share_gpus({}, {}) == 0
    assert share_gpus({"gpu": 3}) == 3
    assert os.environ["PEFT_ATLAS_GPUS"] == "3"
    assert share_gpus({}) == 3
    with pytest.raises(AtlasError, match=r"gpu = '-1': allowed: a whole number"):
        share_gpus({"gpu": -1})


def test_the_estimate_adds_what_jobs_ask_for():
    jobs = [
        *[request_of("train", 2, {"mem_mb": 1000, "runtime": 30, "gpu": 1}, light=False)] * 3,
        request_of("retrain", 1, {"mem_mb": 2500, "runtime": 60, "gres": "gpu:a100:2"}, light=False),
        request_of("draw", 1, {"mem_mb": 9000, "runtime": 600}, light=True),
        request_of("late", 1, {"mem_mb": "<TBD>", "runtime": 0}, light=False),
    ]
    text = describe(jobs, {"train": 12.4}).splitlines()
    # 3 x 2 CPUs x 30 min + 60 min; 3 x 1 GPU x 30 min + 2 GPUs x 60 min.
    assert text[0] == (
        "Estimate: 5 jobs to submit and 1 light ones here; at most 4.0 CPU hours and 3.5 GPU hours; "
        "2,500 MB in the largest job."
    )
    assert text[1] == "  3 x train: 2 CPU, 1 GPU, 1,000 MB, 30 min at most; about 12 s by earlier runs"
    assert [line.split(":")[0] for line in text[1:]] == ["  3 x train", "  1 x retrain", "  1 x late"]


def test_earlier_times_are_means_and_half_files_tell_nothing(tmp_path):
    header = "s\th:m:s\tmax_rss\tcpu_time\n"
    files = {"train/1.tsv": f"{header}2\t0\t1\t1\n", "train/2.tsv": f"{header}4\t0\tNA\tNA\n", "train/3.tsv": ""}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert earlier_seconds(tmp_path.glob("*/*.tsv")) == {"train": 3.0}


def test_time_left_is_the_work_left_over_jobs_at_once():
    left = TimeLeft({1: "train", 2: "train", 3: "train", 4: "train", 5: "draw"}, {"draw": 4.0})
    assert left.seconds(0.0) is None
    left.start(1, 0.0)
    left.start(2, 0.0)
    assert left.seconds(5.0) is None
    left.finish(1, 10.0)
    left.finish(2, 10.0)
    # Two at once took 10 s each: two more of 10 s and one of 4 s, as earlier runs measured it, two at once.
    assert left.seconds(10.0) == pytest.approx((10 + 10 + 4) / 2)
    left.start(3, 10.0)
    left.start(4, 10.0)
    assert left.seconds(16.0) == pytest.approx((4 + 4 + 4) / 2)
    # Both run longer than their like: they are about to end.
    assert left.seconds(25.0) == pytest.approx(4 / 2)


@pytest.mark.parametrize(("seconds", "words"), [(20.4, "20 s"), (200, "3 min"), (9000, "2.5 h")])
def test_times_are_told_in_words(seconds, words):
    assert in_words(seconds) == words


def test_without_slurm_there_are_no_orphans(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cancel_orphans(tmp_path) == []
