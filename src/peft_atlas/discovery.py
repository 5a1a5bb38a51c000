"""How the atlas finds what has been added to it: every module of a package, whatever it is called."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def modules_in(package: str) -> list[ModuleType]:
    """Return every module and package directly inside a package, sorted by name."""
    folder = importlib.import_module(package).__path__
    names = sorted(module.name for module in pkgutil.iter_modules(folder))
    return [importlib.import_module(f"{package}.{name}") for name in names]
