"""What somebody gets who installs the wheel and works in a folder of their own."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml

from peft_atlas.workflow_command import snakemake_command, workflow_root

pytestmark = pytest.mark.slow


def without_clone():
    """Return the environment without the paths by which Python would find the clone."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@pytest.fixture(scope="module")
def program(root, tmp_path_factory):
    """Return `peft-atlas` as the built wheel installs it, in an environment that has the other packages too."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    tracked = subprocess.run(["git", "-C", root, "ls-files", "-z"], capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        if (root / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((root / name).read_bytes())
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", folder, source], check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    install = [sys.executable, "-m", "pip", "--python", folder / "venv/bin/python", "install", "--quiet", "--no-deps"]
    subprocess.run([*install, next(folder.glob("*.whl"))], env=without_clone(), check=True)
    own = next((folder / "venv").glob("lib/python*/site-packages"))
    # Packages of this environment, but not the clone that is installed in it: of a path in a .pth no .pth is read.
    (own / "other_packages.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return folder / "venv/bin/peft-atlas"


@pytest.fixture
def call(program, tmp_path):
    """Return a function that runs `peft-atlas` in an empty folder, with nothing of the clone in reach."""

    def called(*words, **more):
        return subprocess.run(
            [program, *words],
            cwd=tmp_path,
            env={**without_clone(), **more},
            capture_output=True,
            text=True,
            timeout=300,
        )

    return called


def test_an_installed_study_gives_the_bytes_of_a_clone(call, undisturbed, all_tables, tiny, root, tmp_path):
    assert call("init").returncode == 0
    assert (tmp_path / "config.yaml").read_bytes() == (root / "config.yaml").read_bytes()
    settings = {**yaml.safe_load((root / "workflow/smoke.yaml").read_text(encoding="utf-8")), **tiny}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    tables = [name for name in all_tables if name.endswith(("runs.parquet", "curves.parquet", "contrasts.parquet"))]
    done = call("run", *tables, "--cores", "2")
    assert done.returncode == 0, done.stderr
    for name in tables:
        assert (tmp_path / name).read_bytes() == (undisturbed.folder / name).read_bytes()


def test_options_are_snakemakes_own(call):
    done = call("run", "notebook", "--cores", "1", "--dry-run", "--quiet", "rules")
    assert done.returncode == 0, done.stderr
    assert "train_sweep" in done.stdout
    assert call("run", "--no-such-option").returncode == 2


@pytest.mark.parametrize("words", [["--workflow-profile", "slurm"], ["--workflow-profile=slurm"]])
def test_a_packaged_profile_is_found_by_name(words, tmp_path):
    root = workflow_root()
    path = str(root / "workflow/profiles/slurm")
    command = snakemake_command(["notebook", *words], root, tmp_path)
    assert path in " ".join(command[4:]).replace("=", " ").split()
    (tmp_path / "profiles/slurm").mkdir(parents=True)
    assert path not in " ".join(snakemake_command(words, root, tmp_path))
    none = snakemake_command(["--workflow-profile", "none", "-n"], root, tmp_path)
    assert none[none.index("--workflow-profile") + 1] == "none"


def test_a_configuration_is_not_overwritten(call, tmp_path):
    (tmp_path / "config.yaml").write_text("seeds: 3\n", encoding="utf-8")
    done = call("init")
    assert done.returncode == 2
    assert done.stderr == "peft-atlas: config.yaml: exists already; --force replaces it\n"
    assert (tmp_path / "config.yaml").read_text(encoding="utf-8") == "seeds: 3\n"


def test_light_use_needs_no_torch(call, tmp_path):
    blocked = tmp_path / "blocked"
    extra = ("torch", "transformers", "peft", "tokenizers", "safetensors", "datasets", "huggingface_hub", "sklearn")
    for name in extra:
        (blocked / name).mkdir(parents=True)
        (blocked / name / "__init__.py").write_text("raise ImportError('light use asks for it')", encoding="utf-8")
    done = call("plan", "Llama-3.2-3B", "--gpu", "24", PYTHONPATH=str(blocked))
    assert done.returncode == 0, done.stderr
    assert "lora" in done.stdout
    planned = call("report", "--dry-run", PYTHONPATH=str(blocked))
    assert planned.returncode == 0, planned.stderr
    assert "render_report" in planned.stdout


def test_the_workflow_is_where_it_says(call):
    assert (Path(call("where").stdout.strip()) / "workflow/profiles/slurm/config.yaml").is_file()
