"""The claims laboratory's section of the configuration."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from peft_atlas.config_types import Alpha, Count, Ranks, Rates, Section, sorted_unique

Counts = Annotated[tuple[Count, ...], BeforeValidator(sorted_unique), Field(min_length=2, strict=False)]
# Factors on singular values, below 1.
Factors = Annotated[
    tuple[Annotated[float, Field(ge=0, lt=1)], ...],
    BeforeValidator(sorted_unique),
    Field(min_length=1, strict=False),
]
# Four rates per factor of ten.
_RATES = (
    *(1e-4, 1.78e-4, 3.16e-4, 5.62e-4, 1e-3, 1.78e-3, 3.16e-3, 5.62e-3),
    *(1e-2, 1.78e-2, 3.16e-2, 5.62e-2, 1e-1),
)


class LaboratoryConfig(Section):
    """The claims laboratory: the adaptation study's networks, a full-rank shift, and a finer grid of rates."""

    learning_rates: Rates = Field(_RATES, description="the grid that everything searches")
    extensions: int = Field(4, ge=0, le=10, description="how often a grid grows where the chosen rate is at its end")
    ranks: Ranks = Field((1, 2, 4, 8, 16, 32), description="ranks of LoRA over which the best rate is compared")
    alpha: Alpha = Field(16.0, description="alpha where it does not depend on the rank")
    train_examples: Count = Field(4000, description="training examples, except for the question on capacity")
    intruder_top: Count = Field(10, description="left singular vectors of the adapted weight that may be intruders")
    intruder_cosine: float = Field(0.5, gt=0, le=1, description="an intruder's absolute cosines are all below this")
    intruder_factors: Factors = Field((0.0, 0.5, 0.75), description="what intruders' singular values are multiplied by")
    batch_sizes: Counts = Field((16, 64, 256, 1024), description="examples in one step, for the question on batches")
    capacity_examples: Counts = Field((400, 1600, 6400, 25600), description="training examples of the one on capacity")
    capacity_ranks: Ranks = Field((1, 4, 16), description="ranks of LoRA for the question on capacity")
