"""Starts near the identity: LoReFT without an edit, and prefixes from the keys and values of a real text."""

from dataclasses import replace

import pytest
import torch

from peft_atlas.errors import AtlasError
from peft_atlas.methods.attach import attach
from peft_atlas.methods.loreft import Intervention, LoReFT
from peft_atlas.methods.method import ALONE, Members, Sizes
from peft_atlas.methods.prefix import PrefixTuning
from peft_atlas.methods.registry import study_settings
from peft_atlas.methods.storage import load_adapter, save_adapter
from peft_atlas.models.decoder import SMALL, decoder_sites, folder_sites, random_llama
from peft_atlas.models.encoder import encoder_sites
from peft_atlas.models.packaged_decoder import write_random

TEXT, IDS = (5, 9, 2, 7), torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])
EDIT = LoReFT(r=4, target_modules=("layers.*",), width=32, start="identity")
PREFIX = PrefixTuning(len(TEXT), ("self_attn",), SMALL.key_width, TEXT)


def test_loreft_starts_as_its_base_bit_for_bit_and_leaves_it():
    model = random_llama(SMALL, 0)
    before = model(IDS).detach()
    attached = attach(model, EDIT)
    assert torch.equal(model(IDS), before)
    model(IDS).square().mean().backward()
    gradients = {name: p.grad for name, p in attached.trainable().items()}
    assert all(bool(gradient.any()) for name, gradient in gradients.items() if not name.endswith("rotation"))
    with torch.no_grad():
        for name, parameter in attached.trainable().items():
            parameter -= 10 * gradients[name]
    assert not torch.allclose(model(IDS), before)


def test_each_member_of_a_population_starts_as_its_base():
    members = Members((2,), (0, 1))
    edit, h = Intervention(8, 3, members, "here", torch.empty(0), identity=True), torch.randn(2, 5, 8)
    assert torch.equal(edit(h), h)
    assert not torch.equal(edit.rotation[0], edit.rotation[1])


def test_the_published_start_is_the_default_and_takes_a_subspace_out():
    assert LoReFT().start == "published"
    drawn, started = (Intervention(8, 3, ALONE, "here", torch.empty(0), identity=each) for each in (False, True))
    assert torch.equal(drawn.rotation, started.rotation)
    assert float(drawn.bias.detach().abs().max()) > 0
    h = torch.randn(5, 8)
    expected = h + (h @ drawn.weight.mT + drawn.bias - h @ drawn.subspace()) @ drawn.subspace().mT
    torch.testing.assert_close(drawn(h), expected)


def test_a_prefix_from_a_text_is_that_text_before_the_rows():
    model = random_llama(SMALL, 0)
    text = torch.tensor([TEXT]).expand(2, -1)
    expected = model(torch.cat([text, IDS], dim=1))[:, len(TEXT) :]
    attach(model, PREFIX)
    torch.testing.assert_close(model(IDS), expected, rtol=1e-4, atol=1e-5)


def test_a_prefix_from_a_text_is_that_text_before_the_rows_of_a_network_of_transformers():
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"num_attention_heads": 4, "num_key_value_heads": 4, "hidden_size": 32, "intermediate_size": 48}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(LlamaConfig(vocab_size=97, num_hidden_layers=2, **sizes)).eval()
    text = torch.tensor([TEXT]).expand(2, -1)
    expected = model(torch.cat([text, IDS], dim=1)).logits[:, len(TEXT) :]
    attach(model, replace(PREFIX, width=32))
    torch.testing.assert_close(model(IDS).logits, expected, rtol=1e-4, atol=1e-5)


def test_a_prefix_is_the_same_function_in_peft(tmp_path):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    write_random(tmp_path / "model")
    model = random_llama(SMALL, 0)
    attached = attach(model, PREFIX)
    with torch.no_grad():
        for parameter in attached.trainable().values():
            parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    save_adapter(attached, tmp_path / "adapter", base_model="random", task_type="CAUSAL_LM")
    theirs = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tmp_path / "model"), tmp_path / "adapter")
    torch.testing.assert_close(theirs.eval()(input_ids=IDS).logits, model(IDS), rtol=1e-4, atol=1e-5)


def test_attaching_leaves_no_trace_of_the_text_in_the_network():
    model = random_llama(SMALL, 0).train()
    model.layers[0].eval()
    before, modes = model(IDS), [module.training for module in model.modules()]
    attached = attach(model, PREFIX)
    attached.detach()
    assert torch.equal(model(IDS), before)
    assert [module.training for module in model.modules()] == modes


@pytest.mark.parametrize("method", [EDIT, PREFIX], ids=["LoReFT", "PrefT"])
def test_starts_are_kept_with_an_adapter_and_do_not_matter_to_its_file(method, tmp_path):
    model = random_llama(SMALL, 0)
    attached = attach(model, method)
    with torch.no_grad():
        for parameter in attached.trainable().values():
            parameter += 0.1
    save_adapter(attached, tmp_path, base_model="random")
    expected = model(IDS)
    other = {"start": "published"} if isinstance(method, LoReFT) else {"start_tokens": ()}
    again = random_llama(SMALL, 0)
    load_adapter(attach(again, replace(method, **other)), tmp_path)
    torch.testing.assert_close(again(IDS), expected)
    # Runs of two starts are two runs.
    assert str(method) != str(replace(method, **other))


def test_studies_of_decoders_alone_start_near_the_identity(tmp_path):
    def methods(sites):
        found = [each.method for each in study_settings(sites, Sizes())]
        return next(m for m in found if isinstance(m, LoReFT)), next(m for m in found if isinstance(m, PrefixTuning))

    edit, prefix = methods(encoder_sites(16))
    assert (edit.start, prefix.start_tokens) == ("published", ())
    edit, prefix = methods(decoder_sites(SMALL))
    assert (edit.start, prefix.start_tokens, prefix.width) == ("identity", (), SMALL.key_width)
    write_random(tmp_path)
    _, prefix = methods(folder_sites(tmp_path))
    assert len(prefix.start_tokens) == prefix.num_virtual_tokens == 10


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (replace(EDIT, start="zero"), "start = 'zero': allowed: published, identity"),
        (replace(PREFIX, start_tokens=(1, 2)), "start_tokens: 2 tokens; allowed: none, or 4"),
        (replace(PREFIX, width=8), r"start_tokens: keys of layers\.\d\.self_attn are of shape \(4, 16\).*\(4, 8\)"),
    ],
)
def test_faulty_starts_are_refused(method, words):
    model = random_llama(SMALL, 0)
    with pytest.raises(AtlasError, match=words):
        attach(model, method)
    assert all(parameter.requires_grad for parameter in model.parameters())
