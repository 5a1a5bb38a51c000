"""Finds what has been added to a package: all of its modules, whatever their names."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def modules_in(package: str) -> list[ModuleType]:
    """Import every module and package directly inside a package, sorted by name."""
    folder = importlib.import_module(package).__path__
    names = sorted(module.name for module in pkgutil.iter_modules(folder))
    return [importlib.import_module(f"{package}.{name}") for name in names]
