"""What holds of every method, on a transformer and on a population, and how they are found."""

from dataclasses import replace

import pytest
import torch
from method_networks import EVERY, HEAD, IDS, WIDTH, bert, logits, stirred

from peft_atlas.methods.attach import attach
from peft_atlas.methods.lora import LoRA
from peft_atlas.methods.lora_plus import LoRAPlus
from peft_atlas.methods.method import Members, Sites, Sizes
from peft_atlas.methods.patterns import matches
from peft_atlas.methods.registry import all_methods, study_settings
from peft_atlas.methods.storage import adapter_bytes, load_adapter, save_adapter
from peft_atlas.models.mlp import MLPShape, simple_nn


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
