"""The population's AdamW against torch.optim.AdamW."""

import pytest
import torch
from torch import nn

from peft_atlas.training.optimizer import PopulationAdamW

SHAPES = [(3, 5, 7), (3, 1), (2, 2, 2)]


def values(number, dtype):
    draws = torch.Generator().manual_seed(number)
    return [torch.randn(shape, generator=draws, dtype=dtype) for shape in SHAPES]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-14), (torch.float32, 1e-6)])
def test_steps_are_torchs(dtype, tolerance):
    ours, theirs = ([nn.Parameter(v.clone()) for v in values(0, dtype)] for _ in range(2))
    mine, reference = PopulationAdamW(ours, lr=0.05), torch.optim.AdamW(theirs, lr=0.05, fused=False)
    for step in range(1, 8):
        for p, q, gradient in zip(ours, theirs, values(step, dtype), strict=True):
            p.grad, q.grad = gradient.clone(), gradient.clone()
        mine.step()
        reference.step()
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=tolerance)


def test_parameters_keep_their_values_and_gradients_are_forgotten():
    parameters = [nn.Parameter(v.clone()) for v in values(0, torch.float32)]
    optimizer = PopulationAdamW(parameters, lr=0.1)
    for parameter, value in zip(parameters, values(0, torch.float32), strict=True):
        assert torch.equal(parameter, value)
        parameter.grad = torch.ones_like(parameter)
    optimizer.zero_grad()
    assert all(parameter.grad is None for parameter in parameters)


def test_each_member_and_parameter_learns_at_its_own_rate():
    ours = [nn.Parameter(v.clone()) for v in values(0, torch.float64)]
    theirs = [[nn.Parameter(part.clone()) for part in value] for value in values(0, torch.float64)]
    rates = [torch.tensor([0.3, 0.01, 0.2], dtype=torch.float64), 0.05, torch.tensor([1e-3, 0.1], dtype=torch.float64)]
    mine = PopulationAdamW(ours, rates)
    groups = [
        {"params": [member], "lr": float(rate)}
        for members, rate in zip(theirs, rates, strict=True)
        for member, rate in zip(members, torch.as_tensor(rate, dtype=torch.float64).expand(len(members)), strict=True)
    ]
    reference = torch.optim.AdamW(groups, fused=False)
    for step in range(1, 8):
        for p, members, gradient in zip(ours, theirs, values(step, torch.float64), strict=True):
            p.grad = gradient.clone()
            for member, part in zip(members, gradient, strict=True):
                member.grad = part.clone()
        mine.step()
        reference.step()
    for p, members in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p.detach(), torch.stack([m.detach() for m in members]), rtol=0, atol=1e-13)
