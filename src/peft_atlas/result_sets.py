"""Result tables for use elsewhere: read and compared, from a folder of results or from the released bundle."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from peft_atlas.errors import AtlasError
from peft_atlas.tables.contract import Contract, checked_frame
from peft_atlas.tables.schemas import CONTRACTS
from peft_atlas.version import __version__
from peft_atlas.workflow_command import workflow_root

RESULTS = Path("results")


def released_bundle() -> Path:
    """Return the path of the bundle of tables that was released with this version."""
    return workflow_root() / "docs" / f"peft-atlas-{__version__}.zip"


def load(name: str, source: str | Path | None = None, *, arrow: bool = False) -> Any:
    """Return a result table.

    Parameters
    ----------
    name
        Name of the table, for example ``runs``; `peft_atlas.tables.schemas.CONTRACTS` has all.
    source
        Folder of results, or a released bundle (a zip file). By default ``results`` in the current folder where it
        has the table, and the bundle released with this version elsewhere.
    arrow
        Return an Arrow table, whose schema gives unit and meaning of each column, in place of a pandas one.

    Returns
    -------
    pandas.DataFrame or pyarrow.Table
        One row per key of the contract. The data frame has the units in ``attrs["units"]``, the meanings in
        ``attrs["descriptions"]`` and the place it was read from in ``attrs["source"]``.

    Raises
    ------
    AtlasError
        If there is no table of this name, or no file of it, or the file does not obey its contract.
    """
    contract = _contract(name)
    place = Path(source) if source is not None else _default_place(name)
    table = _read(contract, place)
    frame = checked_frame(contract, table, place)
    if arrow:
        return table
    frame.attrs["source"] = str(place)
    frame.attrs["units"] = {column.name: column.unit for column in contract.columns}
    frame.attrs["descriptions"] = {column.name: column.description for column in contract.columns}
    return frame


def _contract(name: str) -> Contract:
    if name not in CONTRACTS:
        raise AtlasError(f"table {name!r}: unknown; allowed: {', '.join(sorted(CONTRACTS))}")
    return CONTRACTS[name]


def _default_place(name: str) -> Path:
    return RESULTS if (RESULTS / f"{name}.parquet").is_file() else released_bundle()


def _read(contract: Contract, place: Path) -> Any:
    """Return an Arrow table from a folder or a bundle."""
    member = f"{contract.name}.parquet"
    if place.is_dir():
        path, content = place / member, None
    else:
        path, content = place, _member(place, f"results/{member}")
    try:
        return pq.read_table(path if content is None else io.BytesIO(content))
    except FileNotFoundError:
        raise AtlasError(f"{path}: no such file; peft-atlas run makes it") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise AtlasError(f"{path}: {member} is not complete ({str(error).splitlines()[0]})") from None


def _member(bundle: Path, name: str) -> bytes:
    """Return a file of a bundle."""
    try:
        with zipfile.ZipFile(bundle) as archive:
            return archive.read(name)
    except FileNotFoundError:
        raise AtlasError(f"{bundle}: no such file; allowed: a folder of results, or a released bundle") from None
    except (zipfile.BadZipFile, KeyError) as error:
        raise AtlasError(f"{bundle}: {name} cannot be read from it ({error})") from None


def read_configuration(place: Path) -> bytes | None:
    """Return the configuration that a folder or a bundle was made with; None where it does not hold it."""
    if place.is_dir():
        path = place / "config.yaml"
        return path.read_bytes() if path.is_file() else None
    with zipfile.ZipFile(place) as archive:
        return archive.read("results/config.yaml") if "results/config.yaml" in archive.namelist() else None


def tables_in(place: Path) -> Iterator[str]:
    """Yield the names of the tables that a folder or a bundle holds."""
    if place.is_dir():
        found = {path.stem for path in place.glob("*.parquet")}
    elif place.is_file():
        with zipfile.ZipFile(place) as archive:
            found = {Path(name).stem for name in archive.namelist() if name.endswith(".parquet")}
    else:
        raise AtlasError(f"{place}: no such folder or file; allowed: a folder of results, or a released bundle")
    yield from sorted(found & set(CONTRACTS))


def changed_findings(before: str | Path, after: str | Path) -> pd.DataFrame:
    """Return how findings differ between two result sets.

    Parameters
    ----------
    before, after
        Folders of results, or released bundles.

    Returns
    -------
    pandas.DataFrame
        One row per finding that differs, by ``kind`` and ``id``: ``change`` is ``added``, ``gone``, ``verdict`` or
        ``effect``; with statement, unit, and verdict and effect of both, null where a set lacks the finding.
    """
    key = ["kind", "id"]
    sets = [load("findings", place)[[*key, "statement", "verdict", "effect", "unit"]] for place in (before, after)]
    both = sets[0].merge(sets[1], on=key, how="outer", suffixes=("_before", "_after"), indicator="change")
    same = (both["verdict_before"] == both["verdict_after"]) & (
        (both["effect_before"] == both["effect_after"]) | (both["effect_before"].isna() & both["effect_after"].isna())
    )
    both["change"] = both["change"].astype(str).replace({"left_only": "gone", "right_only": "added"})
    stays = both["change"] == "both"
    both.loc[stays, "change"] = "effect"
    both.loc[stays & (both["verdict_before"] != both["verdict_after"]), "change"] = "verdict"
    for name in ("statement", "unit"):
        both[name] = both[f"{name}_after"].fillna(both[f"{name}_before"])
    shown = ["change", *key, "statement", "verdict_before", "verdict_after", "effect_before", "effect_after", "unit"]
    return both.loc[~(stays & same), shown].sort_values(["change", *key], kind="stable").reset_index(drop=True)
