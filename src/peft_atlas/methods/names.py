"""Names of what studies train, read from the methods' source: asking the methods would import torch, two seconds a job.

A method's file says its ``name`` and, where studies train several settings of it on a network with attention, their
names in ``SETTINGS``; a test compares them with what `Method.study_settings` returns.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from peft_atlas.errors import AtlasError


def setting_names(folder: Path = Path(__file__).parent) -> tuple[str, ...]:
    """Return the names of all settings of the methods in a folder, sorted by file."""
    return tuple(name for path in sorted(folder.glob("*.py")) for name in _settings(path))


def method_summaries(folder: Path = Path(__file__).parent) -> dict[str, str]:
    """Return what each method's file says of it in its first line, for example its full name and its paper."""
    return {
        name.split(" (")[0] if name != "(IA)3" else name: (ast.get_docstring(module) or "").splitlines()[0]
        for path in sorted(folder.glob("*.py"))
        if (names := _settings(path)) and (module := ast.parse(path.read_text(encoding="utf-8")))
        for name in names
    }


def setting_name(label: str, setting: str | None) -> str:
    """Return the name of a method's setting, for example ``LoRA (query, value)``."""
    return label if setting is None else f"{label} ({setting})"


def _settings(path: Path) -> tuple[str, ...]:
    """Return the names of a file's settings: its ``SETTINGS``, else the ``name`` of each method."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    given = list(_literals(module.body, "SETTINGS", path))
    if given:
        return tuple(given[-1])
    classes = (node for node in module.body if isinstance(node, ast.ClassDef))
    return tuple(value for node in classes for value in _literals(node.body, "name", path))


def _literals(body: list[ast.stmt], name: str, path: Path) -> Iterator[Any]:
    """Yield the value of each assignment to a name.

    Raises
    ------
    AtlasError
        If it is no literal.
    """
    for node in body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                try:
                    yield ast.literal_eval(node.value)
                except ValueError:
                    raise AtlasError(f"{path}:{node.lineno}: {name}: allowed: a literal") from None
