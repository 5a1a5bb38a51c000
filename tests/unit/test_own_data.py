"""A user's own texts are read as they are in the file; what is no classification is refused in one line."""

import contextlib
import csv
import unicodedata

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peft_atlas.errors import AtlasError
from peft_atlas.studies.encoder.data.classes import check_classes, class_warnings, sizes_in_words
from peft_atlas.studies.encoder.data.prepare import labelled_texts
from peft_atlas.studies.encoder.data.sources import Source, load_source, read_source
from peft_atlas.texts.columns import is_blank
from peft_atlas.texts.normal_form import digest, normalised

CELLS = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=12)
PAIRS = st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=20)


def own(path, content, **columns):
    """Return the source that a CSV file of this content is."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return Source("mine", file=path, **columns)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PAIRS)
def test_what_was_written_is_what_is_read(tmp_path, pairs):
    path = tmp_path / "mine.csv"
    frame = pd.DataFrame(pairs, columns=["text", "label"], dtype=object)
    # Text that looks like other rows within one field cannot be told from a stray quotation mark.
    plain = ~frame["text"].str.contains("[,\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
    frame = frame[plain]
    whole = frame[[not is_blank(text) and not is_blank(label) for text, label in frame.itertuples(index=False)]]
    frame.to_csv(path, index=False, quoting=csv.QUOTE_ALL)
    if whole.empty:
        with pytest.raises(AtlasError):
            read_source(Source("mine", file=path))
        return
    assert read_source(Source("mine", file=path)).to_dict("list") == whole.to_dict("list")


@pytest.mark.parametrize("rows", ["kind words,x\nrude words,y", '"kind words,x'])
def test_other_readers_keep_their_limit_of_a_field(tmp_path, rows):
    before = csv.field_size_limit()
    with contextlib.suppress(AtlasError):
        read_source(own(tmp_path / "mine.csv", f"text,label\n{rows}\n"))
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    "labels", [["None", "NA", "null"], ["n/a", "nan", "NULL"], ["1", "01", "001"], ["1.0", "1", "1e0"], ["True", "1"]]
)
def test_labels_and_texts_are_text_of_any_kind(tmp_path, labels):
    texts = ["N/A", "1e5", "100000", "0100000", "NA", "-"]
    rows = [f"{text},{labels[place % len(labels)]}" for place, text in enumerate(texts)]
    found = read_source(own(tmp_path / "m.csv", "text,label\n" + "\n".join(rows)))
    assert found["text"].tolist() == texts
    assert set(found["label"]) == set(labels)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["dark, cold room,neg", "warm,pos"], "line 2 has 3 fields; allowed: 2"),
        (["a,x", "b,y", "c,d,x"], "line 4 has 3 fields"),
        (['"a\nb",x', "c,d,x"], "line 4 has 3 fields"),
        (['"kind words,x', "rude words,y"], "line 2: a quotation mark is opened and not closed"),
        (['"kind words,x', "rude words,y", '"warm,x'], "line 2: .*opened and closed within a text in line 4"),
        (['he said "no",x', '"kind,x', "rude,y", 'warm",x', "cold,y"], "row from line 3 to 5 holds other rows"),
    ],
)
def test_a_row_that_does_not_fit_is_named_by_its_line(tmp_path, rows, words):
    with pytest.raises(AtlasError, match=words) as caught:
        read_source(own(tmp_path / "m.csv", "text,label\n" + "\n".join(rows) + "\n"))
    assert "m.csv" in str(caught.value)


def test_an_unquoted_comma_behind_a_first_label_is_named(tmp_path):
    with pytest.raises(AtlasError, match="line 2 has 3 fields"):
        read_source(own(tmp_path / "m.csv", "label,text\npos,kind, words\nneg,rude words\n"))


def test_trailing_commas_and_texts_of_several_lines_are_read_and_noted(tmp_path):
    loaded = load_source(own(tmp_path / "m.csv", 'text,label\n"a\nb",x,\nc,y,\n\nd,x,\ne,y,\n'))
    assert loaded.rows["text"].tolist() == ["a\nb", "c", "d", "e"]
    assert loaded.read == 4
    assert loaded.notes == (
        "1 rows of m.csv have line breaks within a field, the first in line 2",
        "4 rows of m.csv have empty fields after the last column, the first in line 2",
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"text,label\n", r"no row has both a text and a label \(0 rows"),
        ("text,label\nä,x\n".encode("latin-1"), "line 2 is not UTF-8 .*allowed: UTF-8"),
        ("text,label\na,x\n".encode("utf-16"), "looks like UTF-16"),
        (b"text;label\na;x\n", "no column text; allowed: .*is it separated by ';'"),
        (b"text, label\na,x\n", "no column label; allowed: text, ' label'"),
        (b"text,text,label\na,b,x\n", "2 columns are called 'text'"),
        (b"text,label\na\0b,x\n", "line 2 holds a NUL"),
        (b"text,label\na,x\nb\rc,x\n", "line 3: a carriage return in a field"),
    ],
)
def test_another_format_is_one_line(tmp_path, content, words):
    with pytest.raises(AtlasError, match=words):
        read_source(own(tmp_path / "m.csv", content))


def test_a_byte_order_mark_and_windows_line_ends_are_no_content(tmp_path):
    source = own(tmp_path / "m.csv", "\ufefftext,label\r\na b,x\r\nc,y\r\n".encode())
    assert read_source(source).to_dict("list") == {"text": ["a b", "c"], "label": ["x", "y"]}


def test_carriage_returns_alone_end_lines_where_nothing_else_does(tmp_path):
    assert read_source(own(tmp_path / "m.csv", b"text,label\ra,x\rb,y\r"))["text"].tolist() == ["a", "b"]


def test_every_row_of_a_file_is_accounted_for(tmp_path):
    rows = ["a,x", "A,x", "b,x", "b,y", ",x", " ,y", "\u200b,y", "c,", "d, ", "e,y", "f,x"]
    found = labelled_texts(own(tmp_path / "m.csv", "text,label\n" + "\n".join(rows)))
    account = found.cleaning
    assert (account.read, account.without_text, account.without_label) == (11, 3, 2)
    assert (account.repeated, account.contradictory, account.used) == (1, 2, 3)
    assert sorted(found.rows["text"]) == ["a", "e", "f"]


@pytest.mark.parametrize(
    ("texts", "labels", "words"),
    [
        (["a", "b", "c"], ["same"] * 3, "one class, 'same'; allowed: at least 2"),
        (list("abcdef"), ["pos", "neg", "Pos", "neg", "pos", "neg"], r"'Pos' \(1 rows\) and 'pos' \(2 rows\) differ"),
        (list("abcdef"), ["pos", "neg", "pos ", "neg", "pos", "neg"], "differ only in case or blanks"),
        (list("abcdef"), ["é", "neg", "e\u0301", "neg", "é", "neg"], "differ only in case"),
        (list("abcd"), list("wxyz"), "4 classes in 4 rows, .*regression, or are text and label swapped"),
        (["pos", "neg"] * 3, ["long", "text", "here", "long", "text", "here"], "2 texts, 3 classes; .*swapped"),
        ([f"t{n}" for n in range(90)], [str(n % 30 / 10) for n in range(90)], "30 labels are numbers.*regression"),
        (["a", "b"] * 3, ["a", "b"] * 3, "text and label are equal in every row"),
    ],
)
def test_what_is_no_classification_is_refused(texts, labels, words):
    with pytest.raises(AtlasError, match=words):
        check_classes("mine", texts, labels)


def test_a_rating_is_a_task_with_a_warning():
    labels = ["0.5", "1", "1.0", "2"] * 5
    check_classes("mine", [f"t{n}" for n in range(20)], labels)
    assert list(class_warnings(labels)) == [
        "labels are numbers with fractions, as 0.5, and are taken as classes",
        "labels 1 and 1.0 are equal as numbers and are taken as two classes",
    ]
    assert sizes_in_words(labels) == "4 classes: 0.5 5, 1 5, 1.0 5, 2 5"


def test_contradictions_that_leave_one_class_are_refused(tmp_path):
    with pytest.raises(AtlasError, match=r"1 classes are left of 6 rows, 4 of which .*; allowed: at least 2"):
        labelled_texts(own(tmp_path / "m.csv", "text,label\na,x\na,y\nb,x\nb,y\nc,x\nd,x\n"))


@given(st.text(max_size=20))
def test_composition_of_characters_makes_no_other_text(text):
    forms = {digest(unicodedata.normalize(form, text)) for form in ("NFC", "NFD")}
    assert forms == {digest(text)}
    assert normalised(normalised(text)) == normalised(text)


def parquet(path, **columns):
    pq.write_table(pa.table(columns), path)
    return Source("mine", file=path)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (pa.array([0, None, 1, 0], pa.int64()), ["0", "1", "0"]),
        (pa.array([True, False, None, True]), ["True", "False", "True"]),
        (pa.array([0.0, 1.0, float("nan"), 1.0]), ["0.0", "1.0", "1.0"]),
        (pa.array(["None", "NA", "nan", ""]), ["None", "NA", "nan"]),
        (pa.array(["x", "y", None, "x"]).dictionary_encode(), ["x", "y", "x"]),
        (pa.array([b"x", b"y", b"x", None], pa.binary()), ["x", "y", "x"]),
        (pa.array(["1.10", "1.1", "2", None], pa.large_string()), ["1.10", "1.1", "2"]),
    ],
)
def test_parquet_values_become_text_as_they_are(tmp_path, labels, expected):
    source = parquet(tmp_path / "m.parquet", text=pa.array(list("abcd")), label=labels)
    assert read_source(source)["label"].tolist() == expected


def test_an_index_that_pandas_saved_is_a_column(tmp_path):
    pd.DataFrame({"text": ["a", "b"], "label": ["x", "y"]}).set_index("text").to_parquet(tmp_path / "m.parquet")
    assert read_source(Source("mine", file=tmp_path / "m.parquet"))["text"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("text", [["a", "b"], ["c"]], r"column text holds list<.*; allowed: text"),
        ("text", [{"en": "a"}, {"en": "b"}], r"column text holds struct<.*; allowed: text"),
        ("text", [1, 2], "column text holds int64; allowed: text"),
        ("label", [["a"], ["b"]], r"column label holds list<.*; allowed: text, whole numbers"),
        ("label", [b"\xff", b"x"], "bytes that are not UTF-8"),
    ],
)
def test_columns_of_other_types_are_refused(tmp_path, column, values, words):
    columns = {"text": pa.array(["a", "b"]), "label": pa.array(["x", "y"]), column: pa.array(values)}
    with pytest.raises(AtlasError, match=words):
        read_source(parquet(tmp_path / "m.parquet", **columns))


def test_a_small_file_of_large_content_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("peft_atlas.studies.encoder.data.parquet_file.MAX_BYTES", 100_000)
    source = parquet(tmp_path / "m.parquet", text=["x" * 1000] * 1000, label=["a", "b"] * 500)
    assert source.file.stat().st_size < 10_000
    with pytest.raises(AtlasError, match="more than 100,000 bytes when decoded"):
        read_source(source)


def test_a_file_too_large_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "m.csv").open("wb") as file:
        file.truncate(5 * 10**9)
    with pytest.raises(AtlasError, match="5,000,000,000 bytes; allowed: at most"):
        read_source(Source("mine", file=tmp_path / "m.csv"))


def test_the_files_of_a_data_set_are_text_and_hidden_labels_are_none(tmp_path):
    (tmp_path / "train.csv").write_text("text,label\na,0\nb,1\n01,None\n")
    (tmp_path / "test.csv").write_text("text,label\nc,-1\nd,-1\n")
    (tmp_path / "more.csv").write_text("text\ne\n")
    loaded = read_source(Source("mine", dataset=str(tmp_path)))
    assert loaded.to_dict("list") == {"text": ["a", "b", "01"], "label": ["0", "1", "None"]}
