"""Which library files a module depends on, and the digest of them that a rule carries as a parameter.

Snakemake reruns a job whose parameters changed. It does not see a change in what a script imports, and declaring
every imported file as an input makes its scheduler look at thousands of files several times a second.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import textwrap
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

_PACKAGE = "peft_atlas"
# Import statements that name the package. Parsing whole files instead takes a third of a second in each dry run.
_STATEMENT = re.compile(
    rf"^[ \t]*(?:from {_PACKAGE}[\w.]* import (?:\([^)]*\)|[^\n]*)|import [^\n]*\b{_PACKAGE}\b[^\n]*)",
    flags=re.MULTILINE,
)
# What is imported for type hints only never runs.
_HINTS_ONLY = re.compile(r"^if TYPE_CHECKING:\n(?:[ \t]+.*\n|\n)+", flags=re.MULTILINE)


def share_with_jobs(source_root: Path) -> None:
    """Let the Python programs that this process starts find the library without an install.

    A job on another node reads the Snakefile, and so calls this, too.
    """
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = [str(source_root), *(path for path in known if path not in {"", str(source_root)})]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)


def library_sources(program: Path, source_root: Path) -> list[Path]:
    """Return every file of the library that a program imports, directly or through others, sorted.

    Parameters
    ----------
    program
        A Python file: a script, or a module of the library, which is then part of the result.
    source_root
        Folder that holds the package, ``src``.
    """
    return sorted(_all_imported(program, source_root))


def source_digest(programs: Sequence[Path], source_root: Path) -> str:
    """Return a digest of the text of every library file that programs depend on, 16 hexadecimal digits.

    Parameters
    ----------
    programs
        Python files: scripts, or modules of the library.
    source_root
        Folder that holds the package, ``src``.
    """
    files = frozenset[Path]().union(*(_all_imported(program, source_root) for program in programs))
    digest = hashlib.sha256()
    for line in sorted(_line(file, source_root) for file in files):
        digest.update(line.encode())
    return digest.hexdigest()[:16]


@cache
def _line(file: Path, source_root: Path) -> str:
    """Return a file's name and the digest of its text; a file is read once per process."""
    return f"{file.relative_to(source_root)}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\0"


@cache
def _all_imported(program: Path, source_root: Path) -> frozenset[Path]:
    """Return a program's library files; one that is itself in the library is among them."""
    found: set[Path] = set()
    waiting = [program]
    while waiting:
        new = _imported(waiting.pop(), source_root) - found
        found |= new
        waiting += new
    return frozenset(found | {program} if program.is_relative_to(source_root) else found)


@cache
def _imported(program: Path, source_root: Path) -> frozenset[Path]:
    """Return the library files that a program's own import statements name."""
    names: set[str] = set()
    for node in _imports(program.read_text(encoding="utf-8")):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # `from package import name`: the name may be a module or be defined in one.
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    ours = (name for name in names if name.split(".")[0] == _PACKAGE)
    return frozenset(file for name in ours for file in _files(name, source_root))


def _imports(text: str) -> Iterator[ast.AST]:
    """Yield the import statements of a program that name the package and are more than type hints."""
    text = _HINTS_ONLY.sub("", text)
    try:
        for statement in _STATEMENT.findall(text):
            yield from ast.parse(textwrap.dedent(statement)).body
    except SyntaxError:
        # A statement with a parenthesis in its comment, or a second one in its line.
        yield from ast.walk(ast.parse(text))


@cache
def _files(name: str, source_root: Path) -> tuple[Path, ...]:
    """Return the files that importing a dotted name runs: each package on the way, then the module."""
    parts = name.split(".")
    folders = [source_root.joinpath(*parts[:depth]) for depth in range(1, len(parts) + 1)]
    candidates = [folder / "__init__.py" for folder in folders] + [folders[-1].with_suffix(".py")]
    return tuple(file for file in candidates if file.is_file())
