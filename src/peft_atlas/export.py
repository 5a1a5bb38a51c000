"""One archive with every result table, as Parquet, as CSV and as a DuckDB database."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from peft_atlas.describe.crate import CRATE, ro_crate
from peft_atlas.describe.croissant import CROISSANT, croissant
from peft_atlas.describe.origins import origins
from peft_atlas.errors import AtlasError
from peft_atlas.files import temporary_folder, write_whole
from peft_atlas.result_sets import load, read_configuration, tables_in
from peft_atlas.tables.data_dictionary import data_dictionary
from peft_atlas.version import __version__

# Members carry one date, so that the same tables make the same bytes.
_DATE = (2020, 1, 1, 0, 0, 0)
_EMPTY_DATABASE = 10_000_000


def export_tables(source: Path, archive: Path) -> list[str]:
    """Write every table of a result set into one zip file and return the names of the tables.

    The archive holds ``parquet/NAME.parquet``, ``csv/NAME.csv`` (UTF-8, empty where a value is missing),
    ``peft_atlas.duckdb`` with a table of each name, the data dictionary, the configuration where it is known, and two
    descriptions: ``croissant.json`` of the Parquet files, and ``ro-crate-metadata.json`` of all files.

    Parameters
    ----------
    source
        Folder of results, or a released bundle.
    archive
        The file to write, whole or not at all.

    Raises
    ------
    AtlasError
        If a table does not obey its contract, if there is none, if duckdb is not installed, or if there is no room for
        temporary files.
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
    if configuration := read_configuration(source):
        members["config.yaml"] = configuration
    members |= described(members, {name: f"parquet/{name}.parquet" for name in names}, frames, date_of(source))
    write_whole(archive, partial(_write, members))
    return names


def described(
    files: Mapping[str, bytes], tables: Mapping[str, str], frames: Mapping[str, pd.DataFrame], date: str, code: str = ""
) -> dict[str, bytes]:
    """Return the files that describe an archive, by name.

    Parameters
    ----------
    files
        Content of the archive by path.
    tables
        Path of each Parquet table in it, by name.
    frames
        The tables by name.
    date, code
        Date of the results, and commit of the code that made them, if known.
    """
    sources = origins(frames)
    named = {name: (path, files[path]) for name, path in tables.items()}
    first = {CROISSANT: _json(croissant(named, sources, date))}
    return {**first, CRATE: _json(ro_crate({**files, **first}, sources, date, code))}


def date_of(source: Path) -> str:
    """Return the day on which a folder's newest table, or a bundle, was written, ISO 8601."""
    files = source.glob("*.parquet") if source.is_dir() else [source]
    newest = max(file.stat().st_mtime for file in files)
    return datetime.fromtimestamp(newest, tz=UTC).date().isoformat()


def _json(content: object) -> bytes:
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def _parquet(table: object) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _database(frames: dict[str, pd.DataFrame]) -> bytes:
    """Return a DuckDB database with a table per data frame."""
    import duckdb

    # As large as in memory at most; an empty database takes its first blocks.
    needed = sum(int(frame.memory_usage(deep=True).sum()) for frame in frames.values())
    with temporary_folder(needed + _EMPTY_DATABASE) as folder:
        path = folder / "peft_atlas.duckdb"
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
