"""What the machine or cluster that a study runs on offers, as its profile says; it never changes a result."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from peft_atlas.errors import AtlasError

# A job on another node reads the Snakefile too, but not the profile's limits: it learns them from here.
_OFFER = "PEFT_ATLAS_GPUS"
# The default resource by which a site says that it wants `--gres=<this>:1` in place of `--gpus=1`.
GRES = "gpu_gres"


def share_gpus(limits: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> int:
    """Return the GPUs that the site offers, and tell the jobs that this process starts.

    Parameters
    ----------
    limits
        Values of ``--resources``, by name, as the profile or the command line gives them: ``gpu`` is what a site
        offers at once.
    environment
        Where a process that a cluster started finds what was passed to the first one.

    Raises
    ------
    AtlasError
        If the number is not a whole number from 0.
    """
    value = limits.get("gpu", environment.get(_OFFER, 0))
    text = str(value)
    if not text.isdecimal():
        raise AtlasError(f"resources: gpu = {text!r}: allowed: a whole number from 0")
    os.environ[_OFFER] = text
    return int(text)


def gpu_request(device: str, offered: int, gres: str | None = None) -> dict[str, Any]:
    """Return the resources of a rule that can use a GPU.

    Parameters
    ----------
    device
        The study's: ``cpu`` never asks, ``cuda`` always, ``auto`` where the site offers a GPU.
    offered
        GPUs that the site offers.
    gres
        Slurm's name of the site's GPUs, as ``gpu:a100``, where it wants them asked for by ``--gres``.
    """
    # A resource of 0 would still be passed to a cluster, so a rule without a GPU has none.
    if device == "cpu" or (device == "auto" and not offered):
        return {}
    return {"gres": f"{gres}:1"} if gres else {"gpu": 1}
