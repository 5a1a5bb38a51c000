"""Two thousand files of users: columns, quoting, encodings and types; each row accounted for, or one line."""

import csv
import io

import pyarrow as pa
import pyarrow.parquet as pq
from fuzzing import cases, damaged, outcome, tally

from peft_atlas.studies.encoder.data.prepare import labelled_texts
from peft_atlas.studies.encoder.data.sources import Source

LABELS = [
    *(["pos", "neg"], ["None", "NA", "null"], ["1", "01", "001"], ["1.0", "1", "2"], ["a", "A"], ["x", "x "], ["same"]),
    *(["", "y", "z"], ["é", "e\u0301"], ["True", "False"], ["0.5", "1.25", "3.75"], ["yes, really", "no"]),
]
WORDS = ["glad", "grim", "1e5", "NA", "null", "river, boat", 'he said "no"', "line\nbreak", "", "café", "😀", "01"]


def rows(draw):
    """Return texts and labels of one kind."""
    labels, count = draw.choice(LABELS), draw.choice([0, 5, 40, 40, 40, 40])
    texts = [
        " ".join([*draw.choices(WORDS, k=draw.randint(0, 4)), draw.choice(["", str(place)])]) for place in range(count)
    ]
    return [(text, draw.choice(labels)) for text in texts]


def as_csv(draw, pairs):
    """Return a CSV file, as different programs write it."""
    swapped, columns = (
        draw.random() < 0.2,
        draw.choice([["text", "label"], ["text", "label", ""], ["id", "text", "label"]]),
    )
    file = io.StringIO()
    writer = csv.writer(
        file,
        delimiter=draw.choice(",,,,,,,,,;\t"),
        quoting=draw.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_ALL, csv.QUOTE_NONE]),
        quotechar='"',
        escapechar="\\",
        lineterminator=draw.choice(["\n", "\r\n", "\r"]),
    )
    writer.writerow(columns)
    for place, (text, label) in enumerate(pairs):
        cells = {"text": label if swapped else text, "label": text if swapped else label, "id": place, "": ""}
        writer.writerow([cells[column] for column in columns])
    data = file.getvalue().encode(draw.choice([*["utf-8"] * 6, "utf-8-sig", "utf-16", "cp1252"]), "replace")
    return damaged(draw, data) if draw.random() < 0.25 else data


def as_parquet(draw, pairs, path):
    """Write a Parquet file with columns of many types."""
    labels = [label for _, label in pairs]
    choices = [
        pa.array(labels), pa.array(labels).dictionary_encode(), pa.array([len(label) for label in labels]),
        pa.array([bool(label) for label in labels]), pa.array([float(len(label)) for label in labels]),
        pa.array([None for _ in labels]), pa.array([[label] for label in labels], pa.list_(pa.string())),
        pa.array([{"a": label} for label in labels], pa.struct({"a": pa.string()})),
        pa.array([label.encode() for label in labels], pa.binary()),
        pa.array([draw.choice([None, 0, 1]) for _ in labels]),
    ]  # fmt: skip
    own = pa.array([text for text, _ in pairs])
    texts = draw.choice([*[own] * 20, *choices])
    pq.write_table(pa.table({"text": texts, draw.choice(["label", "label", "class"]): draw.choice(choices)}), path)
    if draw.random() < 0.2:
        path.write_bytes(damaged(draw, path.read_bytes()))


def check(path):
    """Read a file and account for its rows."""
    found = labelled_texts(Source("mine", file=path))
    account = found.cleaning
    left_out = (account.repeated, account.contradictory, account.without_text, account.without_label)
    assert min(left_out) >= 0
    assert account.read == len(found.rows) + sum(left_out)
    assert found.rows["label"].nunique() > 1


def case(draw, folder):
    """Write one file and return whether it was read."""
    pairs, path = rows(draw), folder / draw.choice(["m.csv", "m.csv", "m.csv", "m.parquet"])
    if path.suffix == ".csv":
        path.write_bytes(as_csv(draw, pairs))
    else:
        as_parquet(draw, pairs, path)
    return outcome(check, path)


def test_files_of_users(tmp_path):
    counts = tally("files of users", (case(draw, tmp_path) for draw in cases("own data", 2_000)))
    assert set(counts) == {"valid", "refused"}
