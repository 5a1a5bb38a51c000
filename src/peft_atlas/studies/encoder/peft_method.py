"""A configuration of `peft` as a method of the study; nothing here imports `peft`, which takes seconds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PeftMethod:
    """What `peft` is asked for.

    Parameters
    ----------
    text
        The settings as JSON with sorted keys, ``peft_type`` among them. All else has peft's default.
    r, lora_alpha
        Rank and alpha where the settings state them.
    """

    text: str
    r: int | None = None
    lora_alpha: float | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """Return the settings."""
        return dict(json.loads(self.text))


@dataclass(frozen=True)
class PeftSetting:
    """A method of `peft` as the study trains it, with what a `StudySetting` has; ``label`` is the user's name."""

    label: str
    method: PeftMethod
    setting: None = None


def peft_setting(name: str, settings: Mapping[str, Any]) -> PeftSetting:
    """Return a method of `peft` under a name."""
    rank = settings.get("r")
    # With use_rslora the update is scaled by alpha over the root of the rank; the column says alpha over rank.
    alpha = None if settings.get("use_rslora") else settings.get("lora_alpha")
    return PeftSetting(name, PeftMethod(json.dumps(settings, sort_keys=True), rank, alpha))
