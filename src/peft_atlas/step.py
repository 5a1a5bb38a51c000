"""A job of the workflow as its Python function sees it: inputs, outputs and parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from peft_atlas.tables.configuration_mark import configuration_digest
from peft_atlas.tables.contract import read_table, read_tables, write_table
from peft_atlas.tables.schemas import CONTRACTS


@dataclass(frozen=True)
class Step:
    """A job's named inputs, outputs, parameters and wildcards.

    Parameters
    ----------
    inputs, outputs
        Paths by name; a list of paths if a name has several.
    params, wildcards
        Values by name.
    """

    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    wildcards: Mapping[str, str] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        """Path of the input with this name, or of the first if there are several."""
        found = self.inputs[name]
        return Path(found if isinstance(found, str | Path) else found[0])

    def paths(self, name: str) -> list[Path]:
        """All inputs with this name, possibly none."""
        found = self.inputs.get(name, ())
        return [Path(found)] if isinstance(found, str | Path) else [Path(path) for path in found]

    def output(self, name: str) -> Path:
        """Path of the output with this name, or of the first if there are several."""
        found = self.outputs[name]
        return Path(found if isinstance(found, str | Path) else found[0])

    def read(self, name: str, contract: str | None = None) -> pd.DataFrame:
        """Read an input as a table of the contract with the same name, or of another one."""
        return read_table(CONTRACTS[contract or name], self.path(name))

    def read_all(self, name: str, contract: str | None = None) -> pd.DataFrame:
        """Read several inputs of one contract into one table, sorted by its key."""
        return read_tables(CONTRACTS[contract or name], self.paths(name))

    def write(self, name: str, rows: pd.DataFrame | Iterable[Mapping[str, Any]]) -> None:
        """Write an output as a table of the contract with the same name, marked with the parameter ``config``."""
        config = self.params.get("config")
        write_table(CONTRACTS[name], rows, self.output(name), None if config is None else configuration_digest(config))
