"""The study's section of the configuration."""

from __future__ import annotations

from pydantic import Field

from peft_atlas.config_types import Count, Section


class CoinConfig(Section):
    """The coin study."""

    tosses: Count = Field(100, description="tosses per seed")
