"""Merging: what a merged network gives, what unmerging restores, and what is refused."""

import pytest
import torch
from method_networks import EVERY, HEAD, bert, logits, stirred

from peft_atlas.errors import AtlasError
from peft_atlas.methods.attach import attach
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
