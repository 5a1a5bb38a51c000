"""Results handed to someone else bring Snakemake's records and times with them, as far as they are the same."""

import gzip
import json
import os
import shutil
from base64 import urlsafe_b64encode

import pytest

from peft_atlas.errors import AtlasError
from peft_atlas.snakemake_support.records import KEPT, keep_records, restore_records


def record(folder, name, text):
    """Write an output with its record, where Snakemake has it."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (1e9, 1e9 + len(text)))
    code = urlsafe_b64encode(name.encode()).decode()
    place = folder / ".snakemake/metadata" / code
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps({"rule": "r", "of": name}))


@pytest.fixture
def made(tmp_path):
    """Return a folder with two outputs and their kept records."""
    folder = tmp_path / "made"
    record(folder, "results/runs.parquet", "runs")
    record(folder, "figures/a=1.svg", "figure")
    keep_records(folder)
    return folder


@pytest.fixture
def handed(made, tmp_path):
    """Return a copy with other times and without Snakemake's folder."""
    return shutil.copytree(made, tmp_path / "handed", copy_function=shutil.copy, ignore=lambda *_: {".snakemake"})


def test_records_and_times_come_back(made, handed):
    assert restore_records(handed) == 2
    for name in ("results/runs.parquet", "figures/a=1.svg"):
        assert (handed / name).stat().st_mtime_ns == (made / name).stat().st_mtime_ns
    files = {path.name: path.read_text() for path in (made / ".snakemake/metadata").iterdir()}
    assert {path.name: path.read_text() for path in (handed / ".snakemake/metadata").iterdir()} == files
    assert restore_records(handed) == 0


def test_a_dry_run_counts_what_would_come_back_and_changes_nothing(handed):
    before = (handed / "results/runs.parquet").stat().st_mtime_ns
    assert restore_records(handed, dry_run=True) == 2
    assert (handed / "results/runs.parquet").stat().st_mtime_ns == before
    assert not (handed / ".snakemake").exists()


def test_an_output_that_differs_keeps_its_time_and_has_no_record(handed):
    changed = handed / "results/runs.parquet"
    changed.write_text("Runs")
    before = changed.stat().st_mtime_ns
    assert restore_records(handed) == 1
    assert changed.stat().st_mtime_ns == before
    assert len(list((handed / ".snakemake/metadata").iterdir())) == 1


def test_records_of_this_folder_are_left_alone(made):
    os.utime(made / "results/runs.parquet", (2e9, 2e9))
    assert restore_records(made) == 0
    assert (made / "results/runs.parquet").stat().st_mtime == 2e9


@pytest.mark.parametrize(
    "data",
    [b"", b"no gzip", gzip.compress(b"[1]"), gzip.compress(b'{"results/a": {}}')],
    ids=["empty", "no gzip", "a list", "no times"],
)
def test_damaged_records_are_one_line(handed, data):
    (handed / KEPT).write_bytes(data)
    with pytest.raises(AtlasError, match=r"results/records\.json\.gz: its records cannot be used \("):
        restore_records(handed)


@pytest.mark.parametrize("name", ["../../outside", "results/../../outside", "/tmp/outside"])
def test_a_record_of_a_file_elsewhere_is_not_restored(handed, name):
    code = urlsafe_b64encode(name.encode()).decode()
    entry = {"digest": "missing", "mtime_ns": 0, "place": code, "record": "{}"}
    (handed / KEPT).write_bytes(gzip.compress(json.dumps({name: entry}).encode()))
    assert restore_records(handed) == 0


def test_the_same_records_are_the_same_bytes(made):
    first = (made / KEPT).read_bytes()
    keep_records(made)
    assert (made / KEPT).read_bytes() == first


def test_a_folder_without_any_record_has_none_to_keep(tmp_path):
    keep_records(tmp_path)
    assert json.loads(gzip.decompress((tmp_path / KEPT).read_bytes())) == {}
