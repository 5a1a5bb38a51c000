"""Attaching and detaching: several adapters, refusals in the middle, parents that read weights, patterns."""

import copy

import peft
import pytest
import torch
from method_networks import bert, texts
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, GPT2Model, T5Config, T5ForConditionalGeneration

from peft_atlas.errors import AtlasError
from peft_atlas.methods.attach import attach
from peft_atlas.methods.bitfit import BitFit
from peft_atlas.methods.dora import DoRA
from peft_atlas.methods.ia3 import IA3
from peft_atlas.methods.lora import LoRA
from peft_atlas.methods.lora_plus import LoRAPlus
from peft_atlas.methods.loreft import LoReFT
from peft_atlas.methods.method import Members, target_names
from peft_atlas.methods.parallel_adapter import ParallelAdapter
from peft_atlas.methods.prefix import PrefixTuning
from peft_atlas.methods.series_adapter import SeriesAdapter


def gpt2():
    return GPT2LMHeadModel(GPT2Config(vocab_size=19, n_embd=8, n_layer=2, n_head=2))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x):
        return self.b(torch.tanh(self.a(x)))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.ModuleList([Block(), Block()])
        self.head = nn.Linear(6, 2)
        self.head.bias.requires_grad_(False)

    def forward(self, x):
        for layer in self.layer:
            x = layer(x)
        return self.head(x)


def picture(net):
    """Return all that a refusal, or a detachment, must leave as it was."""
    modules = [(name, id(module), module.training) for name, module in net.named_modules(remove_duplicate=False)]
    parameters = [(name, id(p), p.requires_grad, p.detach().clone()) for name, p in net.named_parameters()]
    return modules, parameters


def same(one, other):
    return one[0] == other[0] and all(
        a[:3] == b[:3] and torch.equal(a[3], b[3]) for a, b in zip(one[1], other[1], strict=True)
    )


def stir(attached):
    draws = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in attached.trainable().values():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=draws))
    return attached


REFUSED = [
    (LoRA(2.5, 4.0, 0.0, ("a",)), "r = 2.5: allowed: a whole number of at least 1"),
    (LoRA(True, 4.0, 0.0, ("a",)), "r = True"),
    (LoRA(2, "4", 0.0, ("a",)), "lora_alpha = 4"),
    (LoRA(2, torch.ones(3), 0.0, ("a",)), r"lora_alpha of shape \(3,\)"),
    (LoRA(2, 4.0, "0.1", ("a",)), "lora_dropout = 0.1"),
    (LoRA(2, 4.0, 0.0, ()), r"target_modules = \(\): allowed for LoRA: at least one pattern"),
    (LoRA(2, 4.0, 0.0, "("), "not a regular expression"),
    (LoRA(2, 4.0, 0.0, ".*nothing"), "fits no module"),
    (LoRA(2, 4.0, 0.0, ("a", "odd")), "LoRA wraps linear modules, got a Conv2d"),
    (DoRA(2, 4.0, 0.0, ("table",)), "DoRA wraps linear modules, got a Embedding"),
    (LoRAPlus(2, 4.0, 0.0, ("table",)), r"LoRA\+ wraps linear modules, got a Embedding"),
    (LoRAPlus(2, 4.0, 0.0, ("a",), rate_ratio=0.0), "rate_ratio = 0.0"),
    (IA3(("a", "whole")), "whose weight is int8"),
    (SeriesAdapter(2, ("a",), side="left"), "side = 'left': allowed: output, input, narrower"),
    (SeriesAdapter(1.0, ("a",)), "bottleneck = 1.0"),
    (LoReFT(2, ("a", "act"), 6), "LoReFT was given a ReLU without parameters"),
    (LoReFT(2, ("a",), 6, 0), "edges = 0"),
    (PrefixTuning(2, ("a", "act"), 6), "PrefT was given a ReLU without parameters"),
    (LoRA(2, 4.0, 0.0, ("a", "out_proj")), "MultiheadAttention reads the weight of mha.out_proj and never calls it"),
]


class Whole(nn.Module):
    """A linear module of eight-bit integers, as quantised ones are."""

    def __init__(self):
        super().__init__()
        self.in_features = self.out_features = 4
        self.register_buffer("weight", torch.ones(4, 4, dtype=torch.int8))


@pytest.mark.parametrize(("method", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_a_refused_attach_says_so_in_one_line_and_leaves_the_network_as_it_was(method, words):
    net = Net()
    net.odd, net.act, net.table, net.whole = nn.Conv2d(2, 2, 1), nn.ReLU(), nn.Embedding(4, 6), Whole()
    net.mha = nn.MultiheadAttention(4, 2)
    net.layer[1].eval()
    before = picture(net)
    with pytest.raises(AtlasError, match=words) as caught:
        attach(net, method)
    assert "\n" not in str(caught.value)
    assert same(before, picture(net))


def test_a_network_whose_shapes_are_not_known_yet_is_refused():
    net = nn.ModuleDict({"a": nn.Linear(4, 4), "lazy": nn.LazyLinear(4)})
    with pytest.raises(AtlasError, match=r"network: lazy.weight has no shape yet; allowed: a network that has been"):
        attach(net, LoRA(2, 4.0, 0.0, "a"))
    assert net["a"].weight.requires_grad


def test_a_head_that_is_not_there_or_a_population_is_refused_before_anything_changes():
    for options in ({"head": ("nothing",)}, {"members": Members((2,), (0, 1))}, {"members": Members((), (0, 1))}):
        net = Net()
        before = picture(net)
        with pytest.raises(AtlasError):
            attach(net, BitFit() if options.get("members", Members()).population else LoRA(2, 4.0, 0.0, "a"), **options)
        assert same(before, picture(net))


PAIRS = [
    (LoRA(2, 4.0, 0.0, ("a",)), LoRA(2, 4.0, 0.0, ("b",))),
    (LoRA(2, 4.0, 0.0, ("a",)), LoReFT(2, ("layer.*",), 6)),
    (LoReFT(2, ("layer.*",), 6), DoRA(2, 4.0, 0.0, ("a",))),
    (BitFit(), IA3(("a", "b"))),
    (LoRA(2, 4.0, 0.0, ("a",)), BitFit()),
    (LoRA(2, 4.0, 0.0, ("a",)), LoReFT(2, ("a",))),
    (SeriesAdapter(2, ("a",)), LoReFT(2, ("a", "layer.*"), 6)),
]


@pytest.mark.parametrize("first_off", [0, 1])
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: " and ".join(method.name for method in pair))
def test_two_adapters_learn_together_and_come_off_in_either_order(pair, first_off):
    net, x = Net(), torch.randn(5, 3, 6)
    before, plain = picture(net), net(x)
    both = [attach(net, method, head=("head",) if place == 0 else ()) for place, method in enumerate(pair)]
    for attached in both:
        assert all(parameter.requires_grad for parameter in attached.trainable().values())
        stir(attached)
    net(x).square().sum().backward()
    for attached in both:
        assert all(parameter.grad is not None for parameter in attached.trainable().values())
    learning = {id(p) for attached in both for p in attached.trainable().values()}
    assert {id(p) for p in net.parameters() if p.requires_grad} == learning
    gone, left = both[first_off], both[1 - first_off]
    state = left.state()
    gone.detach()
    alone = copy.deepcopy(net)
    assert {id(p) for p in net.parameters() if p.requires_grad} == {id(p) for p in left.trainable().values()}
    fresh = Net()
    fresh.load_state_dict({name: value for name, _, _, value in before[1]})
    again = attach(fresh, left.method, head=left.head)
    again.load(state)
    torch.testing.assert_close(alone(x), fresh(x))
    left.detach()
    assert same(before, picture(net))
    assert torch.equal(net(x), plain)
    assert not any("peft_atlas_ledger" in vars(module) for module in net.modules())


def test_names_and_draws_are_those_of_the_network_without_other_adapters():
    net = Net()
    attach(net, LoReFT(2, ("layer.*",), 6))
    inner, alone = attach(net, LoRA(2, 4.0, 0.0, ("a",))), attach(Net(), LoRA(2, 4.0, 0.0, ("a",)))
    assert list(inner.state()) == list(alone.state())
    assert all(torch.equal(inner.state()[name], value) for name, value in alone.state().items())


def test_the_same_modules_are_not_wrapped_by_weight_twice():
    net = Net()
    first = attach(net, LoRA(2, 4.0, 0.0, ("a",)))
    before = picture(net)
    with pytest.raises(AtlasError, match="adapted already"):
        attach(net, DoRA(2, 4.0, 0.0, ("b", "a")))
    assert same(before, picture(net))
    assert all(parameter.requires_grad for parameter in first.trainable().values())


def test_an_adapter_of_a_part_and_one_of_the_whole_know_each_other():
    net = Net()
    before = picture(net)
    part = attach(net.layer[0], BitFit())
    whole = attach(net, LoRA(2, 4.0, 0.0, ("b",)))
    assert all(parameter.requires_grad for parameter in {**part.trainable(), **whole.trainable()}.values())
    assert not net.layer[1].a.weight.requires_grad
    whole.detach()
    part.detach()
    assert same(before, picture(net))


def test_detach_after_a_cast_gives_a_network_of_one_dtype():
    net = Net()
    attached = stir(attach(net, LoRA(2, 4.0, 0.0, ("a",)), head=("head",)))
    attached.merge()
    net.bfloat16()
    attached.detach()
    assert {parameter.dtype for parameter in net.parameters()} == {torch.bfloat16}
    net(torch.randn(2, 6).bfloat16())


def test_wrapping_keeps_the_modes_of_what_is_wrapped():
    net = Net().train()
    net.layer[0].b.eval()
    attach(net, LoReFT(2, ("layer.*",), 6))
    assert net.layer[0].training
    assert not net.layer[0].base.b.training


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "method",
    [LoRA(2, 4.0, 0.0, ("linear1",)), DoRA(2, 4.0, 0.0, ("linear2",)), IA3(("linear1",)),
     SeriesAdapter(2, ("linear2",)), LoReFT(2, ("self_attn",), 8), LoReFT(2, ("layers.*",), 8)],
    ids=lambda method: f"{method.name} {method.target_modules[0]}",
)  # fmt: skip
def test_a_parent_with_a_fast_path_calls_what_is_wrapped(method, training):
    layer = nn.TransformerEncoderLayer(8, 2, 8, batch_first=True, dropout=0.0)
    net = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).train(training)
    x = torch.randn(2, 3, 8)
    attached = stir(attach(net, method))
    expected = net(x)
    with torch.no_grad():
        torch.testing.assert_close(net(x), expected)
    attached.detach()
    assert (net(x) - expected).abs().max() > 1e-3


def test_a_prefix_on_torchs_own_attention_is_refused_when_called():
    net = nn.TransformerEncoderLayer(8, 2, 8, batch_first=True, dropout=0.0).eval()
    attach(net, PrefixTuning(2, ("self_attn",), 8))
    with torch.no_grad(), pytest.raises(AtlasError, match="MultiheadAttention does not call scaled_dot_product"):
        net(torch.randn(2, 3, 8))


@pytest.mark.parametrize("projection", ["relu", "gated-gelu"])
@pytest.mark.parametrize(
    "method", [LoRA(2, 4.0, 0.0, "wo"), IA3("wo", "wo"), ParallelAdapter(2, "wo"), LoReFT(2, "wo")]
)
def test_a_parent_that_reads_the_weight_finds_the_bases(projection, method):
    config = T5Config(
        vocab_size=20, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, decoder_start_token_id=0,
        feed_forward_proj=projection,
    )  # fmt: skip
    net = T5ForConditionalGeneration(config).eval()
    attached = attach(net, method)
    wrapper = next(iter(attached.targets().values()))
    assert wrapper.weight is wrapper.base.weight
    assert (wrapper.in_features, wrapper.out_features) == (8, 8)
    ids = torch.arange(5)[None]
    assert net(input_ids=ids, decoder_input_ids=ids).logits.isfinite().all()


def test_a_parent_that_ties_a_weight_sets_the_bases():
    net = gpt2()
    attach(net, LoRA(2, 4.0, 0.0, ("lm_head",)))
    net.tie_weights()
    assert net.lm_head.base.weight is net.transformer.wte.weight
    assert "lm_head.weight" not in dict(net.named_parameters(remove_duplicate=False))


def adapted_by_peft(model):
    """Return the names of the modules that peft has adapted, in order."""
    return [name.removeprefix("base_model.model.") for name, m in model.named_modules() if hasattr(m, "lora_A")]


@pytest.mark.parametrize("make", [gpt2, lambda: GPT2Model(gpt2().config), bert], ids=["GPT-2", "GPT-2 body", "BERT"])
def test_all_linear_selects_what_peft_selects(make):
    head = ("classifier",) if make is bert else ()
    task = {"task_type": "SEQ_CLS"} if make is bert else {}
    theirs = peft.get_peft_model(make(), peft.LoraConfig(target_modules="all-linear", **task))
    found = target_names(make(), LoRA(target_modules="all-linear"), head)
    assert sorted(found) == sorted(adapted_by_peft(theirs))


@pytest.mark.parametrize("pattern", [r".*\.query", r"bert\.encoder\.layer\.[01]\.attention\.self\.(key|value)"])
def test_one_string_is_a_regular_expression_as_peft_takes_it(pattern):
    theirs = peft.get_peft_model(bert(), peft.LoraConfig(target_modules=pattern))
    assert target_names(bert(), LoRA(target_modules=pattern)) == adapted_by_peft(theirs) != []


def test_one_string_may_be_a_plain_name():
    names = [name for name, module in bert().named_modules() if isinstance(module, nn.Linear)]
    assert target_names(bert(), LoRA(target_modules="dense")) == [name for name in names if name.endswith(".dense")]


def test_the_head_may_be_one_string_too():
    attached = attach(bert(), LoRA(target_modules="query"), head="classifier")
    assert attached.head == ("classifier",)
    assert attached.model(**texts()).logits.requires_grad


def test_seeds_key_what_is_drawn_and_torchs_own_seed_does_not():
    states = []
    for seed, own in ((1, 0), (2, 0), (1, 7)):
        net = Net()
        torch.manual_seed(seed)
        states.append(attach(net, LoRA(2, 4.0, 0.0, ("a",)), Members(seeds=(own,))).state()["layer.0.a.lora_A"])
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])
