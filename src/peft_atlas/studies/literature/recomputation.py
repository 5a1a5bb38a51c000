"""Printed parameter counts and percentages next to the documented configurations that give them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pandas as pd

from peft_atlas.studies.literature.printed_numbers import rounds_to, unpadded
from peft_atlas.studies.literature.printed_rows import exact_cells

PERCENT, COUNT = "trainable_params_percent", "trainable_params"
AS_PRINTED, PADDED, NOTHING = "as printed", "without padding zeros", "nothing"
_SCHEDULE = re.compile(r" \(\d+ epochs\)$")


@dataclass(frozen=True)
class Setting:
    """A configuration with its count and the place that documents it."""

    name: str
    documented: str
    trainable: int
    base: int

    @property
    def percent(self) -> float:
        """Return trainable parameters in percent of base and adapter."""
        return 100 * self.trainable / (self.base + self.trainable)

    def fit(self, printed: str, metric: str) -> str:
        """Return how a printed number fits: at its decimals, with padding zeros dropped, or not at all."""
        for text in unpadded(printed):
            if self._gives(text, metric):
                return AS_PRINTED if text == printed else PADDED
        return NOTHING

    def _gives(self, printed: str, metric: str) -> bool:
        if metric == COUNT:
            return Decimal(printed) == self.trainable
        # peft divides by base and adapter, the caption of ReFT v3 by the base alone.
        return any(
            rounds_to(printed, Decimal(100 * self.trainable), of) for of in (self.base + self.trainable, self.base)
        )


def base_method(method: str) -> str:
    """Return a method's name without a schedule: one trained for other epochs has the same parameters."""
    return _SCHEDULE.sub("", method)


def settings_of(parameters: pd.DataFrame) -> dict[tuple[str, str], list[Setting]]:
    """Return the documented configurations by base model and method, as the parameters table lists them."""
    found: dict[tuple[str, str], list[Setting]] = {}
    for row in parameters.drop_duplicates(["base_model", "method", "setting"]).itertuples():
        setting = Setting(row.setting, row.configuration_source, int(row.trainable_params), int(row.base_params))
        found.setdefault((row.base_model, row.method), []).append(setting)
    return found


def match_printed(published: pd.DataFrame, parameters: pd.DataFrame) -> pd.DataFrame:
    """Return every printed count and percentage of a documented method with the configuration that gives it.

    Parameters
    ----------
    published, parameters
        Tables of those contracts.

    Returns
    -------
    pandas.DataFrame
        The columns of ``published``, with ``fit`` (`AS_PRINTED`, `PADDED` or `NOTHING`), ``setting``, ``documented``,
        ``trainable_params`` and ``percent`` of the configuration that fits, or else of the nearest one, and ``tried``,
        how many there are.
    """
    settings = settings_of(parameters)
    cells = exact_cells(published)
    cells = cells[((cells["metric"] == PERCENT) | ((cells["metric"] == COUNT) & (cells["unit"] == "count")))]
    rows = [{**cell, **best} for cell in cells.to_dict("records") for best in _matches(cell, settings)]
    columns = [*published.columns, "fit", "setting", "documented", "trainable_params", "percent", "tried"]
    return pd.DataFrame(rows, columns=columns)


def _matches(cell: dict[Any, Any], settings: dict[tuple[str, str], list[Setting]]) -> Iterator[dict[str, Any]]:
    """Return the best configuration for a cell, or nothing where its method is not documented for its model."""
    candidates = settings.get((cell["base_model"], base_method(cell["method"])), [])
    if not candidates:
        return
    order = (AS_PRINTED, PADDED, NOTHING)
    fits = [(setting.fit(cell["printed"], cell["metric"]), setting) for setting in candidates]
    fit, best = min(fits, key=lambda pair: (order.index(pair[0]), _distance(pair[1], cell)))
    yield {
        "fit": fit,
        "setting": best.name,
        "documented": best.documented,
        "trainable_params": best.trainable,
        "percent": best.percent,
        "tried": len(candidates),
    }


def _distance(setting: Setting, cell: dict[Any, Any]) -> float:
    """Return how far a configuration is from a printed number, as a ratio."""
    reached = setting.percent if cell["metric"] == PERCENT else setting.trainable
    printed = max(float(cell["value"]), 1e-12)
    return max(reached / printed, printed / reached)
