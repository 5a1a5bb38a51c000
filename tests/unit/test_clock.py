"""Files from the future come to the present, in their order; the others are left alone."""

import errno
import os

from hypothesis import given, settings
from hypothesis import strategies as st

from peft_atlas.snakemake_support.mtimes import bring_to_the_present

NOW = 1_700_000_000 * 10**9


@settings(max_examples=25)
@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=12))
def test_no_file_is_ahead_and_the_order_is_kept(tmp_path_factory, seconds):
    folder = tmp_path_factory.mktemp("files")
    files = [folder / str(index) for index in range(len(seconds))]
    for file, second in zip(files, seconds, strict=True):
        file.touch()
        os.utime(file, ns=(NOW + second * 10**9,) * 2)
    count = bring_to_the_present([*files, folder / "vanished"], NOW)
    ahead = [second > 60 for second in seconds]
    after = [file.stat().st_mtime_ns for file in files]
    assert count == sum(ahead)
    for made, second, late in zip(after, seconds, ahead, strict=True):
        assert made <= NOW if late else made == NOW + second * 10**9
    moved = [(second, made) for second, made, late in zip(seconds, after, ahead, strict=True) if late]
    for second, made in moved:
        for other, other_made in moved:
            assert (second < other) == (made < other_made)


def test_a_file_whose_time_cannot_be_set_is_passed_over(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    (tmp_path / "ahead").touch()
    monkeypatch.setattr(os, "utime", refuse)
    assert bring_to_the_present([tmp_path / "ahead"], 0) == 1
