"""Ways to start the workflow that are not the plain one: each works, or says in one line what to do."""

import os
import shlex
import shutil
import subprocess
import sys

import pytest

from snakemake_logger_plugin_atlas.handler import misplaced_targets

pytestmark = pytest.mark.slow

MODULE = """
module peft_atlas:
    snakefile: {snakefile!r}

use rule * from peft_atlas

rule mine:
    input: "results/memory.parquet"
    output: "mine.txt"
    shell: "wc -c < {{input}} > {{output}}"
"""


def snakemake(folder, *words, **options):
    """Return what `snakemake` did in a folder, with the configuration of the repository."""
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *words]
    return subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)


def test_another_snakefile_uses_this_one_as_a_module(root, tmp_path):
    (tmp_path / "Snakefile").write_text(MODULE.format(snakefile=str(root / "Snakefile")), encoding="utf-8")
    done = snakemake(tmp_path, "mine")
    assert done.returncode == 0, done.stdout
    assert int((tmp_path / "mine.txt").read_text(encoding="utf-8")) > 1000


def test_a_path_with_blanks(fresh, tmp_path):
    folder = tmp_path / "a path with blanks"
    shutil.move(fresh.folder, folder)
    done = snakemake(folder, "results/memory.parquet", "figures/training_memory.svg")
    assert done.returncode == 0, done.stdout
    assert (folder / "figures/training_memory.svg").is_file()
    planned = snakemake(folder, "--dry-run", "--printshellcmds", "smoke")
    assert planned.returncode == 0, planned.stdout
    assert f"--snakefile '{folder}/Snakefile'" in planned.stdout


def test_a_path_with_braces_is_refused_in_one_line(fresh, tmp_path):
    folder = tmp_path / "a {path}"
    shutil.move(fresh.folder, folder)
    done = snakemake(folder, "results/memory.parquet")
    assert done.returncode != 0
    assert done.stdout.strip().splitlines()[-1].startswith(f"{folder}: Snakemake takes braces")
    assert "Traceback" not in done.stdout


def test_a_closed_stream_of_errors_stops_nothing(fresh):
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "results/memory.parquet"]
    shell = f"exec {shlex.join(command)} 2>&-"
    assert subprocess.run(shell, cwd=fresh.folder, shell=True, stdout=subprocess.DEVNULL).returncode == 0
    assert (fresh.folder / "results/memory.parquet").is_file()


@pytest.mark.parametrize(
    "words",
    [
        # Without the profile, of which Snakemake itself says where it is, and fails where it cannot.
        "--workflow-profile none --logger atlas 2> /dev/full",
        "2> >(head -c 150 > /dev/null)",
    ],
    ids=["a full device", "a reader that has gone"],
)
def test_errors_that_cannot_be_written_stop_nothing(fresh, words):
    # A message at the end of the run, when no reader is left.
    (fresh.folder / "figures").mkdir()
    (fresh.folder / "figures/old.json").touch()
    command = f"{shlex.quote(sys.executable)} -m snakemake --cores 1 results/memory.parquet {words}"
    done = subprocess.run(["bash", "-c", command], cwd=fresh.folder, stdout=subprocess.DEVNULL)
    assert done.returncode == 0
    assert (fresh.folder / "results/memory.parquet").is_file()


def test_profiles_as_a_plain_file_is_named_in_one_line(fresh):
    link = fresh.folder / "profiles"
    # The copy of the project has a folder there.
    shutil.rmtree(link)
    # What git leaves where it may not make links.
    link.write_text("workflow/profiles", encoding="utf-8")
    done = snakemake(fresh.folder, "--dry-run", "results/memory.parquet")
    assert done.returncode == 0, done.stdout
    assert [line for line in done.stdout.splitlines() if "profiles is a plain file" in line] == [
        "profiles is a plain file, not the link to workflow/profiles that Snakemake needs:"
        " rm profiles && ln -s workflow/profiles profiles"
    ]


def test_a_target_after_a_configuration_is_named_in_one_line(root):
    done = snakemake(root, "--dry-run", "--configfile", "workflow/smoke.yaml", "figures")
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    assert done.stdout.count("put targets first: snakemake figures --configfile") == 1


def test_targets_are_distinguished_from_configurations():
    words = ["--cores", "2", "--configfile", __file__, "figures", "--quiet", "all"]
    assert misplaced_targets(words) == ["figures"]
    assert misplaced_targets(["--configfile", "results/memory.parquet"]) == ["results/memory.parquet"]
    assert misplaced_targets(["figures", "--configfile", __file__]) == []


def test_the_smoke_rule_needs_no_activated_environment(fresh):
    """A search path that has neither this Python nor its snakemake."""
    environment = {**os.environ, "PATH": "/usr/bin:/bin"}
    planned = snakemake(fresh.folder, "--dry-run", "--printshellcmds", "smoke", env=environment)
    assert f"{sys.executable} -m snakemake --snakefile" in planned.stdout


def test_without_the_plugin_snakemake_prints_as_ever(fresh):
    done = snakemake(fresh.folder, "--workflow-profile", "none", "results/memory.parquet")
    assert done.returncode == 0, done.stdout
    assert "1 of 1 steps (100%) done" in done.stdout
