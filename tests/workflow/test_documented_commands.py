"""Every command of the documentation runs, on the smallest study, or is in a list with the reason why it does not."""

import os
import shutil
import subprocess
import sys
import zipfile

import pytest
import yaml
from documentation import blocks, commands
from forked_snakemake import run_snakemake
from snakemake.utils import update_config

from peft_atlas.result_sets import released_bundle

# What is not run here, by how it begins, and why.
ELSEWHERE = {
    "make": "installs packages from the network; test_readme.py plans every target",
    "source": "changes the calling shell only",
    "pre-commit": "writes a hook into the clone; test_static.py runs the same checks",
    "pip": "needs a fresh environment; test_installed.py builds the wheel and installs it",
    "peft-atlas refresh": "needs a clone of huggingface/peft; tests/unit/record/test_refresh.py makes one",
    "python -m peft_atlas.studies.decoder.release": "needs a run of the decoder; tests/unit/test_decoder_released.py",
    "python benchmarks/device_agreement.py": "needs a run on a GPU",
    "snakemake --workflow-profile slurm": "needs Slurm; tests/cluster/test_slurm.py runs it where that is installed",
}
# What trains for too long; that it is planned without an error is enough here.
PLANNED = {
    "snakemake --cores 2 smoke": "a minute; test_workflow.py runs the rule, and what is run here rests on this study",
    "snakemake --cores 1 decoder_smoke": "a minute; test_decoder.py runs this study",
    "snakemake --cores 2 decoder": "half an hour",
    "snakemake decoder --cores 2 --configfile workflow/decoder_full.yaml": "25 core-hours",
    "snakemake --cores 2 --config studies=[notebook] later=[adaptation, encoder]": "half a minute; in test_report.py",
}
WORKFLOW = ("snakemake", "peft-atlas run", "peft-atlas report")


def begins(command, names):
    """Return whether a command begins with one of the names, in whole words."""
    return any(f"{' '.join(command)} ".startswith(f"{name} ") for name in names)


def here(root):
    """Return the commands that are to be run."""
    return [words for words in commands(root) if not begins(words, ELSEWHERE) and " ".join(words) not in PLANNED]


def call(words, folder, library, *more):
    """Run a command of `snakemake` or `peft-atlas` in a folder and return what it did."""
    if words[0] == "snakemake":
        return run_snakemake([*words[1:], *more], folder, timeout=600)
    return subprocess.run(
        [sys.executable, "-m", "peft_atlas.cli", *words[1:], *more],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(library)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def test_every_command_is_run_or_has_a_reason(root):
    found = commands(root)
    assert [words for words in here(root) if words[0] not in ("snakemake", "peft-atlas")] == []
    # Lists without an entry that no page has any more.
    assert [name for name in ELSEWHERE if not any(begins(words, [name]) for words in found)] == []
    assert set(PLANNED) <= {" ".join(words) for words in found}


@pytest.fixture
def tiny_study(project):
    """Return the folder of a finished smoke study in which that is the project's own configuration."""
    settings = yaml.safe_load((project.folder / "config.yaml").read_text(encoding="utf-8"))
    update_config(settings, yaml.safe_load((project.folder / "workflow/smoke.yaml").read_text(encoding="utf-8")))
    (project.folder / "config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    shutil.copy(project.folder / "workflow/smoke.yaml", project.folder / "my.yaml")
    return project.folder


@pytest.mark.slow
def test_the_commands_of_the_workflow_run(root, tiny_study):
    ran = [words for words in here(root) if begins(words, WORKFLOW)]
    assert len(ran) >= 10
    for words in ran:
        done = call(words, tiny_study, tiny_study / "src")
        assert done.returncode == 0, (words, done.stdout)
    assert (tiny_study / "snakemake-report.html").is_file()


@pytest.mark.slow
def test_long_commands_are_planned(root):
    for words in commands(root):
        if " ".join(words) in PLANNED:
            done = call(words, root, root / "src", "--dry-run")
            assert done.returncode == 0, (words, done.stdout)
            assert "Job stats" in done.stdout


@pytest.fixture(scope="module")
def user_folder(root, tmp_path_factory):
    """Return a folder with what the commands of the pages speak of: results, older results, and a file of runs."""
    folder = tmp_path_factory.mktemp("user")
    with zipfile.ZipFile(released_bundle()) as bundle:
        tables = [name for name in bundle.namelist() if name.startswith("results/")]
        bundle.extractall(folder, tables)
    shutil.copytree(folder / "results", folder / "old-results")
    (folder / "runs.csv").write_text(blocks(root, "csv")[0], encoding="utf-8")
    return folder


@pytest.mark.slow
def test_the_light_commands_run(root, user_folder):
    ran = [words for words in here(root) if not begins(words, WORKFLOW)]
    assert {words[1] for words in ran} >= {"plan", "count", "init", "export", "diff", "add"}
    for words in ran:
        done = call(words, user_folder, root / "src")
        assert done.returncode == 0, (words, done.stdout)
