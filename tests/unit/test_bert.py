"""Our staged BERT against the one of `transformers`, and what cannot be loaded."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from peft_atlas.errors import AtlasError
from peft_atlas.methods.attach import attach
from peft_atlas.methods.lora import LoRA
from peft_atlas.methods.method import Members
from peft_atlas.models.bert import load_bert, random_bert, read_shape
from peft_atlas.models.encoder import HEAD, TextClassifier, load_encoder
from peft_atlas.population import SeedDropout
from peft_atlas.studies.encoder.config import ENCODER_SETTINGS
from peft_atlas.studies.encoder.train import find_setting

IDS = torch.tensor([[2, 5, 9, 30, 3], [2, 7, 3, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], dtype=torch.bool)


def test_hidden_states_are_those_of_transformers(tiny_model):
    from transformers import BertModel

    theirs = BertModel.from_pretrained(tiny_model, add_pooling_layer=False).eval()
    ours = load_bert(tiny_model).eval()
    with torch.no_grad():
        expected = theirs(input_ids=IDS, attention_mask=MASK.long()).last_hidden_state
        found = ours.run(IDS, MASK, 0, 3)
    torch.testing.assert_close(found[MASK], expected[MASK], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("stop", [0, 1, 2, 3])
def test_running_stages_in_two_parts_changes_nothing(tiny_model, stop):
    model = load_bert(tiny_model)
    parts = model.run(model.run(IDS, MASK, 0, stop), MASK, stop, 3)
    assert torch.equal(parts, model.run(IDS, MASK, 0, 3))


def test_padding_does_not_change_an_embedding(tiny_model):
    model = TextClassifier(load_encoder(tiny_model), 2, 0)
    short, whole = IDS[1:, :3], model.embed(IDS, MASK)
    torch.testing.assert_close(model.embed(short, torch.ones_like(short, dtype=torch.bool))[0], whole[1])


def test_checkpoints_of_older_names_are_read(tiny_model, tmp_path):
    def old(name):
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        return f"bert.{name}"

    tensors = load_file(tiny_model / "model.safetensors")
    save_file({old(name): tensor for name, tensor in tensors.items()}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((tiny_model / "config.json").read_bytes())
    found, expected = load_bert(tmp_path).state_dict(), load_bert(tiny_model).state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_file_that_lacks_a_weight_is_named(tiny_model, tmp_path):
    tensors = load_file(tiny_model / "model.safetensors")
    tensors.pop("encoder.layer.1.attention.self.query.weight")
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((tiny_model / "config.json").read_bytes())
    with pytest.raises(AtlasError, match=r"model\.safetensors: lacks encoder\.layer\.1\.attention\.self\.query"):
        load_bert(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"model_type": "gpt2"}, "'gpt2'.*allowed: bert"), ({"hidden_act": "relu"}, "relu.*allowed: bert with gelu")],
)
def test_another_architecture_is_refused(tiny_model, tmp_path, change, words):
    stated = json.loads((tiny_model / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**stated, **change}))
    with pytest.raises(AtlasError, match=words):
        load_encoder(tmp_path)


def test_random_weights_are_keyed_by_seed_and_have_berts_spread(tiny_model):
    shape = read_shape(tiny_model)
    first, again, other = (random_bert(shape, seed).state_dict() for seed in (1, 1, 2))
    name = "embeddings.word_embeddings.weight"
    assert torch.equal(first[name], again[name])
    assert not torch.equal(first[name], other[name])
    assert float(first[name].std()) == pytest.approx(shape.initializer_range, rel=0.1)


def test_only_an_adapters_dropout_ever_trains(tiny_model):
    attached = attach(TextClassifier(load_encoder(tiny_model), 2, 0), LoRA(lora_dropout=0.5, target_modules=("query",)))
    attached.model.train()
    training = [module for module in attached.model.encoder.modules() if module.training]
    assert training
    assert all(isinstance(module, SeedDropout) for module in training)


@pytest.fixture(scope="module")
def tiny_roberta(tmp_path_factory):
    """Return the folder of a RoBERTa with two layers, 16 wide, which goes through `transformers` itself."""
    from transformers import RobertaConfig, RobertaModel

    folder = tmp_path_factory.mktemp("tiny_roberta")
    config = RobertaConfig(
        vocab_size=64, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=40, pad_token_id=1,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        RobertaModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", [name for name in ENCODER_SETTINGS if name != "head only"])
def test_every_method_trains_on_an_encoder_of_transformers(tiny_roberta, name):
    model = TextClassifier(load_encoder(tiny_roberta), 2, 0)
    attached = attach(model, find_setting(name, 16).method, Members(seeds=(0,)), HEAD)
    assert model.frozen_stages() == 0
    loss = torch.nn.functional.cross_entropy(model(IDS, MASK), torch.tensor([0, 1]))
    loss.backward()
    adapter = {key: p for key, p in attached.trainable().items() if not key.startswith("head.")}
    assert any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in adapter.values())
