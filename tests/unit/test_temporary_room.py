"""Room for temporary files, which may be on another disk than the results: one line, before work starts."""

import os
import shutil
import subprocess
import tempfile
from types import SimpleNamespace

import pytest

from peft_atlas.config import load_config
from peft_atlas.errors import AtlasError
from peft_atlas.files import require_temporary_room, temporary_folder
from peft_atlas.studies.encoder.preflight import preflight


@pytest.fixture
def small_disk(tmp_path, monkeypatch):
    """Return a file system of 64 kB on which temporary files go; without root there can be none."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a file system can be mounted by root only")
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield place
    subprocess.run(["umount", place], check=True)


def test_too_little_room_is_one_line_before_anything_is_written(small_disk):
    with temporary_folder(1_000) as folder:
        assert folder.parent == small_disk
    words = rf"{small_disk}: 0\.1 MB free for temporary files; allowed: at least 2\.0 MB"
    with pytest.raises(AtlasError, match=words), temporary_folder(2_000_000):
        pytest.fail("began without room")
    assert list(small_disk.iterdir()) == []


def test_no_place_for_temporary_files_is_one_line(monkeypatch):
    def none():
        raise FileNotFoundError(2, "No usable temporary directory found in ['/a', '/b']")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    with pytest.raises(AtlasError, match="no usable place for temporary files; allowed: a folder that can be written"):
        require_temporary_room(1)


def test_the_encoder_study_looks_before_its_first_job(tmp_path, monkeypatch):
    results, temporary = tmp_path / "results", tmp_path / "temporary"
    results.mkdir()
    free = {str(results): 10**12, str(temporary): 1_000}
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=free[os.fspath(place)]))
    with pytest.raises(AtlasError, match=rf"{temporary}: 0\.0 MB free for temporary files"):
        preflight(load_config({"studies": ["encoder"]}), results)
    free[str(temporary)] = 10**9
    preflight(load_config({"studies": ["encoder"]}), results)
