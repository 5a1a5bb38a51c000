"""The content of a user's files as a parameter of the rules that read them.

Snakemake sees a changed input by its time alone. One that is replaced by a file with an older time, as `mv`, `cp -p`
and archives leave it, and a file inside a folder would go unseen.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from peft_atlas.files import write_text

# Larger files are read once; their digests are kept by path, size and time of change.
_SMALL = 2_000_000
_KEPT = Path(".snakemake/content")


def content_digest(files: Iterable[Path], folder: Path) -> str:
    """Return a digest of the names and the whole content of files, 16 hexadecimal digits.

    A file above 2 MB is not read again while its path, size, time of change and time of its entry (ctime) stay as they
    are, which only a tool that sets the clock can arrange for another content.

    Parameters
    ----------
    files
        The files; one that is missing counts as such, since whoever reads it names it better.
    folder
        Folder that names are relative to, so that a moved study has the same digest.
    """
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(f"{os.path.relpath(file, folder)}\0{file_digest(file)}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


def file_digest(file: Path) -> str:
    """Return the SHA-256 of a file, ``missing`` where there is none; that of a large file is kept."""
    if not file.is_file():
        return "missing"
    state = file.stat()
    if state.st_size <= _SMALL:
        return _read(file)
    facts = f"{file.resolve()}\0{state.st_size}\0{state.st_mtime_ns}\0{state.st_ctime_ns}"
    kept = _KEPT / hashlib.sha256(facts.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    with suppress(OSError):
        found = kept.read_text(encoding="ascii", errors="replace")
        if len(found) == hashlib.sha256().digest_size * 2:
            return found
    found = _read(file)
    # A folder that cannot be written costs the time of reading again, and nothing else.
    with suppress(Exception):
        write_text(kept, found)
    return found


def _read(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
