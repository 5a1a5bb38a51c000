"""Merging: what a merged network gives, what unmerging restores, and what is refused."""

import copy
import warnings

import pytest
import torch
from method_networks import EVERY, HEAD, bert, logits, stirred
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from peft_atlas.errors import AtlasError
from peft_atlas.methods.attach import attach
from peft_atlas.methods.dora import DoRA
from peft_atlas.methods.ia3 import IA3
from peft_atlas.methods.lora import LoRA
from peft_atlas.methods.loreft import LoReFT
from peft_atlas.methods.storage import load_adapter, save_adapter
from peft_atlas.methods.wrapper import MERGE_TOLERANCE

CHANGES_WEIGHTS = ("LoRA", "LoRA+", "DoRA", "DoRA (half)", "(IA)3", "BitFit + LoRA")
MERGING = [setting for setting in EVERY if setting.label in CHANGES_WEIGHTS]


@pytest.mark.parametrize("setting", MERGING, ids=lambda setting: setting.label)
def test_merging_keeps_the_networks_outputs_and_unmerging_restores_its_weights(setting):
    attached = stirred(attach(bert(), setting.method, head=HEAD))
    plain = logits(attached.model)
    before = {name: p.clone() for name, p in attached.model.named_parameters()}
    attached.merge()
    attached.merge()
    assert (logits(attached.model) - plain).abs().max() / plain.abs().max() <= MERGE_TOLERANCE[torch.float32]
    assert any(not torch.equal(p, before[name]) for name, p in attached.model.named_parameters())
    attached.unmerge()
    assert torch.equal(logits(attached.model), plain)
    assert all(torch.equal(p, before[name]) for name, p in attached.model.named_parameters())


@pytest.mark.parametrize("dtype", MERGE_TOLERANCE, ids=str)
@pytest.mark.parametrize("setting", MERGING, ids=lambda setting: setting.label)
def test_a_merged_module_gives_its_outputs_within_the_tolerance_of_its_dtype(setting, dtype):
    attached = stirred(attach(bert(), setting.method, head=HEAD))
    for name, wrapper in attached.targets().items():
        wrapper.to(dtype)
        x = torch.randn(9, wrapper.base.in_features, generator=torch.Generator().manual_seed(4)).to(dtype)
        plain = wrapper(x)
        wrapper.merge()
        assert (wrapper(x) - plain).abs().max() / plain.abs().max() <= MERGE_TOLERANCE[dtype], name


@pytest.mark.parametrize("setting", [s for s in EVERY if s not in MERGING], ids=lambda setting: setting.label)
def test_what_no_weight_can_hold_does_not_merge(setting):
    attached = attach(bert(), setting.method)
    if attached.targets():
        with pytest.raises(AtlasError, match="cannot be merged"):
            attached.merge()
    else:
        before = attached.state()
        attached.merge()
        assert all(torch.equal(values, before[name]) for name, values in attached.state().items())


T = ("lin",)
CHANGE = (LoRA(2, 4.0, 0.0, T), DoRA(2, 4.0, 0.0, T), IA3(T), IA3(T, T))
by_method = pytest.mark.parametrize("method", CHANGE, ids=["LoRA", "DoRA", "(IA)3", "(IA)3 of inputs"])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin, self.head = nn.Linear(6, 5), nn.Linear(5, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.lin(x)))


def noisy(attached):
    draws = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in attached.trainable().values():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=draws))
    return attached


def silent(net, x):
    with torch.no_grad():
        return net(x)


def tied_llama():
    config = LlamaConfig(
        vocab_size=31, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        tie_word_embeddings=True,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


@pytest.mark.parametrize("targets", [("lm_head",), ("embed_tokens",), ("lm_head", "embed_tokens")], ids=str)
def test_merging_a_tied_weight_changes_the_wrapped_module_alone(targets):
    net, ids = tied_llama(), torch.arange(6)[None]
    table = net.model.embed_tokens.weight
    values = table.detach().clone()
    attached = noisy(attach(net, LoRA(2, 4.0, 0.0, targets)))
    with torch.no_grad():
        plain = net(input_ids=ids).logits
        attached.merge()
        torch.testing.assert_close(net(input_ids=ids).logits, plain, rtol=1e-4, atol=1e-5)
        attached.unmerge()
        assert torch.equal(net(input_ids=ids).logits, plain)
    attached.detach()
    assert net.lm_head.weight is net.model.embed_tokens.weight is table
    assert torch.equal(table, values)


@by_method
def test_merge_and_unload_gives_the_plain_network_under_plain_names(method):
    net, x = Net(), torch.randn(4, 6)
    names, kinds = list(net.state_dict()), [type(module) for module in net.modules()]
    net.lin.bias.requires_grad_(False)
    attached = noisy(attach(net, method, head=("head",)))
    expected = silent(net, x)
    head = net.head.weight.detach().clone()
    plain = attached.merge_and_unload()
    assert plain is net
    assert list(net.state_dict()) == names
    assert [type(module) for module in net.modules()] == kinds
    torch.testing.assert_close(silent(net, x), expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(net.head.weight, head)
    assert [p.requires_grad for p in net.parameters()] == [True, False, True, True]
    again = Net()
    again.load_state_dict(net.state_dict())
    assert torch.equal(silent(again, x), silent(net, x))


def test_merge_and_unload_of_a_tied_head_says_that_it_is_untied():
    attached = noisy(attach(tied_llama(), LoRA(2, 4.0, 0.0, ("lm_head",))))
    with pytest.warns(UserWarning, match="lm_head.weight was tied to model.embed_tokens.weight and no longer is"):
        attached.merge_and_unload()


def test_merge_and_unload_takes_one_of_two_adapters_into_the_weights():
    net, x = Net(), torch.randn(4, 6)
    inner, outer = attach(net, LoRA(2, 4.0, 0.0, T)), attach(net, LoReFT(2, ("lin",)))
    noisy(inner), noisy(outer)
    expected = silent(net, x)
    inner.merge_and_unload()
    assert all(parameter.requires_grad for parameter in outer.trainable().values())
    torch.testing.assert_close(silent(net, x), expected, rtol=1e-4, atol=1e-5)
    outer.detach()
    assert isinstance(net.lin, nn.Linear)


def old_weight_norm(module):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.utils.weight_norm(module)


COMPUTED = {
    "weight_norm": nn.utils.parametrizations.weight_norm,
    "spectral_norm": nn.utils.parametrizations.spectral_norm,
    "old weight_norm": old_weight_norm,
    "old spectral_norm": nn.utils.spectral_norm,
}


@by_method
@pytest.mark.parametrize("kind", COMPUTED)
def test_a_weight_that_is_computed_from_others_is_adapted_and_not_merged(kind, method):
    net, x = Net().eval(), torch.randn(4, 6)
    COMPUTED[kind](net.lin).eval()
    start = silent(net, x)
    attached = attach(net, method)
    torch.testing.assert_close(silent(net, x), start)
    noisy(attached)
    adapted = silent(net, x)
    state = {name: value.clone() for name, value in net.state_dict().items()}
    for merge in (attached.merge, attached.merge_and_unload):
        with pytest.raises(AtlasError, match=r"merge: the weight of a .*Linear is computed from others"):
            merge()
    assert all(torch.equal(state[name], value) for name, value in net.state_dict().items())
    assert torch.equal(silent(net, x), adapted)


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


def test_a_refused_merge_leaves_what_could_be_merged_unmerged():
    net = nn.Sequential(nn.Linear(4, 4), Doubled(4, 4))
    attached = noisy(attach(net, LoRA(2, 4.0, 0.0, ("0", "1"))))
    with pytest.raises(AtlasError, match="merge: Doubled has a forward of its own"):
        attached.merge()
    assert not any(wrapper.merged for wrapper in attached.targets().values())


def test_a_merge_that_half_precision_cannot_hold_is_refused():
    net = Net().half()
    attached = attach(net, IA3(T))
    with torch.no_grad():
        attached.trainable()["lin.ia3_l"].fill_(1e9)
    with pytest.raises(AtlasError, match="merged weights: not finite"):
        attached.merge()


@by_method
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64], ids=str)
def test_what_is_cast_while_merged_is_restored_in_the_new_dtype(method, dtype):
    net, x = Net(), torch.randn(4, 6).to(dtype)
    expected = silent(copy.deepcopy(net).to(dtype), x)
    attached = noisy(attach(net, method))
    attached.merge()
    net.to(dtype)
    attached.unmerge()
    assert {parameter.dtype for parameter in net.parameters()} == {dtype}
    attached.detach()
    assert torch.equal(silent(net, x), expected)


@by_method
def test_training_a_merged_network_is_training_it_unmerged(method):
    x, found = torch.randn(4, 6), []
    base = Net()
    for merged in (False, True):
        net = copy.deepcopy(base)
        attached = noisy(attach(net, method, head=("head",)))
        optimizer = torch.optim.SGD(attached.trainable().values(), lr=0.05)
        if merged:
            attached.merge()
        for _ in range(3):
            optimizer.zero_grad()
            net(x).square().sum().backward()
            optimizer.step()
        attached.unmerge()
        found.append(attached.state())
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, msg=name)


@by_method
def test_loading_into_a_merged_network_is_refused_and_changes_nothing(method, tmp_path):
    net, x = Net(), torch.randn(4, 6)
    attached = noisy(attach(net, method))
    save_adapter(attached, tmp_path, "tiny")
    own = copy.deepcopy(net.state_dict())
    attached.merge()
    expected, state = silent(net, x), {name: 2 * value for name, value in attached.state().items()}
    for load in (lambda: attached.load(state), lambda: load_adapter(attached, tmp_path)):
        with pytest.raises(AtlasError, match=r"merged into the network; allowed: loading after unmerge\(\)"):
            load()
    with pytest.raises(AtlasError, match=r"lin.weight: merged; allowed: loading after unmerge\(\)"):
        net.load_state_dict(own)
    net.load_state_dict(net.state_dict())
    assert torch.equal(silent(net, x), expected)
    attached.unmerge()
    net.load_state_dict(own)


@by_method
def test_a_copy_of_a_merged_network_unmerges_by_itself(method):
    net, x = Net(), torch.randn(4, 6)
    attached = noisy(attach(net, method))
    plain = silent(net, x)
    attached.merge()
    copied = copy.deepcopy(attached)
    copied.unmerge()
    assert torch.equal(silent(copied.model, x), plain)
    assert attached.targets()["lin"].merged
