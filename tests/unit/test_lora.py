"""LoRALinear against peft and against what the paper says of it."""

import copy

import peft
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from peft_atlas.accounting.closed_forms import lora_params
from peft_atlas.errors import AtlasError
from peft_atlas.methods.lora import MERGE_TOLERANCE, LoRALinear, redundant_rank
from peft_atlas.population import PopulationLinear
from peft_atlas.studies.notebook.checks import published_forward


def random_lora(d_in=12, d_out=7, r=3, alpha=8.0, dtype=torch.float64, **options):
    draws = torch.Generator().manual_seed(1)
    layer = LoRALinear(nn.Linear(d_in, d_out, dtype=dtype), r, alpha, **options)
    with torch.no_grad():
        layer.lora_B.copy_(torch.randn(layer.lora_B.shape, generator=draws))
    return layer


@given(d_in=st.integers(1, 9), d_out=st.integers(1, 9), r=st.integers(1, 9), alpha=st.floats(0.1, 64))
@settings(max_examples=25, deadline=None)
def test_outputs_and_gradients_equal_pefts(d_in, d_out, r, alpha):
    ours = random_lora(d_in, d_out, r, alpha)
    config = peft.LoraConfig(r=r, lora_alpha=alpha, target_modules=["0"], lora_dropout=0.0)
    theirs = peft.inject_adapter_in_model(config, nn.Sequential(copy.deepcopy(ours.base)))
    with torch.no_grad():
        theirs[0].lora_A["default"].weight.copy_(ours.lora_A)
        theirs[0].lora_B["default"].weight.copy_(ours.lora_B)
    theirs = theirs.double()
    x = torch.randn(5, d_in, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-10, atol=1e-10)
    ours(x).square().sum().backward()
    theirs(x).square().sum().backward()
    torch.testing.assert_close(ours.lora_A.grad, theirs[0].lora_A["default"].weight.grad, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(ours.lora_B.grad, theirs[0].lora_B["default"].weight.grad, rtol=1e-9, atol=1e-9)
    count = sum(p.numel() for p in theirs.parameters() if p.requires_grad)
    assert count == lora_params(r, [(d_in, d_out)]) == sum(p.numel() for p in ours.parameters() if p.requires_grad)


def test_it_starts_as_its_base():
    base = nn.Linear(6, 4)
    layer = LoRALinear(base, 2, 16.0)
    x = torch.randn(9, 6)
    assert torch.equal(layer(x), base(x))
    assert layer.lora_A.abs().max() <= 6**-0.5
    assert layer.lora_A.std() > 0


def test_only_a_and_b_move():
    layer = LoRALinear(nn.Linear(6, 4), 2, 16.0, lora_dropout=0.1)
    before = {name: value.clone() for name, value in layer.named_parameters()}
    optimizer = torch.optim.AdamW([p for p in layer.parameters() if p.requires_grad], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        layer(torch.randn(8, 6)).square().sum().backward()
        optimizer.step()
    moved = {name for name, value in layer.named_parameters() if not torch.equal(value, before[name])}
    assert moved == {"lora_A", "lora_B"}


def test_dropout_comes_before_a_and_spares_the_base():
    layer = random_lora(d_in=50, lora_dropout=0.5).train()
    layer.dropout.forward = lambda x: torch.zeros_like(x)
    x = torch.randn(4, 50, dtype=torch.float64)
    assert torch.equal(layer(x), layer.base(x))


def test_given_base_output_is_used():
    layer = random_lora()
    x = torch.randn(4, 12, dtype=torch.float64)
    torch.testing.assert_close(layer(x, base_output=layer.base(x)), layer(x), rtol=0, atol=0)


@pytest.mark.parametrize("dtype", MERGE_TOLERANCE, ids=str)
def test_merging(dtype):
    layer = random_lora(d_in=64, d_out=64, r=8, alpha=16.0, dtype=dtype)
    with torch.no_grad():
        layer.lora_B /= 8
    x = torch.randn(32, 64).to(dtype)
    before, weight = layer(x), layer.base.weight.detach().clone()
    layer.merge()
    once = layer.base.weight.detach().clone()
    layer.merge()
    assert torch.equal(layer.base.weight, once)
    error = (layer(x) - before).abs().max() / before.abs().max()
    assert error <= MERGE_TOLERANCE[dtype]
    assert not torch.equal(once, weight)
    layer.unmerge()
    layer.unmerge()
    assert torch.equal(layer.base.weight, weight)
    assert torch.equal(layer(x), before)


def test_merging_a_population_that_shares_its_base():
    base = PopulationLinear(5, 4, (2, 1), (0, 1))
    layer = LoRALinear(base, 2, torch.tensor([1.0, 8.0, 32.0]), population=(2, 3), seeds=(0, 1))
    with torch.no_grad():
        layer.lora_B.normal_(generator=torch.Generator().manual_seed(0))
    x = torch.randn(2, 1, 6, 5)
    before = layer(x)
    layer.merge()
    torch.testing.assert_close(layer(x), before, rtol=1e-5, atol=1e-5)
    layer.unmerge()
    assert base.weight.shape == (2, 1, 4, 5)
    assert torch.equal(layer(x), before)


def test_a_merge_that_is_not_finite_is_refused_and_leaves_the_layer():
    layer = random_lora()
    with torch.no_grad():
        layer.lora_B[0, 0] = float("inf")
    weight = layer.base.weight.detach().clone()
    with pytest.raises(AtlasError, match="not finite"):
        layer.merge()
    assert not layer.merged
    assert torch.equal(layer.base.weight, weight)


def test_members_have_their_own_scaling():
    alphas = torch.tensor([1.0, 16.0])
    layer = LoRALinear(PopulationLinear(5, 4, (1, 1)), 2, alphas, population=(1, 2))
    with torch.no_grad():
        layer.lora_B.fill_(1.0)
    x = torch.randn(1, 1, 3, 5)
    update = layer(x) - layer.base(x)
    torch.testing.assert_close(update[0, 1], 16 * update[0, 0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"r": 0}, "r = 0"),
        ({"r": -2}, "r = -2"),
        ({"alpha": 0.0}, "lora_alpha = 0.0"),
        ({"alpha": float("nan")}, "lora_alpha = nan"),
        ({"lora_dropout": 1.0}, "lora_dropout = 1.0"),
    ],
)
def test_values_out_of_range_are_named(options, words):
    with pytest.raises(AtlasError, match=words) as caught:
        random_lora(**options)
    assert "\n" not in str(caught.value)


def test_a_redundant_rank_is_allowed_and_said():
    assert redundant_rank(8, [(100, 256), (256, 2)])
    assert not redundant_rank(2, [(100, 256), (256, 2)])
    random_lora(d_out=2, r=8)


def test_the_notebooks_forward_pass_cannot_run():
    x, a, b = torch.randn(4, 100), torch.randn(8, 100), torch.randn(256, 8)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        published_forward(x, a, b)
    # It runs only where rank and output width are equal, and then with the wrong matrix.
    square = torch.randn(8, 8)
    wrong = published_forward(x, a, square)
    assert not torch.allclose(wrong, x @ a.T @ square.T)
