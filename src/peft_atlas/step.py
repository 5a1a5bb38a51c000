"""One job of the workflow as its function sees it: what it reads, what it writes, and its parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from peft_atlas.tables.contract import read_table, read_tables, write_table
from peft_atlas.tables.schemas import CONTRACTS


@dataclass(frozen=True)
class Step:
    """A job's named inputs, outputs, parameters and wildcards.

    Parameters
    ----------
    inputs, outputs
        Paths by name, a list of paths where a name has several.
    params, wildcards
        Values by name.
    """

    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    wildcards: Mapping[str, str] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        """Return the one input, or the first of several, with this name."""
        found = self.inputs[name]
        return Path(found if isinstance(found, str | Path) else found[0])

    def paths(self, name: str) -> list[Path]:
        """Return the inputs with this name, none where the rule has none."""
        found = self.inputs.get(name, ())
        return [Path(found)] if isinstance(found, str | Path) else [Path(path) for path in found]

    def output(self, name: str) -> Path:
        """Return the one output, or the first of several, with this name."""
        found = self.outputs[name]
        return Path(found if isinstance(found, str | Path) else found[0])

    def read(self, name: str, contract: str | None = None) -> pd.DataFrame:
        """Return an input as a table of the contract of this name, or of another."""
        return read_table(CONTRACTS[contract or name], self.path(name))

    def read_all(self, name: str, contract: str | None = None) -> pd.DataFrame:
        """Return several inputs of one contract as one table, sorted by its key."""
        return read_tables(CONTRACTS[contract or name], self.paths(name))

    def write(self, name: str, rows: pd.DataFrame | Iterable[Mapping[str, Any]]) -> None:
        """Write an output as a table of the contract of this name."""
        write_table(CONTRACTS[name], rows, self.output(name))
