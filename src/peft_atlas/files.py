"""Atomic file writes, each complete or not at all, temporary folders, and names as parts of file names."""

from __future__ import annotations

import errno
import glob
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from peft_atlas.errors import AtlasError

# Errors on writing that the user can fix: no space, no permission, a read-only file system.
_REFUSED = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Have ``write`` fill a temporary file in the same folder, then move it to ``path``.

    A reader sees the old file or the new one, never a partial one, even if the run is killed half-way.

    Parameters
    ----------
    path
        The file to create or replace; its folder is created if necessary.
    write
        Called with the path of the temporary file, which has the same extension as ``path``.

    Raises
    ------
    AtlasError
        If the disk is full or the location is read-only; the message names ``path``.
    """
    try:
        _write_beside(path, write)
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        raise AtlasError(
            f"{path}: not written: {os.strerror(error.errno)}; free some space or permit writing"
        ) from None


def _write_beside(path: Path, write: Callable[[Path], None]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_parts(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    part = Path(name)
    try:
        write(part)
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        part.chmod(0o666 & ~_umask())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _remove_parts(path: Path) -> None:
    """Remove unfinished files left by a killed process; the job's lock keeps other writers out."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.*{path.suffix}"):
        part.unlink(missing_ok=True)


def _umask() -> int:
    """Read the process's umask, which mkstemp overrides with mode 0600."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with Unix line endings, atomically."""
    data = text.encode("utf-8")
    write_whole(path, lambda part: _fill(part, data))


def _fill(part: Path, data: bytes) -> None:
    part.write_bytes(data)


def require_temporary_room(needed: int) -> None:
    """Look for room where temporary files go, which may be another disk than that of the results.

    Parameters
    ----------
    needed
        Bytes to be written there.

    Raises
    ------
    AtlasError
        If there is no such place, or less room.
    """
    try:
        place = tempfile.gettempdir()
        free = shutil.disk_usage(place).free
    except FileNotFoundError:
        raise AtlasError(
            "no usable place for temporary files; allowed: a folder that can be written, named by TMPDIR"
        ) from None
    if free < needed:
        raise AtlasError(
            f"{place}: {free / 1e6:,.1f} MB free for temporary files; allowed: at least {needed / 1e6:,.1f} MB; TMPDIR "
            "names another place"
        )


@contextmanager
def temporary_folder(needed: int) -> Iterator[Path]:
    """Create a temporary folder with room for a number of bytes, and delete it afterwards.

    Raises
    ------
    AtlasError
        As `require_temporary_room`, before anything is written.
    """
    require_temporary_room(needed)
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def slug(name: str) -> str:
    """Return a name as a part of a file name: small letters, digits and underscores."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower().replace("+", " plus ")).strip("_")
