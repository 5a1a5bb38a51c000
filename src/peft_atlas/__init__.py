"""PEFT Atlas: a reproducible analysis of parameter-efficient fine-tuning."""

from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Return `load`, whose module needs pandas, only when it is asked for."""
    if name != "load":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from peft_atlas.result_sets import load

    return load
