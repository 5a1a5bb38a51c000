"""Methods that depend on where a token stands: prefixes and edges of texts, under padding, caches and the compiler."""

import copy

import peft
import pytest
import torch
from torch import nn
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    RobertaConfig,
    RobertaModel,
    T5Config,
    T5ForConditionalGeneration,
)

from peft_atlas.errors import AtlasError
from peft_atlas.methods.attach import attach
from peft_atlas.methods.loreft import LoReFT
from peft_atlas.methods.prefix import PrefixTuning
from peft_atlas.methods.storage import load_adapter, save_adapter
from peft_atlas.methods.texts import prompts

SIZES = {"vocab_size": 31, "hidden_size": 16, "intermediate_size": 20, "num_hidden_layers": 2, "num_attention_heads": 4}
GROUPED = {**SIZES, "num_key_value_heads": 2, "initializer_range": 0.3}
# Each with the name of its attention modules, the width of its keys, and peft's task.
NETWORKS = {
    "LLaMA": (lambda: LlamaForCausalLM(LlamaConfig(**SIZES, initializer_range=0.3)), "self_attn", 16, "CAUSAL_LM"),
    "grouped": (lambda: LlamaForCausalLM(LlamaConfig(**GROUPED)), "self_attn", 8, "CAUSAL_LM"),
    "Qwen2": (lambda: Qwen2ForCausalLM(Qwen2Config(**GROUPED)), "self_attn", 8, "CAUSAL_LM"),
    "GPT-NeoX": (
        lambda: GPTNeoXForCausalLM(GPTNeoXConfig(**SIZES, initializer_range=0.3)),
        "attention",
        16,
        "CAUSAL_LM",
    ),
    "GPT-2": (
        lambda: GPT2LMHeadModel(GPT2Config(vocab_size=31, n_embd=16, n_layer=2, n_head=4)),
        "attn",
        16,
        "CAUSAL_LM",
    ),
    "BERT": (lambda: BertModel(BertConfig(**SIZES, initializer_range=0.3)), "attention.self", 16, "FEATURE_EXTRACTION"),
    "RoBERTa": (lambda: RobertaModel(RobertaConfig(**SIZES)), "attention.self", 16, "FEATURE_EXTRACTION"),
}
DECODERS = [name for name in NETWORKS if NETWORKS[name][3] == "CAUSAL_LM"]
TOKENS = 3
IDS = torch.randint(3, 31, (2, 6), generator=torch.Generator().manual_seed(0))


def mask(side):
    """Return a mask of the second text's padding, on a side, or none."""
    found = torch.ones_like(IDS)
    if side is not None:
        found[1, slice(4, None) if side == "right" else slice(0, 2)] = 0
    return found


def make(name):
    torch.manual_seed(0)
    return NETWORKS[name][0]().eval()


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def prefixed(name):
    _, target, width, _ = NETWORKS[name]
    return attach(make(name), PrefixTuning(TOKENS, (target,), width))


@pytest.mark.parametrize("side", [None, "right", "left"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_saved_prefix_is_the_same_function_in_peft_and_back(name, side, tmp_path):
    attached, task = prefixed(name), NETWORKS[name][3]
    save_adapter(attached, tmp_path / "ours", "tiny", task_type=task)
    theirs = peft.PeftModel.from_pretrained(make(name), tmp_path / "ours").eval()
    batch = {"input_ids": IDS, "attention_mask": mask(side)}
    real = mask(side).bool()
    ours, expected = attached.model(**batch)[0], theirs(**batch)[0]
    torch.testing.assert_close(ours[real], expected[real], rtol=1e-4, atol=1e-5)
    assert (ours - make(name)(**batch)[0])[real].abs().max() > 1e-2
    theirs.save_pretrained(tmp_path / "theirs")
    again = prefixed(name)
    load_adapter(again, tmp_path / "theirs")
    assert torch.equal(again.model(**batch)[0], ours)


@pytest.mark.parametrize("side", [None, "left"])
@pytest.mark.parametrize("name", DECODERS)
def test_a_prefix_generates_what_it_computes_in_one_pass_with_and_without_a_cache(name, side):
    net, batch = prefixed(name).model, {"input_ids": IDS, "attention_mask": mask(side)}
    options = {"max_new_tokens": 5, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
    cached, plain = (net.generate(**batch, **options, use_cache=use) for use in (True, False))
    assert torch.equal(cached, plain)
    if side is None:
        assert torch.equal(net(input_ids=cached[:, :-1]).logits[:, 5:].argmax(-1), cached[:, 6:])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["grouped", "GPT-2"])
def test_a_prefix_compiles_to_the_same_function(name):
    net = prefixed(name).model
    for side in (None, "left"):
        batch = {"input_ids": IDS, "attention_mask": mask(side)}
        torch.testing.assert_close(torch.compile(net, backend="eager")(**batch)[0], net(**batch)[0])
    torch.compiler.reset()


@pytest.mark.parametrize("side", [None, "left"])
def test_a_prefix_of_the_queries_width_is_refused_with_the_width_of_the_keys(side):
    net = make("grouped")
    attach(net, PrefixTuning(TOKENS, ("self_attn",), 16))
    with pytest.raises(AtlasError, match="width = 16: the keys of LlamaAttention are 8 wide"):
        net(input_ids=IDS, attention_mask=mask(side))


def sliding():
    return MistralForCausalLM(MistralConfig(**GROUPED, sliding_window=4))


def t5():
    shape = {"vocab_size": 31, "d_model": 16, "d_kv": 4, "d_ff": 16, "num_layers": 1, "num_heads": 4}
    return T5ForConditionalGeneration(T5Config(**shape, decoder_start_token_id=0))


@pytest.mark.parametrize(
    ("network", "target", "width", "words"),
    [
        (sliding, ("self_attn",), 8, "sliding_window = 4"),
        (t5, ("SelfAttention",), 16, "prefix of T5ForConditionalGeneration: not known"),
        (lambda: make("LLaMA"), ("layers.0.self_attn",), 16, "prefix of 1 layers: peft has one in each of 2"),
    ],
)
def test_a_prefix_that_is_another_function_in_peft_is_not_saved_for_it(network, target, width, words, tmp_path):
    attached = attach(network(), PrefixTuning(TOKENS, target, width))
    with pytest.raises(AtlasError, match=words):
        save_adapter(attached, tmp_path, "tiny", task_type="CAUSAL_LM")
    assert not list(tmp_path.iterdir())


def test_detaching_a_prefix_moves_the_positions_back():
    attached, plain = prefixed("GPT-2"), make("GPT-2")
    attached.detach()
    assert torch.equal(attached.model(input_ids=IDS).logits, plain(input_ids=IDS).logits)


BLOCKS = {"grouped": "layers.*", "GPT-2": "h.*", "Qwen2": "layers.*", "BERT": "layer.*", "RoBERTa": "layer.*"}


def edited(name, edges=2):
    return attach(make(name), LoReFT(4, (BLOCKS[name],), 16, edges))


def positions(name, side):
    """Return position ids where the network does not count them by the mask itself."""
    if side != "left" or name == "RoBERTa":
        return {}
    return {"position_ids": (mask(side).cumsum(1) - 1).clamp_min(0)}


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("name", BLOCKS)
def test_the_edges_of_a_text_are_its_own_and_not_those_of_the_padded_batch(name, side):
    net = edited(name).model
    ids = IDS.masked_fill(mask(side) == 0, 1)
    together = net(input_ids=ids, attention_mask=mask(side), **positions(name, side))[0][1]
    alone = net(input_ids=ids[1:][mask(side)[1:].bool()][None])[0][0]
    torch.testing.assert_close(together[mask(side)[1].bool()], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in BLOCKS if name in DECODERS])
@pytest.mark.parametrize("lengths", [None, torch.tensor([6, 6]), torch.tensor([4, 4])])
def test_edges_are_the_same_with_and_without_a_cache(name, lengths):
    net = edited(name).model
    ended = prompts(net, lengths) if lengths is not None else torch.no_grad()
    with ended:
        whole = net(input_ids=IDS).logits
        start = net(input_ids=IDS[:, :4], use_cache=True)
        steps = [start.logits]
        for place in (4, 5):
            step = net(input_ids=IDS[:, place : place + 1], past_key_values=start.past_key_values, use_cache=True)
            steps.append(step.logits)
        torch.testing.assert_close(torch.cat(steps, 1), whole, rtol=1e-4, atol=1e-5)
        options = {"max_new_tokens": 4, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
        cached, plain = (net.generate(input_ids=IDS, **options, use_cache=use) for use in (True, False))
        assert torch.equal(cached, plain)


def by_hand(name, attached, chosen):
    """Return logits with hidden states edited at chosen positions by hooks of our own."""
    plain = make(name)
    for target, wrapper in attached.targets().items():
        edit = lambda h, wrapper=wrapper: torch.where(chosen[..., None], wrapper.intervention(h), h)  # noqa: E731
        hook = lambda _, given, out, edit=edit: (edit(out[0]), *out[1:]) if isinstance(out, tuple) else edit(out)  # noqa: E731
        plain.get_submodule(target).register_forward_hook(hook)
    return plain(input_ids=IDS)[0]


@pytest.mark.parametrize(
    ("name", "lengths", "places"),
    [("BERT", None, [0, 1, 4, 5]), ("grouped", None, [0, 1]), ("grouped", 4, [0, 1, 2, 3]), ("GPT-2", 5, [0, 1, 3, 4])],
)
def test_the_edges_are_the_first_and_last_of_a_text_or_prompt(name, lengths, places):
    attached = edited(name)
    chosen = torch.tensor([place in places for place in range(6)])
    expected = by_hand(name, attached, chosen)
    if lengths is None:
        got = attached.model(input_ids=IDS)[0]
    else:
        with prompts(attached.model, torch.tensor([lengths, lengths])):
            got = attached.model(input_ids=IDS)[0]
    torch.testing.assert_close(got, expected)


def test_edges_that_cannot_be_known_are_refused_in_one_line():
    with pytest.raises(AtlasError, match="edges: the positions of an encoder and a decoder differ"):
        attach(t5(), LoReFT(2, ("block.*",), 16, 1))
    net = edited("BERT").model
    with pytest.raises(AtlasError, match=r"edges: attention_mask of 3 dimensions: allowed: \(batch, length\)"):
        net(input_ids=IDS, attention_mask=torch.ones(2, 6, 6))
    with pytest.raises(AtlasError, match="prompts: nothing attached"), prompts(make("BERT"), torch.tensor([1])):
        pass


def test_torchs_own_mask_of_padding_is_read_too():
    layer = nn.TransformerEncoderLayer(8, 2, 8, batch_first=True, dropout=0.0)
    net = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False).eval()
    attach(net, LoReFT(2, ("layers.*",), 8, 1))
    x = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(1))
    padding = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    together, alone = net(x, src_key_padding_mask=padding)[1, :3], net(x[1:, :3])[0]
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("output", [{"h": torch.ones(2, 8)}, [torch.ones(2, 8)], torch.ones(2, 7), None], ids=str)
def test_an_output_that_loreft_cannot_edit_is_refused(output):
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, x):
            return copy.copy(output)

    net = nn.ModuleDict({"odd": Odd()})
    attach(net, LoReFT(2, ("odd",), 8))
    with pytest.raises(AtlasError, match=r"target_modules: the output of Odd is .*allowed for LoReFT: width 8"):
        net["odd"](torch.ones(2, 8))
