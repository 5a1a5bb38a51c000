"""Types shared by the sections of the configuration: counts, ranks, rates and seeds, each with its limits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MAX_SEEDS = 10_000


def expand_seeds(value: object) -> object:
    """Expand a count n to the seeds 0..n-1; leave anything else unchanged."""
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    if not 1 <= value <= MAX_SEEDS:
        raise ValueError(f"a count must be between 1 and {MAX_SEEDS}, or give a list of seeds")
    return tuple(range(value))


def sorted_unique(values: object) -> object:
    """Sort a list into a tuple; duplicates are errors, since they would train the same run twice."""
    # Leave nested lists to the type check: with YAML aliases, one can be endless when written out.
    if not isinstance(values, list | tuple) or any(isinstance(value, list | tuple | dict) for value in values):
        return values
    # Numbers by value: 1 and 1.0 are one alpha. A truth value is no number here.
    if len({value if type(value) in (int, float) else str(value) for value in values}) != len(values):
        raise ValueError("each value may be given only once")
    try:
        return tuple(sorted(values))
    except TypeError:
        return tuple(values)


Seed = Annotated[int, Field(ge=0, lt=2**31)]
Rank = Annotated[int, Field(ge=1, le=4096)]
Alpha = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
Dropout = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Epochs = Annotated[int, Field(ge=1, le=10_000)]
Seeds = Annotated[
    tuple[Seed, ...],
    BeforeValidator(sorted_unique),
    BeforeValidator(expand_seeds),
    Field(min_length=1, max_length=MAX_SEEDS, strict=False),
]
Ranks = Annotated[tuple[Rank, ...], BeforeValidator(sorted_unique), Field(min_length=1, strict=False)]
Formats = Annotated[
    tuple[Literal["pdf", "png", "svg"], ...], BeforeValidator(sorted_unique), Field(min_length=1, strict=False)
]
Alphas = Annotated[tuple[Alpha, ...], BeforeValidator(sorted_unique), Field(min_length=1, strict=False)]

Rate = Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)]
Rates = Annotated[tuple[Rate, ...], BeforeValidator(sorted_unique), Field(min_length=1, strict=False)]

# auto: bfloat16 where the device has instructions for it.
Precision = Literal["float32", "auto"]


class Section(BaseModel):
    """Base of all configuration sections: strict types, no unknown keys, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
