"""Methods on other people's networks against peft: outputs, gradients, counts, merging and files both ways."""

import copy

import peft
import pytest
import torch
from method_networks import stirred
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    RobertaConfig,
    RobertaForSequenceClassification,
    T5Config,
    T5ForConditionalGeneration,
    ViTConfig,
    ViTForImageClassification,
)

from peft_atlas.methods.attach import attach
from peft_atlas.methods.dora import DoRA
from peft_atlas.methods.ia3 import IA3
from peft_atlas.methods.lora import LoRA
from peft_atlas.methods.storage import load_adapter, save_adapter

SIZES = {"vocab_size": 31, "hidden_size": 16, "intermediate_size": 20, "num_hidden_layers": 2, "num_attention_heads": 4}
GROUPED = {**SIZES, "num_key_value_heads": 2}
SMALL_T5 = {"vocab_size": 31, "d_model": 16, "d_kv": 4, "d_ff": 20, "num_layers": 1, "num_heads": 2}
SMALL_VIT = {**SIZES, "image_size": 8, "patch_size": 4, "num_labels": 3}
NETWORKS = {
    "LLaMA": lambda: LlamaForCausalLM(LlamaConfig(**GROUPED)),
    "Mistral": lambda: MistralForCausalLM(MistralConfig(**GROUPED, sliding_window=4)),
    "Qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**GROUPED)),
    "GPT-2": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=31, n_embd=16, n_layer=2, n_head=2)),
    "BERT": lambda: BertForSequenceClassification(BertConfig(**SIZES, num_labels=3)),
    "RoBERTa": lambda: RobertaForSequenceClassification(RobertaConfig(**SIZES, num_labels=3)),
    "T5": lambda: T5ForConditionalGeneration(T5Config(**SMALL_T5, decoder_start_token_id=0)),
    "ViT": lambda: ViTForImageClassification(ViTConfig(**SMALL_VIT)),
}
# Modules of LoRA, those whose outputs (IA)3 rescales, those whose inputs, and the head.
DECODER = (("q_proj", "v_proj", "embed_tokens"), ("k_proj", "v_proj"), ("down_proj",), ())
PLACES = {
    **dict.fromkeys(("LLaMA", "Mistral", "Qwen2"), DECODER),
    "GPT-2": (("c_attn", "mlp.c_proj", "wte"), ("c_attn",), ("mlp.c_proj",), ()),
    "BERT": (("query", "output.dense", "word_embeddings"), ("key", "value"), ("intermediate.dense",), ("classifier",)),
    "RoBERTa": (("query", "position_embeddings"), ("key",), ("intermediate.dense",), ("classifier",)),
    "T5": (("q", "v", "wo"), ("k", "v"), ("wo",), ()),
    "ViT": (("fc1", "o_proj"), ("k_proj", "v_proj"), ("fc2",), ("classifier",)),
}
TASKS = {"BERT": "SEQ_CLS", "RoBERTa": "SEQ_CLS", "T5": "SEQ_2_SEQ_LM", "ViT": None}
LABELS = ("LoRA", "rsLoRA", "DoRA", "(IA)3")


def linear_only(patterns):
    return tuple(pattern for pattern in patterns if "embed" not in pattern and pattern != "wte")


def method_of(label, network):
    places, rescaled, feedforward, _ = PLACES[network]
    return {
        "LoRA": LoRA(3, 5.0, 0.0, places),
        "rsLoRA": LoRA(3, 5.0, 0.0, places, True),
        "DoRA": DoRA(3, 5.0, 0.0, linear_only(places)),
        "(IA)3": IA3((*rescaled, *feedforward), feedforward),
    }[label]


def make(network):
    torch.manual_seed(0)
    net = NETWORKS[network]().double().eval()
    draws = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=draws))
    return net


def feed(network):
    ids = torch.randint(2, 31, (2, 5), generator=torch.Generator().manual_seed(2))
    mask = torch.ones_like(ids)
    mask[1, 3:] = 0
    if network == "ViT":
        return {"pixel_values": torch.linspace(-1, 1, 384, dtype=torch.float64).reshape(2, 3, 8, 8)}
    return {"input_ids": ids, "attention_mask": mask, **({"decoder_input_ids": ids} if network == "T5" else {})}


def gradients(model):
    """Return what of a peft model learns, by the names under which it is saved."""
    found = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            key = name.replace(".modules_to_save.default", "").replace(".default", "")
            found[key.replace("lora_magnitude_vector.weight", "lora_magnitude_vector")] = parameter.grad
    return found


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("network", NETWORKS)
def test_a_method_is_what_it_is_in_peft(network, label, tmp_path):
    method, head, batch = method_of(label, network), PLACES[network][3], feed(network)
    task = TASKS.get(network, "CAUSAL_LM")
    attached = stirred(attach(make(network), method, head=head))
    ours = attached.model(**batch).logits
    assert attached.adapter_params() == method.trainable_params(make(network), head)
    save_adapter(attached, tmp_path / "ours", "tiny", head, task)
    theirs = peft.PeftModel.from_pretrained(make(network), tmp_path / "ours", is_trainable=True).eval()
    expected = theirs(**batch).logits
    torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-8)
    assert (ours - make(network)(**batch).logits).abs().max() > 1e-4
    ours.square().sum().backward()
    expected.square().sum().backward()
    got = method.to_peft({name: parameter.grad for name, parameter in attached.trainable().items()})
    wanted = gradients(theirs)
    assert set(got) == set(wanted)
    for name, gradient in got.items():
        torch.testing.assert_close(gradient, wanted[name].reshape_as(gradient), rtol=1e-5, atol=1e-8, msg=name)
    assert theirs.get_nb_trainable_parameters()[0] == attached.adapter_params() + attached.head_params()
    theirs.save_pretrained(tmp_path / "theirs")
    again = attach(make(network), method, head=head)
    load_adapter(again, tmp_path / "theirs")
    torch.testing.assert_close(again.model(**batch).logits, expected, rtol=1e-6, atol=1e-8)
    with torch.no_grad():
        # peft merges an embedding into the head that is tied to it, so that its unmerged outputs are the measure.
        torch.testing.assert_close(attached.merge_and_unload()(**batch).logits, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("network", ["GPT-2", "LLaMA"])
def test_a_start_of_peft_is_a_start_here(network, label):
    """Both start as their base, with as many parameters, wherever the method starts so."""
    method, batch = method_of(label, network), feed(network)
    net = make(network)
    plain = net(**batch).logits
    attached = attach(net, method)
    torch.testing.assert_close(net(**batch).logits, plain, rtol=1e-9, atol=1e-11)
    modules = method.peft_modules(list(attached.targets()), ())
    kind = peft.IA3Config if label == "(IA)3" else peft.LoraConfig
    theirs = peft.get_peft_model(make(network), kind(**modules, **method.peft_settings()))
    assert theirs.get_nb_trainable_parameters()[0] == attached.adapter_params()
    torch.testing.assert_close(theirs.eval()(**batch).logits, plain, rtol=1e-6, atol=1e-7)


def test_lora_of_an_embedding_learns_in_float32_and_starts_as_its_base():
    net = make("GPT-2").bfloat16()
    plain = copy.deepcopy(net)(**feed("GPT-2")).logits
    attached = attach(net, LoRA(2, 4.0, 0.0, ("wte",)))
    assert torch.equal(net(**feed("GPT-2")).logits, plain)
    assert {parameter.dtype for parameter in attached.trainable().values()} == {torch.float32}
