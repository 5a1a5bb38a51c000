"""Population-native layers against torch.nn, member by member."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from peft_atlas.errors import AtlasError
from peft_atlas.population import PopulationLinear, SeedDropout, member_linear, uniform_by_seed
from peft_atlas.rng import generator

widths = st.integers(1, 7)


@given(
    seeds=st.integers(1, 4), settings_=st.integers(1, 4), shared=st.booleans(), batch=widths, d_in=widths, d_out=widths
)
@settings(max_examples=60, deadline=None)
def test_member_linear_is_a_linear_layer_a_member(seeds, settings_, shared, batch, d_in, d_out):
    draws = torch.Generator().manual_seed(0)
    x = torch.randn(seeds, 1 if shared else settings_, batch, d_in, generator=draws, dtype=torch.float64)
    weight = torch.randn(seeds, settings_, d_out, d_in, generator=draws, dtype=torch.float64)
    bias = torch.randn(seeds, settings_, d_out, generator=draws, dtype=torch.float64)
    got = member_linear(x, weight, bias[:, :, None])
    for s in range(seeds):
        for a in range(settings_):
            expected = F.linear(x[s, 0 if shared else a], weight[s, a], bias[s, a])
            torch.testing.assert_close(got[s, a], expected, rtol=1e-12, atol=1e-12)


def test_several_batch_dimensions():
    x, weight = torch.randn(3, 5, 4, 6), torch.randn(3, 2, 6)
    torch.testing.assert_close(member_linear(x, weight)[1], F.linear(x[1], weight[1]))


def test_without_a_population_it_is_the_textbook_layer():
    layer = PopulationLinear(6, 3)
    x = torch.randn(5, 6)
    torch.testing.assert_close(layer(x), F.linear(x, layer.weight, layer.bias))
    assert layer.weight.shape == (3, 6)


@pytest.mark.parametrize("rank", [1, 2, 3, 8, 32])
def test_a_member_has_the_same_bits_in_every_block(rank):
    draws = torch.Generator().manual_seed(rank)
    x = torch.randn(20, 1, 32, 100, generator=draws)
    weight = torch.randn(20, 5, rank, 100, generator=draws)
    frozen = torch.randn(20, 1, 32, rank, generator=draws)
    whole = member_linear(x, weight, frozen)
    for seeds in (slice(3, 4), slice(5, 10), slice(13, 20)):
        for settings_ in (slice(0, 5), slice(2, 3)):
            part = member_linear(x[seeds], weight[seeds, settings_], frozen[seeds])
            assert torch.equal(part, whole[seeds, settings_])


def test_initialisation_depends_on_seed_and_role_alone():
    together = uniform_by_seed((4, 3), 0.5, (3, 2), (7, 8, 9), "base/fc1/weight")
    alone = uniform_by_seed((4, 3), 0.5, (1, 5), (8,), "base/fc1/weight")
    assert torch.equal(together[1, 0], alone[0, 4])
    assert torch.equal(together[1, 0], together[1, 1])
    assert not torch.equal(together[0, 0], together[1, 0])
    assert together.abs().max() <= 0.5
    assert not torch.equal(alone[0, 0], uniform_by_seed((4, 3), 0.5, (1,), (8,), "adapter/fc1")[0])


def test_seeds_must_match_the_population():
    with pytest.raises(AtlasError, match=r"seeds = 2 .*one for each of 3"):
        PopulationLinear(2, 2, population=(3,), seeds=(0, 1))


def test_dropout_masks_are_keyed_by_seed_and_shared_by_its_members():
    layer = SeedDropout(0.5, (2, 3), (4, 5), "fc1")
    got = layer(torch.ones(2, 3, 8, 10))
    assert torch.equal(got[:, 0], got[:, 2])
    alone = SeedDropout(0.5, (1, 1), (5,), "fc1")(torch.ones(1, 1, 8, 10))
    assert torch.equal(got[1, 0], alone[0, 0])
    mask = torch.rand(8, 10, generator=generator(5, "dropout/fc1")) >= 0.5
    assert torch.equal(alone[0, 0], 2.0 * mask)


def test_dropout_does_nothing_in_evaluation():
    x = torch.ones(2, 3)
    assert SeedDropout(0.5).eval()(x) is x


@pytest.mark.parametrize("p", [-0.1, 1.0, 2.0, float("nan")])
def test_dropout_outside_its_range_is_refused(p):
    with pytest.raises(AtlasError, match="lora_dropout"):
        SeedDropout(p)
