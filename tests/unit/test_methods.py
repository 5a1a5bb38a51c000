"""Every PEFT method on a transformer and on a population: against peft, against formulas, and by its properties."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import peft
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

from peft_atlas.errors import AtlasError
from peft_atlas.methods.attach import attach
from peft_atlas.methods.dora import DoRA
from peft_atlas.methods.full import FullFineTuning
from peft_atlas.methods.ia3 import IA3
from peft_atlas.methods.lora import LoRA
from peft_atlas.methods.lora_plus import LoRAPlus
from peft_atlas.methods.loreft import Intervention, LoReFT
from peft_atlas.methods.method import ALONE, Members, Sites, Sizes, matches
from peft_atlas.methods.parallel_adapter import ParallelAdapter
from peft_atlas.methods.prefix import PrefixTuning
from peft_atlas.methods.registry import all_methods, study_settings
from peft_atlas.methods.series_adapter import SeriesAdapter
from peft_atlas.methods.storage import adapter_bytes, load_adapter, save_adapter
from peft_atlas.methods.wrapper import MERGE_TOLERANCE
from peft_atlas.models.mlp import MLPShape, simple_nn

WIDTH, TOKENS, PREFIX = 16, 7, 3
HEAD = ("classifier",)
FEEDFORWARD = ("layer.*.output.dense",)
SITES = Sites(
    linear=("query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"),
    query_value=("query", "value"),
    attention=("query", "key", "value"),
    rescaled=("key", "value"),
    feedforward=FEEDFORWARD,
    outputs=("attention.output.dense", "output.dense"),
    attention_modules=("attention.self",),
    blocks=("layer.*",),
    width=WIDTH,
)
EVERY = study_settings(SITES, Sizes(rank=3, alpha=6.0, bottleneck=5, virtual_tokens=PREFIX))
IDS = [f"{setting.label} {setting.setting or ''}".strip() for setting in EVERY]
KNOWN_TO_PEFT = {
    "LoRA": (LoRA(3, 6.0, 0.0, ("query", "output.dense")), peft.LoraConfig, {"r": 3, "lora_alpha": 6}),
    "rsLoRA": (
        LoRA(3, 6.0, 0.0, ("query", "value"), use_rslora=True),
        peft.LoraConfig,
        {"r": 3, "lora_alpha": 6, "use_rslora": True},
    ),
    "DoRA": (
        DoRA(3, 6.0, 0.0, ("query", "output.dense")),
        peft.LoraConfig,
        {"r": 3, "lora_alpha": 6, "use_dora": True},
    ),
    "(IA)3": (IA3(("key", "value", *FEEDFORWARD), FEEDFORWARD), peft.IA3Config, {}),
    "PrefT": (
        PrefixTuning(PREFIX, ("attention.self",), WIDTH),
        peft.PrefixTuningConfig,
        {"num_virtual_tokens": PREFIX},
    ),
}
BOTH = pytest.mark.parametrize("name", KNOWN_TO_PEFT)
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-11}


def bert(dtype=torch.float32):
    """Return a small BERT with weights far enough from zero that a fault would show."""
    config = BertConfig(
        vocab_size=50,
        hidden_size=WIDTH,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=32,
        num_labels=3,
    )
    model = BertForSequenceClassification(config)
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=draws))
    return model.to(dtype).eval()


def texts():
    """Return a batch of texts, one of them padded."""
    ids = torch.randint(0, 50, (3, TOKENS), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[1, 4:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def logits(model, method=None):
    """Return logits; peft moves the positions by the length of a prefix, so a prefix of ours is compared there."""
    batch = texts()
    if isinstance(method, PrefixTuning):
        batch["position_ids"] = (torch.arange(TOKENS) + PREFIX).expand(3, -1)
    return model(**batch).logits


def stirred(attached):
    """Return an attached network whose adapter is away from its start, at numbers that float32 holds exactly.

    peft keeps the table of a prefix in float32 whatever the network's dtype.
    """
    draws = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in attached.trainable().values():
            parameter.copy_((parameter + 0.1 * torch.randn(parameter.shape, generator=draws)).float())
    return attached


def both_sides(name, folder, dtype=torch.float32):
    """Return our network and peft's, made from the files that we wrote of ours."""
    method = KNOWN_TO_PEFT[name][0]
    attached = stirred(attach(bert(dtype), method, head=HEAD))
    save_adapter(attached, folder, "tiny", HEAD, "SEQ_CLS")
    return attached, peft.PeftModel.from_pretrained(bert(dtype), folder).eval()


@BOTH
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_peft_loads_what_we_write_and_gives_the_same_logits(name, dtype, tmp_path):
    ours, theirs = both_sides(name, tmp_path, dtype)
    got = logits(ours.model, ours.method)
    torch.testing.assert_close(got, logits(theirs), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    assert (got - logits(bert(dtype), ours.method)).abs().max() > 1e-3
    assert not [path for path in tmp_path.iterdir() if path.suffix in (".bin", ".pt", ".pkl")]


@BOTH
def test_we_load_what_peft_writes_and_give_the_same_logits(name, tmp_path):
    ours, theirs = both_sides(name, tmp_path / "ours")
    theirs.save_pretrained(tmp_path / "theirs")
    again = attach(bert(), ours.method, head=HEAD)
    load_adapter(again, tmp_path / "theirs")
    torch.testing.assert_close(logits(again.model, ours.method), logits(theirs), rtol=1e-5, atol=1e-5)


@BOTH
def test_gradients_and_counts_equal_pefts(name, tmp_path):
    method, kind, options = KNOWN_TO_PEFT[name]
    ours = stirred(attach(bert(torch.float64), method, head=HEAD))
    if kind is not peft.PrefixTuningConfig:
        modules = method.peft_modules(list(ours.targets()), HEAD)
        options = {**options, **modules}
    theirs = peft.get_peft_model(bert(torch.float64), kind(task_type="SEQ_CLS", **options)).double().eval()
    saved = method.to_peft(ours.state())
    peft.set_peft_model_state_dict(theirs, saved)
    logits(ours.model, method).square().sum().backward()
    logits(theirs).square().sum().backward()
    expected = peft.get_peft_model_state_dict(theirs, state_dict=gradients_of(theirs))
    if kind is peft.PrefixTuningConfig:
        # Of a prefix peft gives the values themselves, whatever state it is handed.
        expected["prompt_embeddings"] = theirs.prompt_encoder["default"].embedding.weight.grad
    got = method.to_peft({name: parameter.grad for name, parameter in ours.trainable().items()})
    assert set(got) == set(expected)
    for key, gradient in got.items():
        torch.testing.assert_close(gradient, expected[key], rtol=1e-9, atol=1e-11, msg=key)
    assert theirs.get_nb_trainable_parameters()[0] == ours.adapter_params() + ours.head_params()


def gradients_of(model):
    """Return a state dict of a model whose trained entries hold gradients, so that peft's own naming can be used."""
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            state[name] = parameter.grad
    return state


@pytest.fixture(scope="module")
def reference():
    """Return the published formulas' values, after checking that the kept script still gives them."""
    script = Path(__file__).parent / "reference/adapter_values.py"
    spec = importlib.util.spec_from_file_location("adapter_values", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    kept = json.loads(module.FILE.read_text(encoding="utf-8"))
    flat = lambda tree: [number for value in tree for number in np.ravel(value)]  # noqa: E731
    for name in ("series", "parallel", "loreft"):
        np.testing.assert_allclose(flat([kept[name]["output"]]), flat([module.values()[name]["output"]]), rtol=1e-12)
    return kept


def reference_layer(reference, name):
    """Return a wrapped linear module with the reference's weights, and its trained parameters by name."""
    inputs = {key: torch.tensor(value, dtype=torch.float64) for key, value in reference["inputs"].items()}
    given_ = {key: torch.tensor(value, dtype=torch.float64) for key, value in reference[name]["parameters"].items()}
    base = nn.Linear(*inputs["W"].shape[::-1], dtype=torch.float64)
    base.weight.data, base.bias.data = inputs["W"], inputs["b"]
    method = {
        "series": SeriesAdapter(3, ("0",)),
        "parallel": ParallelAdapter(3, ("0",)),
        "loreft": LoReFT(2, ("0",)),
    }[name]
    attached = attach(nn.Sequential(base), method)
    wrapper = attached.targets()["0"]
    if name == "loreft":
        wrapper.intervention.rotation.data = 3 * given_["R"].T
        named = {"weight": wrapper.intervention.weight, "bias": wrapper.intervention.bias}
    else:
        named = {"down": wrapper.adapter.down, "up": wrapper.adapter.up}
    with torch.no_grad():
        for key, parameter in named.items():
            parameter.copy_(given_[key])
    return attached.model, inputs["x"], named


@pytest.mark.parametrize("name", ["series", "parallel", "loreft"])
def test_outputs_and_gradients_equal_the_published_formulas(reference, name):
    model, x, named = reference_layer(reference, name)
    output = model(x)
    torch.testing.assert_close(output, torch.tensor(reference[name]["output"], dtype=torch.float64), rtol=0, atol=1e-12)
    output.square().sum().backward()
    for key, parameter in named.items():
        expected = torch.tensor(reference[name]["gradients"][key], dtype=torch.float64)
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-6, atol=1e-6)


def test_loreft_keeps_r_orthonormal_while_it_learns():
    attached = attach(nn.Sequential(nn.Linear(5, 6)), LoReFT(3, ("0",)))
    optimizer = torch.optim.AdamW(attached.trainable().values(), lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        attached.model(torch.randn(8, 5, generator=torch.Generator().manual_seed(0))).square().sum().backward()
        optimizer.step()
    rotated = attached.targets()["0"].intervention.subspace()
    torch.testing.assert_close(rotated.T @ rotated, torch.eye(3), rtol=0, atol=1e-5)


def test_loreft_edits_only_the_span_of_its_rotation():
    """Eq. 2: with orthonormal R the edit lies in R's row space, where it becomes W h + b."""
    draws = torch.Generator().manual_seed(0)
    h = torch.randn(5, 16, generator=draws, dtype=torch.float64)
    edit = Intervention(16, 3, ALONE, "edit", h)
    edited, columns = edit(h), edit.subspace()
    outside = torch.eye(16, dtype=torch.float64) - columns @ columns.T
    torch.testing.assert_close(edited @ outside, h @ outside)
    torch.testing.assert_close(edited @ columns, h @ edit.weight.T + edit.bias)


def test_loreft_edits_the_first_and_last_positions_only():
    base = nn.Linear(4, 4)
    attached = attach(nn.Sequential(base), LoReFT(2, ("0",), edges=2))
    x = torch.randn(3, 7, 4, generator=torch.Generator().manual_seed(0))
    changed = (attached.model(x) != base(x)).any(-1)
    assert changed.tolist() == [[True, True, False, False, False, True, True]] * 3


@pytest.mark.parametrize("setting", EVERY, ids=IDS)
class TestEveryMethod:
    """What holds of every method, on a transformer."""

    def test_attach_then_detach_is_the_identity(self, setting):
        model = bert()
        flags = [(name, p, p.data.clone(), p.requires_grad) for name, p in model.named_parameters()]
        modules = list(model.modules())
        attached = stirred(attach(model, setting.method, head=HEAD))
        assert (logits(model) - logits(bert())).abs().max() > 0
        attached.detach()
        assert list(model.modules()) == modules
        for name, parameter, values, flag in flags:
            assert dict(model.named_parameters())[name] is parameter
            assert torch.equal(parameter, values)
            assert parameter.requires_grad is flag
        assert torch.equal(logits(model), logits(bert()))

    def test_it_starts_as_its_base_unless_the_paper_starts_elsewhere(self, setting):
        same = torch.equal(logits(attach(bert(), setting.method, head=HEAD).model), logits(bert()))
        close = torch.allclose(logits(attach(bert(), setting.method, head=HEAD).model), logits(bert()), atol=1e-6)
        assert close is (setting.label not in ("LoReFT", "PrefT"))
        assert same or setting.label in ("LoReFT", "PrefT", "DoRA", "DoRA (half)")

    def test_frozen_parameters_do_not_move_and_all_others_do(self, setting):
        model = bert()
        attached = stirred(attach(model, setting.method, head=HEAD))
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        learning = {id(parameter) for parameter in attached.trainable().values()}
        optimizer = torch.optim.AdamW(attached.trainable().values(), lr=0.05)
        for _ in range(2):
            optimizer.zero_grad()
            logits(model).square().sum().backward()
            optimizer.step()
        for name, parameter in model.named_parameters():
            assert torch.equal(parameter, before[name]) is (id(parameter) not in learning), name

    def test_the_closed_form_counts_what_learns(self, setting):
        expected = setting.method.trainable_params(bert(), HEAD)
        attached = attach(bert(), setting.method, head=HEAD)
        assert attached.adapter_params() == expected
        assert attached.head_params() == WIDTH * 3 + 3
        learning = sum(p.numel() for p in attached.model.parameters() if p.requires_grad)
        assert learning == expected + attached.head_params()

    def test_it_comes_back_from_its_files(self, setting, tmp_path):
        attached = stirred(attach(bert(), setting.method, head=HEAD))
        save_adapter(attached, tmp_path, "tiny", HEAD, "SEQ_CLS")
        again = attach(bert(), setting.method, head=HEAD)
        load_adapter(again, tmp_path)
        assert torch.equal(logits(again.model), logits(attached.model))
        size = (tmp_path / "adapter_model.safetensors").stat().st_size
        assert (0 < adapter_bytes(attached) < size) or setting.label == "head only"

    def test_the_same_seed_starts_alike_and_another_otherwise(self, setting):
        states = [attach(bert(), setting.method, Members(seeds=(seed,))).state() for seed in (0, 0, 1)]
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
        drawn = [name for name in states[0] if not torch.equal(states[0][name], states[2][name])]
        assert bool(drawn) is (setting.label not in ("full", "head only", "BitFit", "(IA)3"))


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


MLP_SITES = Sites(("fc1", "fc2"), ("fc1", "fc2"), ("fc1", "fc2"), ("fc1",), ("fc2",), ("fc1",), (), ("fc1",), 6)
ON_MLP = study_settings(MLP_SITES, Sizes(rank=2, alpha=4.0, bottleneck=3))


@pytest.mark.parametrize("setting", ON_MLP, ids=lambda setting: setting.label)
def test_a_member_of_a_population_is_the_run_alone(setting):
    shape, seeds, places = MLPShape(5, 6, 3), (3, 8), 2
    members = Members((len(seeds), places), seeds)
    block = stirred(attach(simple_nn(shape, (len(seeds), 1), seeds), setting.method, members))
    x = torch.randn(len(seeds), 1, 4, 5, generator=torch.Generator().manual_seed(0))
    outputs = block.model(x)
    if block.trainable():
        outputs.expand(len(seeds), places, 4, 3).square().sum().backward()
    for row, seed in enumerate(seeds):
        for column in range(places):
            alone = attach(simple_nn(shape, (), (seed,)), setting.method, Members(seeds=(seed,)))
            alone.load({name: values[row, column] for name, values in block.state().items()})
            expected = alone.model(x[row, 0])
            got = outputs.expand(len(seeds), places, 4, 3)[row, column]
            torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)
            if alone.trainable():
                expected.square().sum().backward()
            for name, parameter in alone.trainable().items():
                whole = block.trainable()[name].grad[row, column]
                torch.testing.assert_close(whole, parameter.grad, rtol=1e-4, atol=1e-4, msg=name)
    assert block.adapter_params() == setting.method.trainable_params(simple_nn(shape, (), (0,)))


def test_prefix_tuning_is_left_out_where_there_is_no_attention():
    assert "PrefT" not in {setting.label for setting in ON_MLP}
    with pytest.raises(AtlasError, match="does not call scaled_dot_product_attention"):
        attach(nn.Sequential(nn.Linear(4, 4)), PrefixTuning(2, ("0",), 4)).model(torch.randn(2, 4))


@given(tokens=st.integers(1, 4), causal=st.booleans(), masked=st.booleans())
@settings(max_examples=12)
def test_prefix_attention_is_softmax_over_prefix_and_text(tokens, causal, masked):
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1, dtype=torch.float64))

        def forward(self, x, mask):
            heads = x.unflatten(-1, (2, 3)).transpose(1, 2)
            return nn.functional.scaled_dot_product_attention(heads, heads, heads, mask, is_causal=causal)

    draws = torch.Generator().manual_seed(tokens)
    x = torch.randn(2, 5, 6, generator=draws, dtype=torch.float64)
    mask = torch.rand(2, 1, 5, 5, generator=draws) < 0.7 if masked and not causal else None
    attached = attach(nn.Sequential(Attention()), PrefixTuning(tokens, ("0",), 6))
    wrapper = attached.targets()["0"]
    heads = x.unflatten(-1, (2, 3)).transpose(1, 2)
    keys, values = (
        torch.cat([part.unflatten(-1, (2, 3)).transpose(0, 1).expand(2, -1, -1, -1), heads], 2)
        for part in (wrapper.keys, wrapper.values)
    )
    scores = heads @ keys.mT / 3**0.5
    allowed = torch.ones(5, 5, dtype=torch.bool).tril() if causal else mask
    if allowed is not None:
        hidden = ~torch.cat([torch.ones(*allowed.shape[:-1], tokens, dtype=torch.bool), allowed], -1)
        scores = scores.masked_fill(hidden, float("-inf"))
    torch.testing.assert_close(wrapper(x, mask), scores.softmax(-1) @ values, rtol=1e-10, atol=1e-10)


def test_lora_plus_differs_from_lora_in_the_rate_of_b_alone():
    plus = attach(bert(), LoRAPlus(2, 4.0, 0.0, ("query",), rate_ratio=16.0))
    factors = plus.rate_factors()
    assert {factor for name, factor in factors.items() if name.endswith("lora_B")} == {16.0}
    assert {factor for name, factor in factors.items() if name.endswith("lora_A")} == {1.0}
    lora = attach(bert(), LoRA(2, 4.0, 0.0, ("query",)))
    assert all(torch.equal(lora.state()[name], values) for name, values in plus.state().items())


def test_dora_half_is_a_setting_of_the_rank():
    halves = {setting.label: setting.method for setting in EVERY if setting.label.startswith("DoRA")}
    assert halves["DoRA (half)"] == replace(halves["DoRA"], r=1, lora_alpha=2.0)


def test_every_method_is_found_and_says_what_it_is():
    methods = all_methods()
    assert set(methods) >= {
        *("full", "head only", "BitFit", "LoRA", "LoRA+", "DoRA", "AdapterS", "AdapterP", "PrefT", "LoReFT"),
        *("(IA)3", "BitFit + LoRA"),
    }
    for name, method in methods.items():
        assert "merg" in (method.__doc__ + method.wrap.__doc__).lower(), name


@pytest.mark.parametrize(
    ("name", "pattern", "fits"),
    [
        ("encoder.layer.0", "layer.*", True),
        ("encoder.layer.0.attention", "layer.*", False),
        ("layer.11.attention.output.dense", "output.dense", True),
        ("layer.11.attention.output.dense", "attention.output.dense", True),
        ("layer.11.output.dense", "layer.*.output.dense", True),
        ("layer.11.attention.output.dense", "layer.*.output.dense", False),
        ("fc1", "fc1", True),
        ("xfc1", "fc1", False),
    ],
)
def test_patterns_fit_the_last_parts_of_a_name(name, pattern, fits):
    assert matches(name, pattern) is fits


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (LoRA(target_modules=("querry",)), "'querry' fits no module; linear modules are named"),
        (LoRA(target_modules=("layer.*",)), "LoRA wraps linear modules, got a BertLayer"),
        (LoRA(r=0, target_modules=("query",)), "r = 0"),
        (SeriesAdapter(0, ("query",)), "bottleneck = 0"),
        (ParallelAdapter(2, ("query",), "swish"), "non_linearity = 'swish': allowed: tanh"),
        (LoReFT(99, ("query",)), "r = 99: allowed: a whole number from 1 to the width 16"),
        (LoReFT(2, ("layer.*",)), "width = None"),
        (PrefixTuning(0, ("attention.self",), WIDTH), "num_virtual_tokens = 0"),
    ],
)
def test_a_wrong_setting_is_named_on_one_line(method, words):
    with pytest.raises(AtlasError) as caught:
        attach(bert(), method)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_head_or_population_is_named():
    with pytest.raises(AtlasError, match="head: 'scorer' fits no module"):
        attach(bert(), LoRA(), head=("scorer",))
    with pytest.raises(AtlasError, match="leading dimensions of 1 or"):
        attach(bert(), FullFineTuning(), Members((2, 3), (0, 1)))
    with pytest.raises(AtlasError, match="one member at a time"):
        attach(bert(), PrefixTuning(2, ("attention.self",), WIDTH), Members((2,), (0, 1)))


def test_files_that_do_not_fit_are_refused_and_change_nothing(tmp_path):
    source = stirred(attach(bert(), LoRA(2, 4.0, 0.0, ("query",)), head=HEAD))
    save_adapter(source, tmp_path, "tiny", HEAD, "SEQ_CLS")
    other = attach(bert(), LoRA(3, 4.0, 0.0, ("query",)), head=HEAD)
    before = other.state()
    with pytest.raises(AtlasError, match=r"r = 2: allowed: 3"):
        load_adapter(other, tmp_path)
    with pytest.raises(AtlasError, match="lacks"):
        load_adapter(attach(bert(), LoRA(2, 4.0, 0.0, ("query", "key")), head=HEAD), tmp_path)
    weights = tmp_path / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-5])
    with pytest.raises(AtlasError, match="not a whole safetensors file"):
        load_adapter(attach(bert(), LoRA(2, 4.0, 0.0, ("query",)), head=HEAD), tmp_path)
    (tmp_path / "adapter_config.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(AtlasError, match="allowed: one JSON object"):
        load_adapter(other, tmp_path)
    assert all(torch.equal(values, before[name]) for name, values in other.state().items())
    block = attach(simple_nn(MLPShape(4, 4), (2,), (0, 1)), LoRA(target_modules=("fc1",)), Members((2,), (0, 1)))
    with pytest.raises(AtlasError, match="an adapter of one member is saved"):
        save_adapter(block, tmp_path, "tiny")
