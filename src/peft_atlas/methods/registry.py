"""Every method of this package; a new file with a new `Method` is all that one takes to appear in every study."""

from __future__ import annotations

import inspect

from peft_atlas.discovery import modules_in
from peft_atlas.methods.method import Method, Sites, Sizes, StudySetting


def all_methods() -> dict[str, type[Method]]:
    """Return every method by its name, sorted by it."""
    found: dict[str, type[Method]] = {}
    for module in modules_in("peft_atlas.methods"):
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, Method) and not inspect.isabstract(kind) and kind.__module__ == module.__name__:
                found[kind.name] = kind
    return dict(sorted(found.items()))


def study_settings(sites: Sites, sizes: Sizes) -> list[StudySetting]:
    """Return what a study of a model with these sites trains: the settings of every method that fits it."""
    return [setting for method in all_methods().values() for setting in method.study_settings(sites, sizes)]
