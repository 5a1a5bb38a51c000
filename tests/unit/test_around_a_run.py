"""Around a run: whether jobs ask for a GPU, what a killed run left in Slurm's queue, what a failed one left undone."""

import os
import time
from types import SimpleNamespace

import pytest

from peft_atlas.errors import AtlasError
from peft_atlas.snakemake_support import own_command
from peft_atlas.snakemake_support.gpu_resources import gpu_request, share_gpus
from peft_atlas.snakemake_support.leftovers import figures_asked_for, left_over_figures
from peft_atlas.snakemake_support.stale_slurm_jobs import cancel_orphans
from snakemake_logger_plugin_atlas import handler


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


def test_a_job_elsewhere_learns_what_the_first_process_knows(monkeypatch):
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


def test_what_a_failed_run_left_undone_is_what_a_summary_plans_to_make(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("old.svg", "new.svg", "forced.svg"):
        (tmp_path / name).touch()
    os.utime("old.svg", (0, 0))
    rows = [
        "output_file\tdate\trule\tlog-file(s)\tstatus\tplan",
        "old.svg\t-\tdraw\t-\tok\tupdate pending",
        "missing.svg\t-\tdraw\t-\tmissing\tupdate pending",
        "forced.svg\t-\tdraw\t-\tok\tupdate pending",
        "new.svg\t-\tdraw\t-\tok\tno update",
    ]
    monkeypatch.setattr(own_command.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout="\n".join(rows)))
    assert own_command.unfinished_outputs(since=time.time() - 60) == ["old.svg", "missing.svg"]


def test_figures_of_another_configuration_are_named(tmp_path):
    for name in ("a", "b", "c", "d", "e"):
        (tmp_path / f"{name}.json").touch()
    assert left_over_figures(tmp_path, "abcde") is None
    assert left_over_figures(tmp_path, "abcd") == (
        f"{tmp_path}: 1 figure is of another configuration and not of this run: e"
    )
    assert left_over_figures(tmp_path, "a").endswith("not of this run: b, c, d and 1 more")


def test_a_study_that_the_command_names_has_its_figures(monkeypatch):
    monkeypatch.setenv("PEFT_ATLAS_ASKED_FOR", "laboratory --cores 2")
    assert figures_asked_for() == {"laboratory_rates", "laboratory_intruders"}
    monkeypatch.setenv("PEFT_ATLAS_ASKED_FOR", "--cores 2")
    assert figures_asked_for() == set()


def test_options_of_another_call_come_before_the_command_line(monkeypatch):
    # After a double dash they would be targets, and what only asks would run everything.
    asked = []
    monkeypatch.setattr(own_command.sys, "argv", ["snakemake", "--", "report"])
    monkeypatch.setattr(
        own_command.subprocess, "run", lambda words, **_: asked.append(words) or SimpleNamespace(stdout="")
    )
    own_command.unfinished_outputs(0)
    handler.limits_of_jobs()
    assert [words[3:] for words in asked] == [
        ["--summary", "--nolock", "--", "report"],
        ["--dry-run", "--nolock", "--", "report"],
    ]
