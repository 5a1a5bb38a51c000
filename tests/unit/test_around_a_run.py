"""Around a run: whether jobs ask for a GPU, and what a killed run left in Slurm's queue."""

import os

import pytest

from peft_atlas.errors import AtlasError
from peft_atlas.snakemake_support.gpu_resources import gpu_request, share_gpus
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


def test_without_slurm_there_are_no_orphans(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cancel_orphans(tmp_path) == []
