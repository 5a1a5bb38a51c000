"""The configuration: what is wrong stops with one line that names key, value and what is allowed."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from peft_atlas.config import StudyConfig, config_schema, load_config
from peft_atlas.errors import AtlasError
from peft_atlas.studies.notebook.jobs import seed_blocks


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"notebok": {}}, ["notebok", "unknown key", "notebook"]),
        ({"notebook": {"rank": [1]}}, ["notebook.rank", "unknown key", "ranks"]),
        ({"figures": {"style": {"colour": "red"}}}, ["figures.style.colour", "'red'", "palette"]),
        ({"notebook": {"ranks": [0, 1]}}, ["notebook.ranks.0", "= 0", "greater than or equal to 1"]),
        ({"notebook": {"ranks": []}}, ["notebook.ranks", "at least 1"]),
        ({"notebook": {"alphas": []}}, ["notebook.alphas", "at least 1"]),
        ({"notebook": {"alphas": [-1.0]}}, ["notebook.alphas.0", "-1.0", "greater than 0"]),
        ({"notebook": {"alphas": [float("nan")]}}, ["notebook.alphas.0", "nan"]),
        ({"notebook": {"ranks": [2, 2]}}, ["notebook.ranks", "once"]),
        ({"notebook": {"ranks": ["eight"]}}, ["notebook.ranks.0", "'eight'", "integer"]),
        ({"notebook": {"ranks": 8}}, ["notebook.ranks", "= 8", "list"]),
        ({"notebook": {"learning_rate": "fast"}}, ["notebook.learning_rate", "'fast'", "number"]),
        ({"notebook": {"epochs": 0}}, ["notebook.epochs", "= 0"]),
        ({"notebook": {"epochs": True}}, ["notebook.epochs", "= True"]),
        ({"notebook": {"dropout": 1.0}}, ["notebook.dropout", "less than 1"]),
        ({"notebook": None}, ["notebook", "None"]),
        ({"notebook": {"data": {"train_examples": 100}}}, ["published_test_examples", "200", "100"]),
        ({"encoder": {"tasks": [{"name": "mine"}]}}, ["encoder.tasks.0", "give file or dataset", "trec6"]),
        ({"encoder": {"tasks": [{"name": "trec6", "colour": 1}]}}, ["tasks.0.colour", "unknown key", "label"]),
        ({"encoder": {"tasks": [{"name": "trec6", "methods": ["LoRa"]}]}}, ["methods.0", "'LoRa'", "'LoRA+'"]),
        ({"encoder": {"tasks": [{"name": "trec6", "methods": ["BitFit"]}]}}, ["tasks.0", "full must be among them"]),
        ({"encoder": {"tasks": [{"name": "trec6"}, {"name": "trec6"}]}}, ["encoder", "each name once", "trec6"]),
        ({"encoder": {"tasks": [{"name": "a/b", "file": "x.csv"}]}}, ["tasks.0.name", "'a/b'"]),
        ({"encoder": {"rates": {"full": [0.0]}}}, ["encoder.rates.full.0", "= 0.0", "greater than 0"]),
        ({"seeds": [-1]}, ["seeds.0", "= -1", "greater than or equal to 0"]),
        ({"seeds": -3}, ["seeds", "= -3", "between 1 and"]),
        ({"seeds": 0}, ["seeds", "= 0", "between 1 and"]),
        ({"seeds": 10**9}, ["seeds", "1000000000", "10000"]),
        ({"seeds": [1, 1]}, ["seeds", "once"]),
        ({"seeds": "twenty"}, ["seeds", "'twenty'"]),
        ({"seeds": True}, ["seeds", "True"]),
        ({"seeds": [1, "two"]}, ["seeds.1", "'two'", "integer"]),
        ({"device": "gpu"}, ["device", "'gpu'", "'auto', 'cpu' or 'cuda'"]),
    ],
)
def test_a_fault_is_named_in_one_line(values, words):
    with pytest.raises(AtlasError) as caught:
        load_config(values)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("config: ")
    for word in words:
        assert word in message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
keys = st.sampled_from(["seeds", "device", "notebook", "figures", "statistics", "ranks", "$(rm)", "../../x"])


@given(st.dictionaries(keys, json_values, max_size=3))
def test_any_values_give_a_study_or_one_line(values):
    message = ""
    try:
        load_config(values)
    except AtlasError as error:
        message = str(error)
    assert "\n" not in message
    assert len(message) < 2000


def test_seeds_are_a_count_or_a_list():
    assert load_config({"seeds": 3}).seeds == (0, 1, 2)
    assert load_config({"seeds": [5, 2]}).seeds == (2, 5)


@given(st.integers(1, 60), st.integers(1, 70))
def test_blocks_hold_every_seed_once(seeds, size):
    study = load_config({"seeds": seeds, "notebook": {"seeds_per_job": size}})
    blocks = seed_blocks(study)
    assert [seed for block in blocks.values() for seed in block] == list(study.seeds)
    assert all(1 <= len(block) <= size for block in blocks.values())


def test_config_yaml_holds_every_key_with_its_default(root):
    written = yaml.safe_load((root / "config.yaml").read_text(encoding="utf-8"))
    assert load_config(written) == StudyConfig()

    def keys_of(values):
        return {key: keys_of(value) for key, value in values.items()} if isinstance(values, dict) else None

    assert keys_of(written) == keys_of(json.loads(StudyConfig().model_dump_json()))


def test_every_shipped_configuration_is_valid(root):
    shipped = [root / "config.yaml", *sorted((root / "workflow").glob("*.yaml"))]
    assert len(shipped) >= 2
    for path in shipped:
        load_config(yaml.safe_load(path.read_text(encoding="utf-8")))


def test_the_schema_file_is_the_models(root):
    written = json.loads((root / "workflow/schemas/config.schema.json").read_text(encoding="utf-8"))
    assert written == config_schema(), "run: make schema"


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"shift_ranks": [65]}, "adaptation.shift_ranks = 65: allowed: at most 64"),
        ({"data": {"features": 8}}, "adaptation.shift_ranks = 64: allowed: at most 8"),
        ({"alpha_sweep": {"shift_rank": 99}}, "adaptation.alpha_sweep.shift_rank = 99: allowed: at most 64"),
        ({"learning_rates": [0]}, "adaptation.learning_rates.0 = 0"),
        ({"equivalence_margin": 1}, "adaptation.equivalence_margin = 1"),
    ],
)
def test_a_wrong_adaptation_section_is_named(section, words):
    with pytest.raises(AtlasError) as caught:
        load_config({"adaptation": section})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_opt_in_study_runs_only_where_it_is_named():
    assert "laboratory" not in load_config({}).studies
    assert load_config({"studies": ["laboratory"]}).studies == ("laboratory",)


def test_a_shift_of_the_second_weight_must_fit_it():
    with pytest.raises(AtlasError, match=r"adaptation\.placement\.shift_rank = 11: allowed: at most 10"):
        load_config({"adaptation": {"placement": {"shift_rank": 11}}})
