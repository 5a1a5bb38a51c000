"""The Parquet contracts: what does not keep to one is named and never half read or half written."""

import io

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peft_atlas.errors import AtlasError
from peft_atlas.tables.contract import read_table, read_tables, write_table
from peft_atlas.tables.schemas import CONTRACTS, COSTS, FINDINGS
from peft_atlas.tables.table_digest import table_digest

ROWS = [
    {**COSTS.blank(), "rule": "b", "job": "2", "wall_seconds": 2.0, "peak_memory_mb": 10.0},
    {**COSTS.blank(), "rule": "a", "job": "1", "wall_seconds": 1.0, "cpu_seconds": 0.5},
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "costs.parquet"


def test_rows_come_back_sorted_and_missing_stays_missing(path):
    write_table(COSTS, ROWS, path)
    back = read_table(COSTS, path)
    assert back["rule"].tolist() == ["a", "b"]
    assert pd.isna(back["peak_memory_mb"][0])
    assert pd.isna(back["cpu_seconds"][1])
    assert pq.read_table(path)["cpu_seconds"].null_count == 1


def test_the_same_rows_in_another_order_give_the_same_bytes(path, tmp_path):
    write_table(COSTS, ROWS, path)
    write_table(COSTS, pd.DataFrame(ROWS[::-1]), tmp_path / "again.parquet")
    assert path.read_bytes() == (tmp_path / "again.parquet").read_bytes()


def test_the_file_says_units_and_contract(path):
    write_table(COSTS, ROWS, path)
    schema = pq.read_schema(path)
    assert schema.metadata[b"contract"] == b"costs"
    assert schema.field("wall_seconds").metadata[b"unit"] == b"s"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"wall_seconds": "long"}, "long"),
        ({"rule": None}, "rule"),
        ({"speed": 1}, "speed"),
        ({"job": "1", "rule": "a"}, "share the key"),
        ({"wall_seconds": float("inf")}, "inf; allowed: null or a finite number"),
        ({"wall_seconds": float("nan")}, "nan; allowed: null or a finite number"),
    ],
)
def test_a_wrong_row_is_refused_and_nothing_is_written(path, change, words):
    rows = [{**ROWS[0], **change}, ROWS[1]]
    with pytest.raises(AtlasError, match=words) as caught:
        write_table(COSTS, rows, path)
    assert "\n" not in str(caught.value)
    assert not path.exists()
    assert not path.parent.exists() or not list(path.parent.iterdir())


def test_an_unknown_verdict_is_refused(path):
    row = dict.fromkeys((column.name for column in FINDINGS.columns), None)
    row |= {"kind": "claim", "id": "x", "position": 0, "study": "s", "statement": "s", "source": "s", "evidence": "e"}
    with pytest.raises(AtlasError, match=r"verdict .*'perhaps'.*supported"):
        write_table(FINDINGS, [{**row, "verdict": "perhaps"}], path)


@given(cut=st.floats(0, 0.999))
def test_a_truncated_file_is_named(cut, tmp_path_factory):
    path = tmp_path_factory.mktemp("cut") / "costs.parquet"
    write_table(COSTS, ROWS, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(cut * len(data))])
    with pytest.raises(AtlasError, match=r"costs\.parquet: not a complete Parquet file") as caught:
        read_table(COSTS, path)
    assert "\n" not in str(caught.value)


@given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_changes_no_value_in_silence(position, bit, tmp_path_factory):
    path = tmp_path_factory.mktemp("flipped") / "costs.parquet"
    write_table(COSTS, ROWS, path)
    before, data = read_table(COSTS, path), bytearray(path.read_bytes())
    data[int(position * len(data))] ^= 1 << bit
    path.write_bytes(data)
    try:
        after = read_table(COSTS, path)
    except AtlasError:
        return
    pd.testing.assert_frame_equal(after, before)


def test_values_of_every_type_are_in_the_digest():
    columns = {
        "text": pa.array(["a", "bc", None]),
        "whole": pa.array([1, 2, None]),
        "number": pa.array([1.0, -0.5, None]),
        "flag": pa.array([True, False, None]),
        "list": pa.array([[1, 2], [3], None]),
        "nested": pa.array([[["a"], ["b", "c"]], [[]], None]),
    }
    changed = {
        "text": [["ab", "c", None], ["a", "bc", ""], ["a", "bd", None]],
        "whole": [[1, 2, 0], [1, None, 2]],
        "number": [[1.0, -0.5, 0.0], [1.0, 0.5, None]],
        "flag": [[True, False, False], [False, False, None]],
        "list": [[[1], [2, 3], None], [[1, 2], [3], []], [[1, 2], [4], None]],
        "nested": [[[["a", "b"], ["c"]], [[]], None], [[["a"], ["b", "c"]], [], None]],
    }
    first = table_digest(pa.table(columns))
    found = [
        table_digest(pa.table({**columns, name: pa.array(values, columns[name].type)}))
        for name, each in changed.items()
        for values in each
    ]
    assert len({first, *found}) == 1 + len(found)
    stored = io.BytesIO()
    pq.write_table(pa.table(columns), stored)
    assert table_digest(pq.read_table(stored)) == first
    parts = pa.concat_tables([pa.table(columns).slice(0, 1), pa.table(columns).slice(1)])
    assert table_digest(parts) == first


def test_a_foreign_table_is_named(path):
    path.parent.mkdir()
    pq.write_table(pa.table({"x": [1]}), path)
    with pytest.raises(AtlasError, match=r"holds a foreign table version none, expected costs version 3"):
        read_table(COSTS, path)


def test_a_table_of_another_contract_is_named(path):
    write_table(COSTS, ROWS, path)
    with pytest.raises(AtlasError, match="holds costs version 3, expected findings version 4"):
        read_table(FINDINGS, path)


def test_a_missing_file_is_named(path):
    with pytest.raises(AtlasError, match="no such file"):
        read_table(COSTS, path)


def test_one_bad_part_stops_the_whole(path, tmp_path):
    write_table(COSTS, ROWS, path)
    other = tmp_path / "other.parquet"
    other.write_text("not a table")
    with pytest.raises(AtlasError, match=r"other\.parquet"):
        read_tables(COSTS, [path, other])


def test_a_failed_write_leaves_the_old_file(path, monkeypatch):
    write_table(COSTS, ROWS, path)
    before = path.read_bytes()

    def fail(*_args, **_kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr(pq, "write_table", fail)
    with pytest.raises(OSError, match="No space"):
        write_table(COSTS, ROWS[:1], path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["costs.parquet"]


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)
def test_every_contract_says_what_its_columns_mean(contract):
    names = [column.name for column in contract.columns]
    assert len(set(names)) == len(names)
    assert set(contract.key) <= set(names)
    assert all(column.description for column in contract.columns)
