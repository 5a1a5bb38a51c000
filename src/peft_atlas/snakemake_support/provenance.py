"""On what a report was made: versions of the packages, the code, and the machine's kind."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = (
    "torch",
    "snakemake",
    "pandas",
    "pyarrow",
    "numpy",
    "scipy",
    "matplotlib",
    "seaborn",
    "peft",
    "transformers",
)


def package_versions() -> dict[str, str]:
    """Return the version of Python and of each core package, "not installed" where it is absent."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def code_version(root: Path) -> str:
    """Return the commit that the code is at, marked where files differ from it, or "unknown".

    An unpacked archive inside another repository has no version of its own.
    """
    top, commit = _git(root, "rev-parse", "--show-toplevel"), _git(root, "rev-parse", "--short=12", "HEAD")
    if top is None or commit is None or Path(top).resolve() != root.resolve():
        return "unknown (not a git checkout)"
    return f"{commit} with uncommitted changes" if _git(root, "status", "--porcelain") else commit


def _git(root: Path, *words: str) -> str | None:
    """Return what a git command prints, or None where it fails."""
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def machine() -> str:
    """Return the kind of processor and operating system, without names of hosts or users."""
    return f"{platform.system()} {platform.machine()}"
