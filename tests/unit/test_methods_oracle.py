"""Methods against peft and against published formulas: outputs, gradients, counts, files both ways."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import peft
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from method_networks import HEAD, KNOWN_TO_PEFT, TOLERANCE, bert, logits, stirred
from torch import nn

from peft_atlas.methods.attach import attach
from peft_atlas.methods.loreft import Intervention, LoReFT
from peft_atlas.methods.method import ALONE
from peft_atlas.methods.parallel_adapter import ParallelAdapter
from peft_atlas.methods.prefix import PrefixTuning
from peft_atlas.methods.series_adapter import SeriesAdapter
from peft_atlas.methods.storage import load_adapter, save_adapter

BOTH = pytest.mark.parametrize("name", KNOWN_TO_PEFT)


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
    got = logits(ours.model)
    torch.testing.assert_close(got, logits(theirs), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    assert (got - logits(bert(dtype))).abs().max() > 1e-3
    assert not [path for path in tmp_path.iterdir() if path.suffix in (".bin", ".pt", ".pkl")]


@BOTH
def test_we_load_what_peft_writes_and_give_the_same_logits(name, tmp_path):
    ours, theirs = both_sides(name, tmp_path / "ours")
    theirs.save_pretrained(tmp_path / "theirs")
    again = attach(bert(), ours.method, head=HEAD)
    load_adapter(again, tmp_path / "theirs")
    torch.testing.assert_close(logits(again.model), logits(theirs), rtol=1e-5, atol=1e-5)


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
    logits(ours.model).square().sum().backward()
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
