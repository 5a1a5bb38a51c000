"""Sets a version in every file that states one: ``python -m peft_atlas.release.prepare VERSION``, in a clean clone."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from peft_atlas.errors import AtlasError
from peft_atlas.files import write_text
from peft_atlas.version import __version__

CHANGELOG, VERSION_FILE = Path("CHANGELOG.md"), Path("src/peft_atlas/version.py")
_NUMBER = r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
_HEADING = re.compile(r"^## (\S+), (.+)$", re.MULTILINE)
_UNRELEASED = "unreleased"


def prepare(root: Path, version: str, date: str) -> list[Path]:
    """Set the version and commit it; return the files that changed, none if an attempt before this one set it.

    Parameters
    ----------
    root
        A clone without uncommitted changes.
    version
        The version to release, for example ``0.2.0``.
    date
        Day of the release, ISO 8601.

    Raises
    ------
    AtlasError
        Before anything is written: if the version is no version, is released already or lies below the present one, if
        there are uncommitted changes, or if the changelog has nothing to release.
    """
    changelog = (root / CHANGELOG).read_text(encoding="utf-8")
    _require_version(root, version)
    _require_clean(root)
    if f"Version {version}" in _git(root, "log", "--format=%s").splitlines():
        return []
    texts = {CHANGELOG: _dated(changelog, version, date)}
    for path, change in _edits(version, date).items():
        texts[path] = change((root / path).read_text(encoding="utf-8"))
    for path, text in texts.items():
        write_text(root / path, text)
    _git(root, "commit", "--quiet", "--message", f"Version {version}", "--", *map(str, texts))
    return list(texts)


def _require_version(root: Path, version: str) -> None:
    if not re.fullmatch(_NUMBER, version):
        raise AtlasError(f"VERSION={version}: allowed: three numbers, such as 0.2.0")
    present = re.search(r'"(.+)"', (root / VERSION_FILE).read_text(encoding="utf-8").split("__version__")[-1])
    if present and _parts(version) < _parts(present[1]):
        raise AtlasError(f"VERSION={version}: allowed: {present[1]}, the present version, or one above it")
    if _git(root, "tag", "--list", f"v{version}"):
        raise AtlasError(f"VERSION={version}: the tag v{version} exists; allowed: a version above it")


def _parts(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _require_clean(root: Path) -> None:
    changed = _git(root, "status", "--porcelain").splitlines()
    if changed:
        first = changed[0].split(maxsplit=1)[-1]
        raise AtlasError(f"{len(changed)} files with uncommitted changes ({first}, ...): commit or stash them first")


def _dated(changelog: str, version: str, date: str) -> str:
    """Return the changelog with a date in place of "unreleased"."""
    released = {name: when for name, when in _HEADING.findall(changelog) if when != _UNRELEASED}
    if version in released:
        raise AtlasError(f"{CHANGELOG}: {version} was released on {released[version]}; allowed: a version above it")
    newest = _HEADING.search(changelog)
    if newest is None or newest[2] != _UNRELEASED:
        raise AtlasError(f'{CHANGELOG}: no section "## {version}, {_UNRELEASED}" at the top that says what changed')
    body = _HEADING.split(changelog[newest.end() :], maxsplit=1)[0]
    if not re.search(r"^- ", body, re.MULTILINE):
        raise AtlasError(f'{CHANGELOG}: the section "{newest[0]}" lists no change')
    return f"{changelog[: newest.start()]}## {version}, {date}{changelog[newest.end() :]}"


def _edits(version: str, date: str) -> dict[Path, Callable[[str], str]]:
    """Return how each other file that states the version is changed."""

    def replaced(pattern: str, text: str) -> Callable[[str], str]:
        def change(content: str) -> str:
            changed, count = re.subn(pattern, text, content, count=1, flags=re.MULTILINE)
            if not count:
                raise AtlasError(f"no line {pattern} to set the version in")
            return changed

        return change

    return {
        VERSION_FILE: replaced(r'^__version__ = ".*"$', f'__version__ = "{version}"'),
        Path(".zenodo.json"): replaced(r'^  "version": ".*",$', f'  "version": "{version}",'),
        Path("CITATION.cff"): replaced(
            r"^version: .*\n(date-released: .*\n)?", f"version: {version}\ndate-released: {date}\n"
        ),
    }


def _git(root: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise AtlasError(f"git {words[0]}: {said.strip().splitlines()[0]}") from None
    return done.stdout.strip()


def main(words: Sequence[str]) -> str:
    """Prepare the version that is given, and return what was done."""
    if len(words) != 1 or not words[0]:
        raise AtlasError(f"usage: make release VERSION=X.Y.Z; the present version is {__version__}")
    changed = prepare(Path.cwd(), words[0], datetime.now(tz=UTC).date().isoformat())
    return f"Version {words[0]}: {', '.join(map(str, changed)) or 'nothing'} changed and committed."


if __name__ == "__main__":
    try:
        sys.stdout.write(main(sys.argv[1:]) + "\n")
    except AtlasError as error:
        sys.exit(f"release: {error}")
