"""Files written whole or not at all."""

from __future__ import annotations

import errno
import glob
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from peft_atlas.errors import AtlasError

# What the user can mend when a file cannot be written: room, permission, a read-only place.
_REFUSED = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a new file beside ``path``, then move it into place.

    A reader, or a run killed half-way, sees the old file or the new one, never a part.

    Parameters
    ----------
    path
        The file to make or replace; its folder is made if need be.
    write
        Called with the path of the new file, which has the ending of ``path``.

    Raises
    ------
    AtlasError
        If the disk is full or the place is read-only; it names ``path``.
    """
    try:
        _write_beside(path, write)
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        raise AtlasError(f"{path}: not written: {os.strerror(error.errno)}; make room or permit it") from None


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
    """Remove the unfinished files that a killed process left beside ``path``; a job's lock keeps others out."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.*{path.suffix}"):
        part.unlink(missing_ok=True)


def _umask() -> int:
    """Return the process's file mode mask, which mkstemp overrides with 0600."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with Unix line ends, whole or not at all."""
    data = text.encode("utf-8")
    write_whole(path, lambda part: _fill(part, data))


def _fill(part: Path, data: bytes) -> None:
    part.write_bytes(data)
