"""A user's changed file, folder or model is another parameter of its rules, whatever the times of the files."""

import os
import shutil

import pytest

from peft_atlas.config import load_config
from peft_atlas.snakemake_support import content as module
from peft_atlas.snakemake_support.content import content_digest
from peft_atlas.snakemake_support.model_location import model_content
from peft_atlas.studies.encoder.jobs import task_content


@pytest.fixture
def study(tmp_path, tiny_model, monkeypatch):
    """Return a study of a user's file, folder and model, which lie in the current folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_model, "model")
    (tmp_path / "texts/deep").mkdir(parents=True)
    for name in ("mine.csv", "texts/train.csv", "texts/deep/test.csv"):
        (tmp_path / name).write_text("text,label\na,x\nb,y\n")
    tasks = [{"name": "file", "file": "mine.csv"}, {"name": "folder", "dataset": "texts"}]
    return load_config({"encoder": {"model": "model", "tasks": tasks}}).encoder


def digests(study):
    """Return the digests that the rules of a study carry."""
    return {"model": model_content(study.model), **{task.name: task_content(task) for task in study.tasks}}


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("mine.csv", "file"),
        ("texts/train.csv", "folder"),
        ("texts/deep/test.csv", "folder"),
        ("model/config.json", "model"),
        ("model/model.safetensors", "model"),
        ("model/tokenizer.json", "model"),
    ],
)
def test_a_file_replaced_by_one_of_an_older_time_is_seen(study, tmp_path, file, changed):
    before, path = digests(study), tmp_path / file
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    os.utime(path, (1e9, 1e9))
    after = digests(study)
    assert {name for name, digest in after.items() if digest != before[name]} == {changed}


def test_new_and_renamed_files_of_a_folder_are_seen_and_touched_or_hidden_ones_are_not(study, tmp_path):
    before = digests(study)
    (tmp_path / "texts/.cache.lock").write_text("x")
    os.utime(tmp_path / "texts/train.csv", (1e9, 1e9))
    assert digests(study) == before
    (tmp_path / "texts/train.csv").rename(tmp_path / "texts/training.csv")
    renamed = digests(study)
    (tmp_path / "texts/more.csv").write_text("text,label\nc,x\n")
    assert len({found["folder"] for found in (before, renamed, digests(study))}) == 3


def test_a_moved_study_has_the_same_digests(study, tmp_path, monkeypatch):
    before = digests(study)
    moved = shutil.copytree(tmp_path, tmp_path.with_name("moved"), copy_function=shutil.copy)
    monkeypatch.chdir(moved)
    assert digests(study) == before


def test_names_on_the_hub_and_packaged_texts_have_none():
    tasks = [{"name": "trec6"}, {"name": "hub", "dataset": "owner/set"}]
    found = load_config({"encoder": {"model": "owner/bert", "tasks": tasks}}).encoder
    assert digests(found) == {"model": None, "trec6": None, "hub": None}


def test_a_large_file_is_read_once_until_it_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "_SMALL", 4)
    read, found = [], module._read
    monkeypatch.setattr(module, "_read", lambda file: (read.append(file), found(file))[1])
    path = tmp_path / "large"
    path.write_bytes(b"12345")
    first = content_digest([path], tmp_path)
    assert content_digest([path], tmp_path) == first
    assert len(read) == 1
    path.write_bytes(b"54321")
    os.utime(path, (1e9, 1e9))
    assert content_digest([path], tmp_path) != first
    assert len(read) == 2


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_SMALL", 4)
    monkeypatch.setattr(module, "_KEPT", tmp_path / "file/no_folder")
    (tmp_path / "file").write_bytes(b"12345")
    assert len(content_digest([tmp_path / "file", tmp_path / "missing"], tmp_path)) == 16
