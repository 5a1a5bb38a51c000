"""One archive with every result table, as Parquet, as CSV and as a DuckDB database."""

from __future__ import annotations

import io
import tempfile
import zipfile
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from peft_atlas.errors import AtlasError
from peft_atlas.files import write_whole
from peft_atlas.result_sets import load, tables_in
from peft_atlas.tables.data_dictionary import data_dictionary
from peft_atlas.version import __version__

# Members carry one date, so that the same tables make the same bytes.
_DATE = (2020, 1, 1, 0, 0, 0)


def export_tables(source: Path, archive: Path) -> list[str]:
    """Write every table of a result set into one zip file and return the names of the tables.

    The archive holds ``parquet/NAME.parquet``, ``csv/NAME.csv`` (UTF-8, empty where a value is missing),
    ``peft_atlas.duckdb`` with a table of each name, and the data dictionary.

    Parameters
    ----------
    source
        Folder of results, or a released bundle.
    archive
        The file to write, whole or not at all.

    Raises
    ------
    AtlasError
        If a table does not obey its contract, if there is none, or if duckdb is not installed.
    """
    if find_spec("duckdb") is None:
        raise AtlasError("export: duckdb is not installed; pip install 'peft-atlas[export]'")
    names = list(tables_in(source))
    if not names:
        raise AtlasError(f"{source}: no result tables; peft-atlas run makes them")
    frames = {name: load(name, source) for name in names}
    members = {"data-dictionary.md": data_dictionary().encode(), "peft_atlas.duckdb": _database(frames)}
    for name, frame in frames.items():
        members[f"csv/{name}.csv"] = frame.to_csv(index=False, lineterminator="\n").encode()
        members[f"parquet/{name}.parquet"] = _parquet(load(name, source, arrow=True))
    write_whole(archive, partial(_write, members))
    return names


def _parquet(table: object) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _database(frames: dict[str, pd.DataFrame]) -> bytes:
    """Return a DuckDB database with a table per data frame."""
    import duckdb

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "peft_atlas.duckdb"
        with duckdb.connect(str(path)) as database:
            for name, frame in frames.items():
                database.register("frame", frame)
                database.execute(f'CREATE TABLE "{name}" AS SELECT * FROM frame')
                database.unregister("frame")
        return path.read_bytes()


def _write(members: dict[str, bytes], path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(members.items()):
            member = zipfile.ZipInfo(f"peft-atlas-{__version__}/{name}", _DATE)
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, content)
