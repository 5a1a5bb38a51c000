"""PEFT Atlas: a reproducible analysis of parameter-efficient fine-tuning."""

from typing import Any

from peft_atlas.version import __version__

__all__ = ["__version__", "load"]


def __getattr__(name: str) -> Any:
    """Return `load`, whose module needs pandas, only when it is asked for."""
    if name != "load":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from peft_atlas.result_sets import load

    return load
