"""Files that an earlier configuration made and the present one does not."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from peft_atlas.figures.spec import all_figures
from peft_atlas.snakemake_support.own_command import is_asked_for

_SHOWN = 3


def figures_asked_for() -> set[str]:
    """Return the figures of studies that the command names as targets, also where the configuration leaves them out."""
    return {spec.name for spec in all_figures() if is_asked_for(spec.study)}


def left_over_figures(folder: Path, made: Collection[str]) -> str | None:
    """Return a line about figures that this configuration does not make, None where there is none.

    Parameters
    ----------
    folder
        Folder of the figures; each has a card ``<name>.json``.
    made
        Names of the figures that the configuration makes.
    """
    left = sorted({path.stem for path in folder.glob("*.json")} - set(made))
    if not left:
        return None
    names = ", ".join(left[:_SHOWN]) + (f" and {len(left) - _SHOWN} more" if len(left) > _SHOWN else "")
    figures = "figure is" if len(left) == 1 else "figures are"
    return f"{folder}: {len(left)} {figures} of another configuration and not of this run: {names}"
