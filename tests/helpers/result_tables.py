"""Result tables of a finished run, for tests that look at many of them."""

from pathlib import Path

from peft_atlas.tables.contract import read_table
from peft_atlas.tables.names import ADDED
from peft_atlas.tables.schemas import CONTRACTS


def read_results(folder, names):
    """Read the named tables of a results folder, each checked; those of added runs only where there are such."""
    paths = {name: Path(folder) / f"{name}.parquet" for name in names}
    return {
        name: read_table(CONTRACTS[name], path) for name, path in paths.items() if name not in ADDED or path.exists()
    }
