"""Files of peft's and of ours: what changes the function is checked, what does not is let pass."""

import copy
import json

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from peft_atlas.errors import AtlasError
from peft_atlas.methods.attach import attach
from peft_atlas.methods.bitfit import BitFit
from peft_atlas.methods.bitfit_lora import BitFitLoRA
from peft_atlas.methods.dora import DoRA
from peft_atlas.methods.full import FullFineTuning
from peft_atlas.methods.ia3 import IA3
from peft_atlas.methods.lora import LoRA
from peft_atlas.methods.loreft import LoReFT
from peft_atlas.methods.peft_config import DEFAULTS
from peft_atlas.methods.series_adapter import SeriesAdapter
from peft_atlas.methods.storage import load_adapter, save_adapter

T = ("q", "magnitude_proj")
LORA = LoRA(2, 4.0, 0.0, T)


class Net(nn.Module):
    """Names that hold what a file's names end in, and a head with running statistics."""

    def __init__(self):
        super().__init__()
        self.q, self.magnitude_proj = nn.Linear(6, 6), nn.Linear(6, 6)
        self.head = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 2))

    def forward(self, x):
        return self.head(self.magnitude_proj(torch.tanh(self.q(x))))


def noisy(attached, seed=1):
    draws = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in attached.trainable().values():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=draws))
    return attached


@pytest.fixture
def base():
    torch.manual_seed(0)
    return Net().eval()


def by_peft(base, folder, config, edit=None):
    """Return peft's network with an adapter away from its start, saved into a folder."""
    theirs = peft.get_peft_model(copy.deepcopy(base), config).eval()
    draws = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in theirs.parameters():
            if parameter.requires_grad:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=draws))
    theirs.save_pretrained(folder)
    if edit is not None:
        path = folder / "adapter_config.json"
        path.write_text(json.dumps(edit(json.loads(path.read_text(encoding="utf-8")))), encoding="utf-8")
    return theirs


def config(**options):
    return peft.LoraConfig(**{"r": 2, "lora_alpha": 4, "target_modules": list(T), **options})


CHANGED = {
    "alpha_pattern": ({"alpha_pattern": {"q": 32}}, None),
    "rank_pattern": ({"rank_pattern": {"q": 1}}, None),
    "use_rslora": ({"use_rslora": True}, None),
    "use_dora": ({"use_dora": True}, None),
    "lora_bias": ({"lora_bias": True}, None),
    "bias": ({"bias": "lora_only"}, None),
    "init_lora_weights": ({"init_lora_weights": "pissa"}, None),
    "init_lora_weights ": ({"init_lora_weights": "olora"}, None),
    "r": ({"r": 3}, None),
    "lora_alpha": ({"lora_alpha": 5}, None),
    "target_modules": ({"target_modules": ["q"]}, None),
    "alora_invocation_tokens": ({}, {"alora_invocation_tokens": [2]}),
    "layer_replication": ({}, {"layer_replication": [[0, 1]]}),
    "trainable_token_indices": ({}, {"trainable_token_indices": [1]}),
    "a_key_of_tomorrow": ({}, {"a_key_of_tomorrow": "on"}),
    "peft_type": ({}, {"peft_type": "LOHA"}),
    "init_lora_weights  ": ({}, {"init_lora_weights": "corda"}),
    "modules_to_save": ({}, {"modules_to_save": ["q"]}),
}


@pytest.mark.parametrize("key", CHANGED)
def test_a_setting_that_changes_the_function_is_refused(key, base, tmp_path):
    options, edited = CHANGED[key]
    by_peft(base, tmp_path, config(**options), None if edited is None else lambda found: {**found, **edited})
    attached = attach(base, LORA)
    before = attached.state()
    with pytest.raises(AtlasError, match=rf"adapter_config.json: {key.strip()} = .*allowed: ") as caught:
        load_adapter(attached, tmp_path)
    assert "\n" not in str(caught.value)
    assert all(torch.equal(before[name], value) for name, value in attached.state().items())


OLD = ("base_model_name_or_path", "bias", "fan_in_fan_out", "inference_mode", "lora_alpha", "lora_dropout", "r")
SAME = {
    "as it is": lambda found: found,
    "peft 0.4": lambda found: {key: found[key] for key in (*OLD, "peft_type", "target_modules", "modules_to_save")},
    "the least": lambda found: {key: found[key] for key in ("peft_type", "target_modules", "r", "lora_alpha")},
    "dropout": lambda found: {**found, "lora_dropout": 0.3},
    "a pattern": lambda found: {**found, "target_modules": r"q|magnitude_.*"},
    "fan_in_fan_out": lambda found: {**found, "fan_in_fan_out": True},
    "off tomorrow": lambda found: {**found, "a_key_of_tomorrow": None, "another": False},
    "alpha with a point": lambda found: {**found, "lora_alpha": 4.0},
}


@pytest.mark.parametrize("label", SAME)
def test_a_setting_that_changes_nothing_is_let_pass(label, base, tmp_path):
    theirs, x = by_peft(base, tmp_path, config(), SAME[label]), torch.randn(4, 6)
    load_adapter(attach(base, LORA), tmp_path)
    torch.testing.assert_close(base(x), theirs(x))


def test_absent_keys_take_pefts_defaults(base, tmp_path):
    theirs = by_peft(base, tmp_path, config(r=8, lora_alpha=8), lambda found: {
        "peft_type": "LORA", "target_modules": found["target_modules"]
    })  # fmt: skip
    x = torch.randn(4, 6)
    load_adapter(attach(base, LoRA(8, 8.0, 0.0, T)), tmp_path)
    torch.testing.assert_close(base(x), theirs(x))


@pytest.mark.parametrize(("kind", "options"), [(peft.LoraConfig, DEFAULTS["LORA"]), (peft.IA3Config, DEFAULTS["IA3"])])
def test_our_defaults_are_pefts(kind, options):
    plain = kind(target_modules=["q"])
    assert all(getattr(plain, key) == value for key, value in options.items())


@pytest.mark.parametrize("method", [LORA, DoRA(2, 4.0, 0.0, T), IA3(T, ("q",))], ids=lambda method: method.name)
def test_names_are_distinguished_by_their_ends(method, base, tmp_path):
    other, x = copy.deepcopy(base), torch.randn(4, 6)
    save_adapter(noisy(attach(base, method, head=("head",))), tmp_path, "tiny", ("head",))
    theirs = peft.PeftModel.from_pretrained(copy.deepcopy(other), tmp_path).eval()
    torch.testing.assert_close(base(x), theirs(x))
    theirs.save_pretrained(tmp_path / "theirs")
    load_adapter(attach(other, method, head=("head",)), tmp_path / "theirs")
    torch.testing.assert_close(other(x), theirs(x))


@pytest.mark.parametrize("method", [LORA, SeriesAdapter(2, T), FullFineTuning()], ids=lambda method: method.name)
def test_running_statistics_of_what_learns_come_along(method, base, tmp_path):
    other, x = copy.deepcopy(base), torch.randn(4, 6)
    attached = noisy(attach(base, method, head=() if method.name == "full" else ("head",)))
    base.train()(torch.randn(50, 6) + 3)
    base.eval()
    save_adapter(attached, tmp_path, "tiny")
    again = attach(other, method, head=attached.head)
    load_adapter(again, tmp_path)
    assert torch.equal(other(x), base(x))
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    tensors.pop(next(name for name in tensors if name.endswith("running_var")))
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    with pytest.raises(AtlasError, match=r"lacks .*running_var"):
        load_adapter(again, tmp_path)


FEEDFORWARD = [IA3(T), IA3(T, T), IA3(T, ("magnitude_proj",))]


@pytest.mark.parametrize("method", FEEDFORWARD, ids=lambda method: f"{len(method.feedforward_modules)}")
@pytest.mark.parametrize("written", FEEDFORWARD, ids=lambda method: f"of {len(method.feedforward_modules)}")
def test_ia3_loads_only_where_the_same_inputs_are_rescaled(written, method, base, tmp_path):
    other, x = copy.deepcopy(base), torch.randn(4, 6)
    save_adapter(noisy(attach(base, written)), tmp_path, "tiny")
    if written == method:
        load_adapter(attach(other, method), tmp_path)
        assert torch.equal(other(x), base(x))
    else:
        with pytest.raises(AtlasError, match="feedforward_modules = "):
            load_adapter(attach(other, method), tmp_path)


def test_ia3_is_not_saved_where_peft_would_take_another_name_for_a_feedforward_module(tmp_path):
    net = nn.ModuleDict({"q": nn.Linear(4, 4), "xq": nn.Linear(4, 4)})
    with pytest.raises(AtlasError, match=r"feedforward_modules = .*leave out xq"):
        save_adapter(attach(net, IA3(("q", "xq"), ("q",))), tmp_path, "tiny")
    assert not list(tmp_path.iterdir())


OWN = [
    (SeriesAdapter(2, T), SeriesAdapter(2, T, "relu"), "non_linearity"),
    (SeriesAdapter(2, T), SeriesAdapter(2, T, side="input"), "side"),
    (BitFitLoRA(2, 4.0, 0.0, T), BitFitLoRA(2, 40.0, 0.0, T), "lora_alpha"),
    (BitFitLoRA(2, 4.0, 0.0, T), BitFitLoRA(2, 4.0, 0.0, T, True), "use_rslora"),
    (LoReFT(2, T, 6, 1), LoReFT(2, T, 6), "edges"),
    (LoReFT(2, T, 6), LoReFT(3, T, 6), "r"),
    (BitFit(), FullFineTuning(), "method"),
]


@pytest.mark.parametrize(("written", "attached", "key"), OWN, ids=[key for *_, key in OWN])
def test_settings_of_our_own_format_are_checked(written, attached, key, base, tmp_path):
    save_adapter(attach(copy.deepcopy(base), written), tmp_path, "tiny")
    with pytest.raises(AtlasError, match=rf"{key} = .*allowed: "):
        load_adapter(attach(base, attached), tmp_path)


def test_dropout_and_the_spelling_of_targets_do_not_matter_in_our_own_format(base, tmp_path):
    save_adapter(noisy(attach(base, BitFitLoRA(2, 4.0, 0.5, T))), tmp_path, "tiny")
    load_adapter(attach(Net(), BitFitLoRA(2, 4.0, 0.0, r"q|magnitude.*")), tmp_path)


BROKEN = {
    "NaN": (lambda tensors, name: tensors[name].fill_(float("nan")), "not finite"),
    "infinite": (lambda tensors, name: tensors[name].fill_(float("inf")), "not finite"),
    "int8": (lambda tensors, name: tensors.update({name: tensors[name].to(torch.int8)}), "holds int8"),
    "bool": (lambda tensors, name: tensors.update({name: tensors[name] > 0}), "holds bool"),
    "no bias": (lambda tensors, name: tensors.pop("base_model.model.head.1.bias"), "lacks .*head.1.bias"),
    "one missing": (lambda tensors, name: tensors.pop(name), "lacks"),
    "no ending": (
        lambda tensors, name: tensors.update({name.removesuffix(".weight"): tensors.pop(name)}),
        "no tensor of",
    ),
    "no beginning": (lambda tensors, name: tensors.update({name[17:]: tensors.pop(name)}), "no tensor of"),
    "one more": (lambda tensors, name: tensors.update({f"{name}x": tensors[name].clone()}), "unknown"),
    "other shape": (lambda tensors, name: tensors.update({name: tensors[name].mT.contiguous()}), "has shape"),
}


@pytest.mark.parametrize("label", BROKEN)
def test_tensors_that_do_not_fit_are_refused_and_change_nothing(label, base, tmp_path):
    edit, words = BROKEN[label]
    save_adapter(noisy(attach(copy.deepcopy(base), LORA, head=("head",))), tmp_path, "tiny", ("head",))
    file = tmp_path / "adapter_model.safetensors"
    tensors = load_file(file)
    edit(tensors, "base_model.model.q.lora_A.weight")
    save_file(tensors, file)
    attached = attach(base, LORA, head=("head",))
    before = {**attached.state(), **copy.deepcopy(attached.buffers())}
    with pytest.raises(AtlasError, match=words) as caught:
        load_adapter(attached, tmp_path)
    assert "\n" not in str(caught.value)
    assert all(torch.equal(before[name], value) for name, value in {**attached.state(), **attached.buffers()}.items())


def test_a_file_without_the_head_leaves_the_head(base, tmp_path):
    save_adapter(noisy(attach(copy.deepcopy(base), LORA)), tmp_path, "tiny")
    attached = attach(base, LORA, head=("head",))
    head = base.head[1].weight.clone()
    load_adapter(attached, tmp_path)
    assert torch.equal(base.head[1].weight, head)


def test_the_head_that_is_saved_is_the_one_that_was_attached(base, tmp_path):
    with pytest.raises(AtlasError, match=r"head = \('head',\): allowed: the head that was attached, \(\)"):
        save_adapter(attach(base, LORA), tmp_path, "tiny", ("head",))
    assert not list(tmp_path.iterdir())


def test_a_head_that_peft_cannot_keep_is_not_saved_for_it(tmp_path):
    net = nn.ModuleDict({"q": nn.Linear(4, 4), "head": nn.ModuleList([nn.Linear(4, 4)])})
    with pytest.raises(AtlasError, match=r"head: peft keeps no ModuleList, as head is; allowed: the modules within it"):
        save_adapter(attach(net, LoRA(2, 4.0, 0.0, ("q",)), head=("head",)), tmp_path, "tiny", ("head",))


def test_pefts_copy_of_an_adapted_embedding_is_the_networks_own_or_refused(tmp_path):
    shape = {"vocab_size": 11, "hidden_size": 4, "intermediate_size": 4, "num_hidden_layers": 1}
    make = lambda: LlamaForCausalLM(LlamaConfig(**shape, num_attention_heads=1))  # noqa: E731
    torch.manual_seed(0)
    net = make()
    by_peft(net, tmp_path, config(target_modules=["lm_head"]))
    assert any("base_layer" in name for name in load_file(tmp_path / "adapter_model.safetensors"))
    method = LoRA(2, 4.0, 0.0, ("lm_head",))
    load_adapter(attach(copy.deepcopy(net), method), tmp_path)
    with pytest.raises(AtlasError, match="another weight than the network's"):
        load_adapter(attach(make(), method), tmp_path)
