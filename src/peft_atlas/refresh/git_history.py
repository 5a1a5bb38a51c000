"""What a clone of a repository holds and held: versions of files over its history, and names in its newest commit."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from peft_atlas.errors import AtlasError

_COMMIT_LENGTH = 40


@dataclass(frozen=True)
class Version:
    """A file as one commit wrote it."""

    commit: str
    path: str
    text: str


@dataclass(frozen=True)
class Clone:
    """A clone with its whole history.

    Raises
    ------
    AtlasError
        If the folder is no clone, or one without its history, in which every older run would seem to be gone.
    """

    folder: Path

    def __post_init__(self) -> None:
        if self._git("rev-parse", "--is-shallow-repository").strip() == "true":
            raise AtlasError(f"{self.folder}: a shallow clone; allowed: one with its history, git fetch --unshallow")

    def _git(self, *words: str) -> str:
        """Return what git prints in the clone."""
        try:
            done = subprocess.run(["git", "-C", str(self.folder), *words], capture_output=True, text=True, check=True)
        except FileNotFoundError:
            raise AtlasError("git: not found; it must be installed to read a clone") from None
        except subprocess.CalledProcessError as error:
            reason = error.stderr.strip().splitlines()[-1:] or ["no reason given"]
            raise AtlasError(f"{self.folder}: not a clone that git can read: {reason[0]}") from None
        return done.stdout

    def versions(self, folder: str) -> Iterator[Version]:
        """Yield every version of the JSON files in a folder, oldest first."""
        log = self._git("log", "--reverse", "--format=%H", "--name-only", "--diff-filter=AMR", "--", folder)
        commit = ""
        for line in filter(None, log.splitlines()):
            if len(line) == _COMMIT_LENGTH and "/" not in line:
                commit = line
            elif line.endswith(".json"):
                yield Version(commit, line, self._git("show", f"{commit}:{line}"))

    def now(self, folder: str) -> list[str]:
        """Return the paths of the files that the newest commit holds in a folder, with its subfolders."""
        return self._git("ls-tree", "-r", "--name-only", "HEAD", "--", folder).splitlines()
