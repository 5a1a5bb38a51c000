"""The Croissant and RO-Crate descriptions of an export, read by the libraries of these formats or by their rules."""

import hashlib
import json
import zipfile

import mlcroissant
import pandas as pd
import pytest
import yaml

from peft_atlas.export import export_tables
from peft_atlas.result_sets import released_bundle
from peft_atlas.tables.schemas import CONTRACTS


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Return the folder that an export of the released tables unpacks to."""
    folder = tmp_path_factory.mktemp("export")
    export_tables(released_bundle(), folder / "all.zip")
    with zipfile.ZipFile(folder / "all.zip") as opened:
        opened.extractall(folder)
    return next(path for path in folder.iterdir() if path.is_dir())


def test_croissant_is_valid_and_leads_to_the_rows(archive):
    dataset = mlcroissant.Dataset(jsonld=str(archive / "croissant.json"))
    assert dataset.metadata.ctx.issues.errors == set()
    assert dataset.metadata.ctx.issues.warnings == set()
    expected = pd.read_parquet(archive / "parquet/conflicts.parquet")
    read = list(dataset.records("conflicts"))
    assert [row["conflicts/metric"].decode() for row in read] == expected["metric"].tolist()
    assert [row["conflicts/lowest"] for row in read] == expected["lowest"].tolist()


def test_croissant_has_every_column_with_its_unit(archive):
    described = json.loads((archive / "croissant.json").read_text(encoding="utf-8"))
    sets = {each["name"]: each for each in described["recordSet"]}
    assert sets.keys() == {path.stem for path in (archive / "parquet").iterdir()}
    for name, each in sets.items():
        fields = {field["name"]: field["description"] for field in each["field"]}
        assert list(fields) == [column.name for column in CONTRACTS[name].columns]
        for column in CONTRACTS[name].columns:
            assert not column.unit or f"Unit: {column.unit}." in fields[column.name]


def references(value):
    """Yield every id that a JSON-LD value refers to."""
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(inner, dict) and inner.keys() == {"@id"}:
            yield inner["@id"]
        else:
            yield from references(inner)


def test_the_crate_obeys_ro_crate_1_1(archive):
    """What https://www.researchobject.org/ro-crate/specification/1.1 says must be there."""
    crate = json.loads((archive / "ro-crate-metadata.json").read_text(encoding="utf-8"))
    entities = {each["@id"]: each for each in crate["@graph"]}
    assert crate["@context"] == "https://w3id.org/ro/crate/1.1/context"
    assert len(entities) == len(crate["@graph"])
    descriptor, root = entities["ro-crate-metadata.json"], entities["./"]
    assert descriptor["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    assert descriptor["about"] == {"@id": "./"}
    assert {"name", "description", "datePublished", "license"} <= root.keys()
    assert pd.Timestamp(root["datePublished"]).year >= 2024
    known = {*entities, "https://w3id.org/ro/crate/1.1"}
    assert {name for each in crate["@graph"] for name in references(each)} <= known


def test_the_crate_lists_every_file_with_its_digest(archive):
    crate = json.loads((archive / "ro-crate-metadata.json").read_text(encoding="utf-8"))
    entities = {each["@id"]: each for each in crate["@graph"]}
    parts = {part["@id"] for part in entities["./"]["hasPart"]}
    files = {str(path.relative_to(archive)) for path in archive.rglob("*") if path.is_file()}
    assert parts == files - {"ro-crate-metadata.json"}
    for name in parts:
        assert entities[name]["sha256"] == hashlib.sha256((archive / name).read_bytes()).hexdigest()
    assert entities["#run"]["object"] == [{"@id": "config.yaml"}]


def test_every_repository_of_the_record_has_its_licence_stated(archive, root):
    licences = yaml.safe_load((root / "data/published/runs/licences.yaml").read_text(encoding="utf-8"))
    found = set()
    for path in (archive / "parquet").glob("*.parquet"):
        frame = pd.read_parquet(path)
        found |= set(frame["repository"]) if "repository" in frame else set()
    assert found == set(licences)
    crate = json.loads((archive / "ro-crate-metadata.json").read_text(encoding="utf-8"))
    entities = {each["@id"]: each for each in crate["@graph"]}
    assert entities["https://github.com/huggingface/peft"]["license"] == {"@id": "https://spdx.org/licenses/Apache-2.0"}
    assert entities["https://github.com/yuang-lee/lr-matters-lora"]["license"].startswith("No licence known")
    based = {each["@id"] for each in entities["parquet/tuning_audit.parquet"]["isBasedOn"]}
    assert based == {"https://github.com/yuang-lee/lr-matters-lora"}
