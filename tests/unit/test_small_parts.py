"""Files, jobs, costs, provenance and random streams."""

import logging
import os
import subprocess
import sys

import pytest
import torch

from peft_atlas.errors import AtlasError
from peft_atlas.files import write_text, write_whole
from peft_atlas.rng import ROLES, generator, generators, stream_key
from peft_atlas.snakemake_support.costs import read_costs
from peft_atlas.snakemake_support.job_log import job
from peft_atlas.snakemake_support.provenance import code_version, package_versions

BENCHMARK = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def test_a_file_that_fails_half_way_leaves_nothing(tmp_path):
    def half(path):
        path.write_text("half")
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write_whole(tmp_path / "x.txt", half)
    assert list(tmp_path.iterdir()) == []


def test_text_is_written_with_unix_ends_and_usual_mode(tmp_path):
    write_text(tmp_path / "x.txt", "a\nb\n")
    other = tmp_path / "y.txt"
    other.touch()
    assert (tmp_path / "x.txt").read_bytes() == b"a\nb\n"
    assert (tmp_path / "x.txt").stat().st_mode == other.stat().st_mode


def test_a_fault_the_user_can_fix_is_one_line_and_a_status(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught, job(str(tmp_path / "log")):
        raise AtlasError("thing = 3: allowed: 4")
    assert caught.value.code == 1
    assert (tmp_path / "log").read_text() == "ERROR peft_atlas: thing = 3: allowed: 4\n"
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "text", ["CUDA out of memory. Tried to allocate 2.00 GiB.", "CUDA error: out of memory\nSearch for it in ..."]
)
def test_a_gpu_without_room_is_one_line(text, tmp_path):
    with pytest.raises(SystemExit), job(str(tmp_path / "log")):
        raise RuntimeError(text)
    line = f"ERROR peft_atlas: GPU: {text.splitlines()[0]}; allowed: fewer jobs at once, as --resources gpu=1\n"
    assert (tmp_path / "log").read_text() == line


def test_any_other_fault_keeps_its_traceback(tmp_path):
    with pytest.raises(ZeroDivisionError), job(str(tmp_path / "log")):
        _ = 1 / 0
    assert "Traceback" in (tmp_path / "log").read_text()
    assert logging.getLogger("peft_atlas").handlers == []


def test_costs_are_read_and_what_was_not_sampled_is_missing(tmp_path):
    path = tmp_path / "train_sweep" / "block=0.tsv"
    path.parent.mkdir()
    path.write_text(BENCHMARK + "2.5\t0:00:02\tNA\tNA\tNA\tNA\tNA\tNA\tNA\t2.0\n")
    expected = {
        "rule": "train_sweep",
        "job": "block=0",
        "wall_seconds": 2.5,
        # Snakemake's lacks what a job does after the last sample.
        "cpu_seconds": None,
        "peak_memory_mb": None,
        "run_id": None,
        "train_seconds": None,
        "evaluation_seconds": None,
        "examples_per_second": None,
    }
    assert read_costs([path]) == [expected]
    path.write_text("a\tb\n1\t2\n")
    with pytest.raises(AtlasError, match=r"block=0\.tsv: lacks the columns"):
        read_costs([path])


def test_megabytes_of_a_benchmark_are_of_a_million_bytes(tmp_path):
    path = tmp_path / "rule" / "all.tsv"
    path.parent.mkdir()
    path.write_text(BENCHMARK + "2.5\t0:00:02\t1000\tNA\tNA\tNA\tNA\tNA\tNA\t2.0\n")
    assert read_costs([path])[0]["peak_memory_mb"] == pytest.approx(1048.576)


def test_versions_are_those_installed(tmp_path):
    assert package_versions()["torch"].startswith(torch.__version__.split("+")[0])
    assert code_version(tmp_path).startswith("unknown")
    for words in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=b", "commit", "-q", "--allow-empty", "-m", "x"],
    ):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    assert len(code_version(tmp_path)) == 12
    (tmp_path / "new").touch()
    assert code_version(tmp_path).endswith("with uncommitted changes")


def test_streams_are_keyed_by_seed_and_role_and_leave_global_state_alone():
    state = torch.random.get_rng_state()
    first = torch.rand(4, generator=generator(1, "base"))
    assert torch.equal(first, torch.rand(4, generator=generator(1, "base")))
    others = [torch.rand(4, generator=generator(*key)) for key in ((2, "base"), (1, "adapter"), (11, "ase"))]
    assert not any(torch.equal(first, other) for other in others)
    assert torch.equal(state, torch.random.get_rng_state())
    assert len({stream_key(seed, role) for seed in range(200) for role in ROLES}) == 200 * len(ROLES)
    assert [g.initial_seed() for g in generators((1, 2), "base")] == [stream_key(1, "base"), stream_key(2, "base")]


def test_a_stream_is_the_same_in_every_process():
    program = "from peft_atlas.rng import stream_key; print(stream_key(7, 'order'))"
    keys = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            text=True,
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert keys == {f"{stream_key(7, 'order')}\n"}


@pytest.mark.parametrize(("given", "expected"), [({}, "1 16"), ({"THP_MEM_ALLOC_ENABLE": "0"}, "0 16")])
def test_torch_takes_memory_as_a_job_says_unless_the_environment_does(root, given, expected):
    names = ("THP_MEM_ALLOC_ENABLE", "ONEDNN_PRIMITIVE_CACHE_CAPACITY")
    program = f"import os, peft_atlas.snakemake_support.torch_memory; print(*map(os.environ.get, {names}))"
    environment = {name: value for name, value in os.environ.items() if name not in names} | given
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == expected
    script = (root / "workflow/scripts/run_step.py").read_text(encoding="utf-8")
    assert "\nimport peft_atlas.snakemake_support.torch_memory" in script


def test_a_job_never_searches_for_cycles(root):
    program = "import gc, peft_atlas.snakemake_support.disable_gc; print(gc.isenabled())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    for script in (root / "workflow/scripts").glob("*.py"):
        assert "\nimport peft_atlas.snakemake_support.disable_gc" in script.read_text(encoding="utf-8"), script.name
