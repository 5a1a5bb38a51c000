"""Which library files a module depends on, and the digest of them that a rule carries as a parameter.

Snakemake reruns a job whose parameters changed. It does not see a change in what a script imports, and declaring
every imported file as an input makes its scheduler look at thousands of files several times a second.
"""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

_PACKAGE = "peft_atlas"


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
    found: set[Path] = set()
    waiting = [program]
    while waiting:
        for source in _imported(waiting.pop(), source_root):
            if source not in found:
                found.add(source)
                waiting.append(source)
    if program.is_relative_to(source_root):
        found.add(program)
    return sorted(found)


def source_digest(programs: Sequence[Path], source_root: Path) -> str:
    """Return a digest of the text of every library file that programs depend on, 16 hexadecimal digits.

    Parameters
    ----------
    programs
        Python files: scripts, or modules of the library.
    source_root
        Folder that holds the package, ``src``.
    """
    files = sorted({file for program in programs for file in library_sources(program, source_root)})
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(source_root)}\0{_text_digest(file)}\0".encode())
    return digest.hexdigest()[:16]


@cache
def _text_digest(file: Path) -> str:
    """Return the digest of a file's text; a file is read once per process."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


@cache
def _imported(program: Path, source_root: Path) -> set[Path]:
    """Return the library files that a program's own import statements name; a file is parsed once a process."""
    names: set[str] = set()
    for node in _running(ast.parse(program.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # `from package import name`: the name may be a module or stand in one.
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    ours = (name.split(".") for name in names if name.split(".")[0] == _PACKAGE)
    return {file for parts in ours for file in _files(parts, source_root)}


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a program that are more than hints of types."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from _running(child)


def _files(parts: list[str], source_root: Path) -> list[Path]:
    """Return the files that importing a dotted name runs: each package on the way, then the module."""
    folders = [source_root.joinpath(*parts[:depth]) for depth in range(1, len(parts) + 1)]
    candidates = [folder / "__init__.py" for folder in folders] + [folders[-1].with_suffix(".py")]
    return [file for file in candidates if file.is_file()]
