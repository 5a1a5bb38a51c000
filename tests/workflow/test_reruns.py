"""What is moved, linked, copied, handed on or checked out again runs nothing whose content is the same."""

import shutil

import pytest

# Dry runs of a finished study, since every one of these ways has once run all of it again.
pytestmark = pytest.mark.slow


def handed_on(project, folder):
    """Return a fresh clone with a copy of the results, all with new times and without Snakemake's own folder."""
    skipped = {".snakemake", "logs"}
    shutil.copytree(project.folder, folder, symlinks=True, copy_function=shutil.copy, ignore=lambda *_: skipped)
    return type(project)(folder)


def state(project):
    """Return time and content of every file but logs, compiled Python, and what is cached in ``.snakemake``."""
    places = {path.relative_to(project.folder): path for path in project.folder.rglob("*") if path.is_file()}
    records = {name for name in places if name.parts[:2] == (".snakemake", "metadata")}
    kept = records | {name for name in places if not {".snakemake", "logs", "__pycache__"} & set(name.parts)}
    return {name: (places[name].stat().st_mtime_ns, places[name].read_bytes()) for name in kept}


def test_nothing_whose_content_is_the_same_runs_again(undisturbed, tmp_path, all_tables, tiny):
    project = undisturbed.copy(tmp_path / "first")

    def jobs(where, *words):
        return where.jobs(*all_tables, *words, config=tiny)

    assert jobs(project) == {}
    for path in [*project.folder.glob("src/**/*.py"), *project.folder.glob("workflow/**/*.*")]:
        path.touch()
    assert jobs(project) == {}
    clone = handed_on(project, tmp_path / "clone")
    before = state(clone)
    said = clone.snakemake("--dry-run", *all_tables, config=tiny).stdout
    assert "this dry run changes nothing, so it lists their jobs all the same" in said
    assert state(clone) == before
    done = clone.snakemake(*all_tables, config=tiny)
    assert done.returncode == 0, done.stdout
    assert "Nothing to be done" in done.stdout
    assert jobs(clone) == {}
    link = tmp_path / "link"
    link.symlink_to(project.folder)
    assert jobs(project, "--snakefile", str(link / "Snakefile"), "--directory", str(link)) == {}
    moved = type(project)(project.folder.rename(tmp_path / "moved"))
    assert jobs(moved) == {}
    moved.edit("src/peft_atlas/analysis/summary.py", "from __future__", "# Changed.\nfrom __future__")
    assert "summarise_runs" in jobs(moved)
