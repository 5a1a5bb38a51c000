"""One statement with its verdict and evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import pandas as pd

from peft_atlas.analysis.power import POWER
from peft_atlas.analysis.statistics import Estimate, interval_name
from peft_atlas.errors import AtlasError

SEED_NOTEBOOK = "seed notebook"
ATLAS = "PEFT Atlas"
POINTS = "percentage points"
# What is not found to differ; such a statement is empty without the difference that would have been found.
INDISTINGUISHABLE = "statistically indistinguishable from"


def _signed(value: float, digits: int) -> str:
    """Return a number with its sign; what rounds to zero is not negative."""
    return f"{round(value, digits) + 0.0:+.{digits}f}"


@dataclass(frozen=True)
class Effect:
    """The number that a finding rests on, with its interval.

    Parameters
    ----------
    size
        The effect; None where it was not measured.
    unit
        Unit of ``size``, ``low``, ``high`` and ``detectable``.
    low, high
        Ends of the interval.
    interval
        Name of the interval.
    n
        Seeds, cells or rows that it rests on.
    detectable
        Smallest effect that the comparison would detect with a power of 80 %.
    """

    size: float | None
    unit: str | None = None
    low: float | None = None
    high: float | None = None
    interval: str | None = None
    n: int | None = None
    detectable: float | None = None

    @classmethod
    def of_contrast(cls, contrast: pd.Series[Any]) -> Effect:
        """Return the effect of a row of the contract ``contrasts``, fractions as percentage points."""
        names = ("difference", "low", "high", "detectable")
        size, low, high, detectable = (None if pd.isna(contrast[c]) else 100 * contrast[c] for c in names)
        return cls(size, POINTS, low, high, contrast["interval"], int(contrast["n"]), detectable)

    @classmethod
    def of_estimate(
        cls, estimate: Estimate, confidence: float, unit: str, scale: float = 1.0, detectable: float | None = None
    ) -> Effect:
        """Return the effect of a paired estimate over seeds; all of it, ``detectable`` too, is times ``scale``."""
        if unit == POINTS:
            estimate = estimate.within(-100 / scale, 100 / scale)
        values = (estimate.mean, estimate.low, estimate.high, detectable)
        size, low, high, detectable = (None if value is None else scale * value for value in values)
        return cls(size, unit, low, high, interval_name(confidence) + ", paired", estimate.n, detectable)

    @property
    def excludes_zero(self) -> bool:
        """Return whether the interval is known and does not contain 0."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high

    def in_words(self, digits: int = 1, unit: str = POINTS) -> str:
        """Return the effect with its interval as text, for example ``+0.6 percentage points [+0.2, +1.1]``."""
        if self.size is None:
            return "not measured"
        interval = ""
        if self.low is not None and self.high is not None:
            # Runs that are all alike, such as two of few test examples, say nothing of how far others would differ.
            alike = self.low == self.high
            ends = f"[{self._end(self.low, digits)}, {self._end(self.high, digits)}]"
            interval = " (no spread between runs)" if alike else f" {ends}"
        return f"{_signed(self.size, digits)}{' ' if unit else ''}{unit}{interval}"

    def _end(self, value: float, digits: int) -> str:
        """Return an end of the interval; rounding does not give an end of 0 to an interval that excludes 0."""
        return f"{value:+.1g}" if self.excludes_zero and not round(value, digits) else _signed(value, digits)

    def detectable_in_words(self, digits: int = 1, unit: str = "points") -> str:
        """Return what the comparison could have found, for example ``detectable with 80 % power: 1.2 points``."""
        if self.detectable is None:
            return "detectable difference unknown"
        return f"detectable with {100 * POWER:g} % power: {self.detectable:.{digits}f} {unit}"


@dataclass(frozen=True)
class Finding:
    """A row of the contract ``findings``; ``evidence`` names a table and the columns that select its rows.

    The statement of an ``advice`` is an imperative, and its detail the number it rests on, with interval and scope.

    Raises
    ------
    AtlasError
        If it calls results indistinguishable and does not say which difference would have been detected.
    """

    kind: Literal["advice", "answer", "claim", "erratum", "check"]
    id: str
    study: str
    statement: str
    source: str
    verdict: str
    evidence: str
    detail: str | None = None
    effect: Effect | None = None

    def __post_init__(self) -> None:
        text = f"{self.statement} {self.detail or ''}"
        known = self.effect is not None and self.effect.detectable is not None
        # Two runs, or runs that are all alike, cannot say what they would have detected; then the text must say that.
        if "indistinguishable" in text and not ("detectable" in text and (known or "unknown" in text)):
            raise AtlasError(
                f"finding {self.id!r} calls results indistinguishable without the smallest detectable difference: "
                f"give its effect a detectable value and say it in the text: {text!r}"
            )

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Finding:
        """Return the finding that a row of the contract ``findings`` holds."""
        known: dict[str, Any] = {name: None if pd.isna(value) else value for name, value in row.items()}
        numbers = {field.name: known.get(field.name) for field in fields(Effect) if field.name != "size"}
        own: dict[str, Any] = {field.name: known[field.name] for field in fields(cls) if field.name != "effect"}
        return cls(**own, effect=Effect(known["effect"], **numbers))

    def row(self, position: int) -> dict[str, Any]:
        """Return the finding as a row of the contract ``findings``."""
        effect = asdict(self.effect or Effect(None))
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return own | {"effect": effect.pop("size")} | effect | {"position": position}


def as_rows(findings: Iterable[Finding]) -> pd.DataFrame:
    """Return findings as rows of the contract ``findings``, in the order they are given."""
    return pd.DataFrame([finding.row(place) for place, finding in enumerate(findings)])
