"""Training: dropout computed twice, half precision, what learns and what does not."""

import copy
import math
import tempfile
from pathlib import Path

import peft
import pytest
import torch
from method_networks import HEAD, bert, texts
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from peft_atlas.errors import AtlasError
from peft_atlas.methods.attach import attach
from peft_atlas.methods.bitfit import BitFit
from peft_atlas.methods.bitfit_lora import BitFitLoRA
from peft_atlas.methods.dora import DoRA
from peft_atlas.methods.full import FullFineTuning
from peft_atlas.methods.ia3 import IA3
from peft_atlas.methods.lora import LoRA
from peft_atlas.methods.loreft import LoReFT
from peft_atlas.methods.method import Members
from peft_atlas.methods.parallel_adapter import ParallelAdapter
from peft_atlas.methods.prefix import PrefixTuning
from peft_atlas.methods.series_adapter import SeriesAdapter
from peft_atlas.methods.storage import save_adapter
from peft_atlas.models.mlp import MLPShape, simple_nn
from peft_atlas.population import SeedDropout

T = ("lin",)
LINEAR = (LoRA(4, 8.0, 0.0, T), DoRA(4, 8.0, 0.0, T), IA3(T), SeriesAdapter(4, T), ParallelAdapter(4, T), LoReFT(4, T))
by_name = lambda method: method.name  # noqa: E731


class Net(nn.Module):
    """A linear module that may be checkpointed, behind another so that its input has a gradient or none."""

    def __init__(self, width=12):
        super().__init__()
        self.first, self.lin = nn.Linear(width, width), nn.Linear(width, 8)

    def forward(self, x, reentrant=None):
        x = self.first(x)
        return self.lin(x) if reentrant is None else checkpoint(self.lin, x, use_reentrant=reentrant)


def noisy(attached, size=0.3):
    draws = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in attached.trainable().values():
            parameter.add_(size * torch.randn(parameter.shape, generator=draws))
    return attached


def gradients(method, reentrant, passes=2, grads_into=False):
    """Return gradients after several passes and one backward pass over all of them."""
    torch.manual_seed(0)
    net = Net()
    attached = noisy(attach(net, method))
    net.first.requires_grad_(grads_into)
    x = torch.randn(16, 12, requires_grad=reentrant is not None, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(7)
    outputs = [net(x, reentrant) for _ in range(passes)]
    assert passes == 1 or not torch.equal(*outputs[:2])
    sum(output.square().sum() for output in outputs).backward()
    return [parameter.grad for parameter in attached.trainable().values()]


@pytest.mark.parametrize("method", [LoRA(4, 8.0, 0.5, T), DoRA(4, 8.0, 0.5, T)], ids=by_name)
def test_a_pass_that_is_computed_twice_drops_the_same_entries(method):
    for got, expected in zip(gradients(method, False), gradients(method, None), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("p", [0.2, 0.6])
def test_a_reentrant_checkpoint_computes_the_gradient_of_its_own_output(p):
    """The rows of A's input are recovered from the output, so that the gradient of B is known in closed form."""
    torch.manual_seed(0)
    net = Net()
    attached = noisy(attach(net, LoRA(4, 8.0, p, T)))
    x = torch.randn(16, 12, requires_grad=True)
    output = net(x, True)
    output.square().sum().backward()
    b = attached.trainable()["lin.lora_B"]
    with torch.no_grad():
        low = (output - net.lin.base(net.first(x))) @ torch.linalg.pinv(b).T
        torch.testing.assert_close(b.grad, 2 * output.T @ low, rtol=1e-3, atol=1e-3)


def test_dropout_keeps_no_pass_whose_graph_is_gone_and_survives_copies():
    net, x = Net(), torch.ones(4, 12)
    layer = attach(net, LoRA(4, 8.0, 0.5, T)).targets()["lin"].dropout
    kept = [net(x, False) for _ in range(3)]
    assert len(layer._passes) == 3
    del kept
    assert len(layer._passes) == 0
    again = copy.deepcopy(layer)
    assert torch.equal(again(x), layer(x))


def test_torchs_generator_is_left_alone_where_nothing_is_computed_twice():
    layer, x = SeedDropout(0.5), torch.ones(4, 4, requires_grad=True)
    before = torch.get_rng_state()
    layer(x).sum().backward()
    assert torch.equal(torch.get_rng_state(), before)
    with torch.no_grad():
        layer(x)
    after = torch.get_rng_state()
    assert not torch.equal(before, after)
    layer(x)
    assert torch.equal(torch.get_rng_state(), after)


def test_dropout_of_a_population_is_the_same_under_a_checkpoint():
    found = []
    for reentrant in (None, False):
        net = simple_nn(MLPShape(5, 6, 3), (2, 1), (3, 8))
        attached = noisy(attach(net, LoRA(2, 4.0, 0.5, ("fc1", "fc2")), Members((2, 3), (3, 8))))
        x = torch.ones(2, 1, 4, 5)
        output = net(x) if reentrant is None else checkpoint(net, x, use_reentrant=reentrant)
        output.square().sum().backward()
        found.append([parameter.grad for parameter in attached.trainable().values()])
    for got, expected in zip(*found, strict=True):
        assert torch.equal(got, expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("method", [*LINEAR, SeriesAdapter(4, T, side="input")], ids=by_name)
def test_an_adapter_of_half_precision_learns_in_float32_and_answers_in_half(method, dtype):
    base = Net().to(dtype)
    wide = copy.deepcopy(base).double()
    attached, exact = noisy(attach(base, method)), attach(wide, method)
    assert {parameter.dtype for parameter in attached.trainable().values()} == {torch.float32}
    exact.load(attached.state())
    x = torch.randn(5, 12).to(dtype)
    output = base(x)
    assert output.dtype == dtype
    error = (output.double() - wide(x.double())).abs().max() / wide(x.double()).abs().max()
    assert error < (2e-2 if dtype == torch.bfloat16 else 3e-3)
    before = attached.state()
    optimizer = torch.optim.AdamW(attached.trainable().values(), lr=1e-5, weight_decay=0.0)
    base(x).float().square().sum().backward()
    optimizer.step()
    moved = {name: (parameter != before[name]).float().mean() for name, parameter in attached.trainable().items()}
    assert min(moved.values()) > 0.9, moved


def test_a_prefix_of_half_precision_learns_in_float32():
    attached = attach(bert(torch.bfloat16), PrefixTuning(2, ("attention.self",), 16))
    assert {parameter.dtype for parameter in attached.trainable().values()} == {torch.float32}
    assert attached.model(**texts()).logits.dtype == torch.bfloat16


@pytest.mark.parametrize("method", LINEAR, ids=by_name)
def test_under_autocast_the_output_has_the_dtype_of_the_base(method):
    net = Net()
    attach(net, method)
    with torch.autocast("cpu", torch.bfloat16):
        assert net(torch.randn(3, 12)).dtype == Net()(torch.randn(3, 12)).dtype == torch.bfloat16


@pytest.mark.parametrize(("r", "alpha", "rooted"), [(3, 16.0, False), (7, 1e5, False), (5, 3.0, True)])
def test_the_scaling_is_a_number_that_no_cast_or_state_touches(r, alpha, rooted):
    exact = alpha / (math.sqrt(r) if rooted else r)
    net = Net().half()
    attached = attach(net, LoRA(r, alpha, 0.0, T, rooted))
    scaling = lambda: attached.targets()["lin"].scaling.item()  # noqa: E731
    assert not any("scaling" in name for name in net.state_dict())
    assert scaling() == pytest.approx(exact, rel=1e-7)
    net.bfloat16()
    assert scaling() == pytest.approx(exact, rel=1e-7)
    net.to("meta").to_empty(device="cpu")
    assert scaling() == pytest.approx(exact, rel=1e-7)
    net.double()
    assert scaling() == exact


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_dora_takes_a_row_of_zeros_as_it_is_until_it_learns(dtype):
    net = Net().to(dtype)
    with torch.no_grad():
        net.lin.weight[2] = 0
    base, x = copy.deepcopy(net), torch.randn(4, 12).to(dtype)
    attached = attach(net, DoRA(2, 4.0, 0.0, T))
    torch.testing.assert_close(net(x), base(x))
    optimizer = torch.optim.AdamW(attached.trainable().values(), lr=0.05)
    for _ in range(3):
        optimizer.zero_grad()
        (net(x) - 1).square().sum().backward()
        assert all(parameter.grad.isfinite().all() for parameter in attached.trainable().values())
        optimizer.step()
    assert net(x).isfinite().all()
    assert attached.trainable()["lin.magnitude"][2] != 0
    output = net(x)
    attached.merge()
    with torch.no_grad():
        torch.testing.assert_close(net(x), output, rtol=2e-2, atol=2e-2)


BIASES = {
    "transformer": nn.ModuleDict({"a": nn.TransformerDecoderLayer(8, 2, 8)}),
    "gru": nn.ModuleDict({"a": nn.GRU(4, 4, bidirectional=True), "b": nn.BatchNorm1d(4)}),
    "extra keys": nn.ModuleDict({"a": nn.MultiheadAttention(8, 2, add_bias_kv=True)}),
    "gpt2": GPT2LMHeadModel(GPT2Config(vocab_size=11, n_embd=8, n_layer=1, n_head=2)),
    "parametrised": nn.ModuleDict({"a": nn.utils.parametrizations.weight_norm(nn.Linear(4, 4), "bias", dim=None)}),
}


@pytest.mark.parametrize("name", BIASES)
def test_bitfit_trains_every_bias_by_whatever_name(name):
    net = copy.deepcopy(BIASES[name])
    own = {key: parameter for key, parameter in net.named_parameters() if "bias" in key}
    attached = attach(net, BitFit())
    assert set(attached.trainable()) == set(own)
    assert BitFit().trainable_params(copy.deepcopy(BIASES[name])) == sum(map(torch.numel, own.values()))
    assert all(parameter.requires_grad is (key in own) for key, parameter in net.named_parameters())


def test_nothing_that_learns_is_said():
    with pytest.warns(UserWarning, match="BitFit: nothing of the network learns"):
        attach(nn.Sequential(nn.Linear(4, 4, bias=False)), BitFit())


def tied_llama():
    config = LlamaConfig(
        vocab_size=31, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        tie_word_embeddings=True,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def test_a_tied_head_is_refused_and_full_fine_tuning_trains_it_once():
    net = tied_llama()
    before = {name: parameter.requires_grad for name, parameter in net.named_parameters()}
    with pytest.raises(AtlasError, match=r"head: lm_head.weight is tied to model.embed_tokens.weight; allowed"):
        attach(net, LoRA(2, 4.0, 0.0, ("q_proj",)), head=("lm_head",))
    assert {name: parameter.requires_grad for name, parameter in net.named_parameters()} == before
    attached = attach(net, FullFineTuning())
    assert attached.adapter_params() == sum(parameter.numel() for parameter in tied_llama().parameters())


def test_a_tied_bias_learns_under_whichever_name_is_a_bias():
    net = nn.ModuleDict({"a": nn.Linear(4, 4), "b": nn.Linear(4, 4)})
    net["a"].register_parameter("shift", net["b"].bias)
    assert "b.bias" in attach(net, BitFit()).trainable()
    assert net["b"].bias.requires_grad


def test_a_module_in_two_places_is_refused():
    net = nn.ModuleDict({"a": nn.Linear(4, 4), "c": nn.Linear(4, 4)})
    net["b"] = net["a"]
    for method in (LoRA(2, 4.0, 0.0, ("b",)), IA3(("a",)), LoReFT(2, ("a", "c"))):
        with pytest.raises(AtlasError, match="a is b too, one module in two places"):
            attach(net, method)
    assert all(parameter.requires_grad for parameter in net.parameters())


class Scaled(nn.Linear):
    def forward(self, x, scale=1.0, *, shift=0.0):
        return super().forward(x) * scale + shift


@pytest.mark.parametrize("method", LINEAR, ids=by_name)
def test_a_wrapped_layer_passes_all_arguments_on(method):
    base = nn.ModuleDict({"lin": Scaled(6, 6)})
    net = copy.deepcopy(base)
    attached = attach(net, method)
    x = torch.randn(3, 6)
    if method.name == "LoReFT":
        edited = attached.targets()["lin"].intervention
        expected = edited(base["lin"](x, 0.5, shift=2.0))
    else:
        expected = base["lin"](x, 0.5, shift=2.0)
    torch.testing.assert_close(net["lin"](x, 0.5, shift=2.0), expected)
    torch.testing.assert_close(net["lin"](x, scale=0.5, shift=2.0), expected)


def test_learning_in_half_precision_keeps_up_with_peft(tmp_path):
    base = Net().bfloat16()
    x = torch.randn(8, 12).bfloat16()
    ends = []
    for method in (IA3(T), DoRA(2, 4.0, 0.0, T)):
        net = copy.deepcopy(base)
        attached = attach(net, method)
        with tempfile.TemporaryDirectory() as folder:
            save_adapter(attached, Path(folder), "x")
            theirs = peft.PeftModel.from_pretrained(copy.deepcopy(base), folder, is_trainable=True)
        for model, learning in ((net, attached.trainable().values()), (theirs, theirs.parameters())):
            learning = [parameter for parameter in learning if parameter.requires_grad]
            optimizer = torch.optim.AdamW(learning, lr=1e-3, weight_decay=0.0)
            for _ in range(20):
                optimizer.zero_grad()
                (model(x).float() - 1).square().mean().backward()
                optimizer.step()
            ends.append(torch.cat([parameter.detach().float().flatten() for parameter in learning]).sort().values)
        torch.testing.assert_close(ends[-2], ends[-1], rtol=5e-2, atol=5e-3)


def test_bitfit_with_lora_trains_biases_of_the_wrapped_layers():
    attached = attach(bert(), BitFitLoRA(2, 4.0, 0.0, ("query",)), head=HEAD)
    query = attached.model.bert.encoder.layer[0].attention.self.query
    assert query.bias.requires_grad
    assert not query.weight.requires_grad
