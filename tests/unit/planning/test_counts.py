"""Parameters in closed form against the real classes of transformers and peft, without memory."""

import csv
from pathlib import Path

import peft
import pytest
import random_models as models
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from peft_atlas.errors import AtlasError
from peft_atlas.planning.counts import attach, count
from peft_atlas.planning.methods import METHODS, find_method
from peft_atlas.planning.read_config import FAMILIES as KNOWN
from peft_atlas.planning.read_config import architecture_of
from peft_atlas.planning.shapes import find_architecture, names

TASKS = {models.LM: "CAUSAL_LM", models.SEQ2SEQ: "SEQ_2_SEQ_LM", models.TEXTS: "SEQ_CLS"}


def test_every_family_that_is_read_is_drawn():
    assert {name.split()[0] for name in models.FAMILIES} | {"flux2"} == set(KNOWN)


@pytest.mark.parametrize("family", models.FAMILIES)
@given(seed=st.integers(0, 10**6))
@settings(max_examples=3)
def test_all_parameters_are_those_of_transformers(family, seed):
    model_class, config_of = models.FAMILIES[family]
    config = config_of(models.draw(seed))
    model = models.on_meta(model_class, config)
    found = architecture_of(config.to_dict(), family)
    assert found.parameters == sum(tensor.numel() for tensor in model.parameters())
    modules = {name for name, _ in model.named_modules()}
    listed = [linear.name for _, linear in found.linears() if not linear.stacked]
    assert all(any(name.endswith(f".{wanted}") for name in modules) for wanted in listed)


PEFT = {
    "lora": lambda r, **more: peft.LoraConfig(r=r, **more),
    "dora": lambda r, **more: peft.LoraConfig(r=r, use_dora=True, **more),
    "adalora": lambda r, **more: peft.AdaLoraConfig(init_r=r, target_r=1, total_step=10, **more),
    "loha": lambda r, **more: peft.LoHaConfig(r=r, **more),
    "lokr": lambda r, **more: peft.LoKrConfig(r=r, **more),
    "hira": lambda r, **more: peft.HiraConfig(r=r, **more),
    "fourierft": lambda r, **more: peft.FourierFTConfig(n_frequency=r, **more),
    "oft": lambda r, **more: peft.OFTConfig(r=r, oft_block_size=0, **more),
    "vera": lambda r, **more: peft.VeraConfig(r=r, **more),
    "pvera": lambda r, **more: peft.PveraConfig(r=r, **more),
    "miss": lambda r, **more: peft.MissConfig(r=r, **more),
    "delora": lambda r, **more: peft.DeloraConfig(r=r, **more),
    "gralora": lambda r, **more: peft.GraloraConfig(r=r, gralora_k=2, **more),
    "c3a": lambda r, **more: peft.C3AConfig(block_size=r, **more),
    "randlora": lambda r, **more: peft.RandLoraConfig(r=r, **more),
    "beft": lambda r, **more: peft.BeftConfig(**more),
}


@pytest.mark.parametrize("kind", ["attention", "all-linear"])
@pytest.mark.parametrize("method", PEFT)
def test_what_a_method_trains_is_what_peft_trains(method, kind):
    for seed, family in enumerate(("llama", "bert", "gpt_neox", "t5", "phi3", "gemma3_text")):
        model_class, config_of = models.FAMILIES[family]
        config = config_of(models.draw(seed))
        architecture = architecture_of(config.to_dict(), family)
        attachment = attach(architecture, find_method(method), 4, (kind,))
        targets = sorted({linear.name for _, linear in attachment.linears})
        adapter = PEFT[method](4, target_modules=targets, task_type=TASKS[model_class])
        with torch.device("meta"):
            adapted = peft.get_peft_model(models.on_meta(model_class, config), adapter)
        found = count(architecture, attachment)
        assert (found.trained, found.base + found.added) == adapted.get_nb_trainable_parameters(), family


@pytest.mark.parametrize("method", ["prefix", "prompt", "p-tuning"])
@pytest.mark.parametrize("family", ["llama", "gpt2", "t5", "phi3"])
def test_virtual_tokens_are_those_of_peft(method, family):
    kinds = {"prefix": peft.PrefixTuningConfig, "prompt": peft.PromptTuningConfig, "p-tuning": peft.PromptEncoderConfig}
    model_class, config_of = models.FAMILIES[family]
    config = config_of(models.draw(3))
    adapter = kinds[method](num_virtual_tokens=7, task_type=TASKS[model_class])
    with torch.device("meta"):
        adapted = peft.get_peft_model(models.on_meta(model_class, config), adapter)
    architecture = architecture_of(config.to_dict(), family)
    found = count(architecture, attach(architecture, find_method(method), 7, ()))
    assert found.trained == adapted.get_nb_trainable_parameters()[0]


def test_ia3_scales_keys_values_and_the_inputs_of_the_last_matrix():
    config = models.FAMILIES["llama"][1](models.draw(1))
    adapter = peft.IA3Config(task_type="CAUSAL_LM")
    with torch.device("meta"):
        adapted = peft.get_peft_model(models.on_meta(models.LM, config), adapter)
    architecture = architecture_of(config.to_dict(), "llama")
    found = count(architecture, attach(architecture, find_method("ia3"), None, ()))
    assert found.trained == adapted.get_nb_trainable_parameters()[0]


def test_full_fine_tuning_of_a_classifier_has_its_head_apart():
    architecture = find_architecture("bert-base-uncased")
    found = count(architecture, attach(architecture, find_method("full"), None, ()))
    assert (found.head, found.trained) == (2 * 769, architecture.parameters)
    assert found.percent_of_base == found.percent_of_total == 100


def test_counts_that_sources_print():
    """HF's benchmark prints trainable parameters, the caption of tinker's table parameters a rank."""
    llama = find_architecture("Llama-3.2-3B")
    printed = {
        ("lora", 32, ()): 9_175_040,
        ("lora", 10, ("mlp",)): 9_461_760,
        ("dora", 32, ()): 9_289_728,
        ("ia3", None, ()): 286_720,
        ("vera", 256, ()): 129_024,
        ("full", None, ()): 3_212_749_824,
        ("prefix", 200, ()): 11_468_800,
        ("oft", 32, ()): 8_171_520,
        ("randlora", 32, ()): 9_289_728,
        ("ln-tuning", None, ()): 175_104,
    }
    for (method, rank, targets), expected in printed.items():
        assert count(llama, attach(llama, find_method(method), rank, targets)).trained == expected, method


def test_shipped_shapes_are_read_and_say_where_they_come_from():
    from peft_atlas.planning.shapes import rows

    for row in rows("shapes.csv"):
        assert find_architecture(row["name"]).parameters > 0
        assert row["repository"]
        assert row["path"]
        assert row["commit"]
    assert find_architecture("meta-llama/Llama-3.2-3B-Instruct").parameters == 3_212_749_824
    assert find_architecture("FLUX.2-klein-base-4B").parameters == 3_875_544_576
    assert len(set(names())) == len(names())


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "mamba"}, "model_type 'mamba'.*not known; known: bart, bert"),
        ({"model_type": "gemma3", "text_config": {"model_type": "gemma3_text"}}, "its text_config is 'gemma3_text'"),
        ({"model_type": "llama"}, "no field 'num_attention_heads', which llama needs"),
        ({"model_type": "llama", "num_attention_heads": 8, "num_key_value_heads": 3}, "not a multiple of 3 heads"),
        ({"model_type": "llama", "num_attention_heads": True}, "num_attention_heads True; allowed"),
        ({"model_type": "llama", "num_attention_heads": 8, "hidden_size": 60}, "hidden_size 60 is not a multiple"),
        ({"model_type": "t5", "vocab_size": 9, "tie_word_embeddings": "no"}, "tie_word_embeddings 'no'; allowed"),
    ],
)
def test_what_a_configuration_lacks_is_named(config, words):
    with pytest.raises(AtlasError, match=words):
        architecture_of(config, "a.json")


@pytest.mark.parametrize(
    ("method", "rank", "targets", "words"),
    [
        ("lora", 0, (), "rank 0; allowed"),
        ("lora", 8, ("q_lin",), "target 'q_lin'.*it has q_proj, k_proj"),
        ("prefix", 8, ("q_proj",), "targets q_proj with method 'prefix'"),
        ("oft", 7, (), "oft rank 7: self_attn.q_proj has 3072 inputs; allowed: a divisor"),
    ],
)
def test_what_cannot_be_attached_is_named(method, rank, targets, words):
    llama = find_architecture("Llama-3.2-3B")
    with pytest.raises(AtlasError, match=words):
        count(llama, attach(llama, find_method(method), rank, targets))


def test_an_unknown_method_lists_the_known_ones():
    with pytest.raises(AtlasError, match=r"method 'magic': not known; known: full, lora"):
        find_method("magic")
    assert len({method.name for method in METHODS}) == len(METHODS)


def test_adapters_of_mixtures_leave_the_experts_alone():
    mixtral = find_architecture("Mixtral-8x7B-v0.1")
    found = attach(mixtral, find_method("lora"), 8, ("all-linear",))
    assert {linear.name.split(".")[0] for _, linear in found.linears} == {"self_attn"}


def test_the_table_of_shapes_is_plain_csv():
    path = Path(__file__).parents[3] / "src/peft_atlas/planning/data/shapes.csv"
    with path.open(encoding="utf-8", newline="") as file:
        assert next(csv.reader(file))[:2] == ["name", "model_type"]
