"""Our staged decoder against those of `transformers`, what cannot be loaded, and where methods attach."""

import json

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from peft_atlas.errors import AtlasError
from peft_atlas.methods.attach import attach
from peft_atlas.methods.bitfit import BitFit
from peft_atlas.methods.full import FullFineTuning
from peft_atlas.methods.head_only import HeadOnly
from peft_atlas.methods.method import Members, Sizes
from peft_atlas.methods.registry import study_settings
from peft_atlas.models.decoder import (
    SMALL,
    decoder_sites,
    load_decoder,
    parameter_counts,
    random_llama,
)
from peft_atlas.models.llama import Llama
from peft_atlas.models.llama_shape import check_decoder, read_shape, weight_shapes

SIZES = {
    "vocab_size": 97, "hidden_size": 48, "intermediate_size": 56, "num_hidden_layers": 3, "num_attention_heads": 6,
    "num_key_value_heads": 2, "initializer_range": 0.3,
}  # fmt: skip
SCALED = {
    "rope_type": "llama3", "rope_theta": 500_000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}  # fmt: skip
STRETCHED = {"rope_type": "linear", "rope_theta": 10_000.0, "factor": 4.0}
KINDS = {
    "llama": ("LlamaConfig", {"tie_word_embeddings": True}),
    "llama with biases": ("LlamaConfig", {"attention_bias": True, "mlp_bias": True}),
    "llama 3": ("LlamaConfig", {"head_dim": 16, "rope_parameters": SCALED}),
    "llama stretched": ("LlamaConfig", {"rope_parameters": STRETCHED}),
    "mistral": ("MistralConfig", {"sliding_window": 64, "head_dim": 16}),
    "qwen2": ("Qwen2Config", {"tie_word_embeddings": True}),
    "qwen3": ("Qwen3Config", {"head_dim": 16, "attention_bias": True}),
}
IDS = torch.randint(0, 97, (3, 40), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module", params=KINDS)
def theirs(request, tmp_path_factory):
    """Return a model of transformers with random weights, biases too, and the folder where it is saved."""
    import transformers

    kind, settings = KINDS[request.param]
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        config = getattr(transformers, kind)(**SIZES, **settings)
        model = transformers.AutoModelForCausalLM.from_config(config).eval()
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.normal_(1.0, 0.3)
    folder = tmp_path_factory.mktemp("theirs")
    model.save_pretrained(folder)
    return model, folder


def test_logits_are_those_of_transformers(theirs):
    model, folder = theirs
    with torch.no_grad():
        expected, found = model(IDS).logits, load_decoder(folder)(IDS)
    assert float(expected.abs().max()) > 1
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_counts_are_those_of_transformers(theirs):
    model, folder = theirs
    total, inner = parameter_counts(load_decoder(folder))
    assert total == sum(parameter.numel() for parameter in model.parameters())
    assert inner == sum(p.numel() for name, p in model.named_parameters() if "embed" not in name and "head" not in name)


def test_the_shapes_looked_for_are_those_of_the_module(theirs):
    shape = read_shape(theirs[1])
    with torch.device("meta"):
        built = {name: tuple(tensor.shape) for name, tensor in Llama(shape).state_dict().items()}
    if shape.tie_word_embeddings:
        del built["lm_head.weight"]
    assert dict(weight_shapes(shape)) == built


@pytest.fixture
def saved(tmp_path):
    """Return a folder with a small Mistral as transformers saves it, and its configuration."""
    from transformers import AutoModelForCausalLM, MistralConfig

    AutoModelForCausalLM.from_config(MistralConfig(**SIZES)).save_pretrained(tmp_path)
    return tmp_path


def test_weights_in_several_files_are_read(saved, tmp_path):
    from transformers import AutoModelForCausalLM

    AutoModelForCausalLM.from_pretrained(saved).save_pretrained(tmp_path / "parts", max_shard_size="50KB")
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 1
    assert torch.equal(load_decoder(tmp_path / "parts")(IDS), load_decoder(saved)(IDS))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_type": "gpt2"}, "model_type = 'gpt2': allowed: llama, mistral, qwen2, qwen3"),
        ({"model_type": "gemma3_text"}, "model_type = 'gemma3_text': allowed"),
        ({"hidden_act": "gelu"}, "hidden_act = 'gelu': allowed: 'silu'"),
        ({"num_key_value_heads": 4}, "num_key_value_heads = 4: allowed: a divisor of the 6 heads"),
        ({"num_hidden_layers": 0}, "num_hidden_layers = 0: allowed: a whole number from 1"),
        ({"head_dim": 7}, "head_dim = 7: allowed: an even number"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "rope_type = 'yarn': allowed: default, linear, llama3"),
        ({"rope_parameters": {"rope_type": "llama3", "factor": 2.0}}, "'llama3' without low_freq_factor"),
        ({"rope_parameters": "long"}, "rope_scaling = 'long': allowed: a mapping"),
        ({"intermediate_size": 57}, r"weight layers\.0\.mlp\.gate_proj\.weight is .*\[56, 48\]; allowed: \[57, 48\]"),
        ({"tie_word_embeddings": False, "vocab_size": 98}, r"allowed: \[98, 48\]"),
    ],
)
def test_another_architecture_is_refused_in_one_line(saved, change, words):
    stated = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps({**stated, **change}))
    with pytest.raises(AtlasError, match=words) as raised:
        load_decoder(saved)
    assert "\n" not in str(raised.value)


def test_a_folder_is_checked_without_its_weights_being_loaded(saved):
    with pytest.raises(AtlasError, match=r"tokenizer\.json: no such file"):
        check_decoder(saved)
    tensors = load_file(saved / "model.safetensors")
    del tensors["model.layers.1.self_attn.k_proj.weight"]
    save_file(tensors, saved / "model.safetensors")
    with pytest.raises(AtlasError, match=r"lacks layers\.1\.self_attn\.k_proj\.weight and 0 more of the decoder"):
        check_decoder(saved)
    (saved / "model.safetensors").write_bytes((saved / "model.safetensors").read_bytes()[:-10])
    with pytest.raises(AtlasError, match="not a whole safetensors file"):
        check_decoder(saved)


def test_the_context_is_the_window_where_that_is_shorter(saved):
    assert read_shape(saved).context == 4096
    stated = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps({**stated, "sliding_window": None}))
    assert read_shape(saved).context == stated["max_position_embeddings"] > 4096


@pytest.mark.parametrize("stop", range(5))
def test_running_stages_in_two_parts_changes_nothing(stop):
    model, ids = random_llama(SMALL, 0), IDS[:, :9]
    whole = model.run(ids, 0, 4)
    assert len(model.stages()) == 4
    assert torch.equal(model.run(model.run(ids, 0, stop), stop, 4), whole)
    assert torch.equal(model(model.run(ids, 0, stop), start=stop), model(ids))


def test_logits_at_some_positions_are_those_of_all():
    model = random_llama(SMALL, 0)
    wanted = torch.zeros(3, 9, dtype=torch.bool)
    wanted[:, [1, 5]] = True
    torch.testing.assert_close(model(IDS[:, :9], at=wanted), model(IDS[:, :9])[wanted], rtol=1e-6, atol=1e-7)


def test_what_comes_after_a_token_changes_nothing_of_it():
    model = random_llama(SMALL, 0)
    torch.testing.assert_close(model(IDS[:, :5]), model(IDS[:, :9])[:, :5], rtol=1e-5, atol=1e-6)


def test_grouped_queries_are_attention_to_repeated_keys(monkeypatch):
    model, ids = random_llama(SMALL, 0), IDS[:, :9]
    found, own = model(ids), F.scaled_dot_product_attention
    seen = []

    def repeated(query, key, value, *, enable_gqa, **options):
        assert enable_gqa
        seen.append((query.shape[1], key.shape[1]))
        times = query.shape[1] // key.shape[1]
        return own(query, key.repeat_interleave(times, 1), value.repeat_interleave(times, 1), **options)

    monkeypatch.setattr(F, "scaled_dot_product_attention", repeated)
    torch.testing.assert_close(model(ids), found, rtol=1e-6, atol=1e-7)
    assert seen == [(4, 2)] * 2


def test_random_weights_are_keyed_by_seed_and_tied():
    first, again, other = (random_llama(SMALL, seed) for seed in (1, 1, 2))
    assert torch.equal(first(IDS), again(IDS))
    assert not torch.equal(first(IDS), other(IDS))
    assert first.lm_head.weight is first.embed_tokens.weight
    assert float(first.embed_tokens.weight.detach().std()) == pytest.approx(SMALL.initializer_range, rel=0.05)


SETTINGS = study_settings(decoder_sites(SMALL), Sizes())


@pytest.mark.parametrize("setting", SETTINGS, ids=[f"{each.label} {each.setting}" for each in SETTINGS])
def test_every_method_attaches_and_learns(setting):
    method, model = setting.method, random_llama(SMALL, 0)
    if isinstance(method, BitFit | HeadOnly):
        with pytest.warns(UserWarning, match="nothing of the network learns"):
            attach(model, method)
        return
    attached = attach(model, method, Members(seeds=(0,)))
    assert attached.adapter_params() == method.trainable_params(random_llama(SMALL, 0))
    F.cross_entropy(model(IDS).flatten(0, 1), IDS.flatten()).backward()
    learning = [name for name, p in attached.trainable().items() if p.grad is not None and bool(p.grad.any())]
    assert {name.split(".")[1] for name in learning if name.startswith("layers.")} == {"0", "1"}


def test_full_fine_tuning_leaves_the_tables_of_tokens():
    model = random_llama(SMALL, 0)
    full = next(each.method for each in SETTINGS if isinstance(each.method, FullFineTuning))
    attached = attach(model, full)
    assert attached.adapter_params() == parameter_counts(model)[1]
    assert not model.embed_tokens.weight.requires_grad
    # The stage after the embeddings is the first that learns.
    assert model.frozen_stages() == 1


def test_parameters_of_the_packaged_shape_are_the_known_ones():
    shape = read_shape_of_smollm2()
    with torch.device("meta"):
        model = Llama(shape)
        model.tie_weights()
    assert parameter_counts(model) == (134_515_008, 106_203_456)
    settings = {
        (each.label, each.setting): each.method.trainable_params(model)
        for each in study_settings(decoder_sites(shape), Sizes())
    }
    assert settings["LoRA", "all linear modules"] == 2_442_240
    assert settings["(IA)3", None] == 57_600
    assert settings["full", None] == 106_203_456
    assert settings["PrefT", None] == 115_200


def read_shape_of_smollm2():
    from dataclasses import replace

    return replace(
        SMALL, vocab_size=49_152, hidden_size=576, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3,
        intermediate_size=1536, head_dim=64,
    )  # fmt: skip
