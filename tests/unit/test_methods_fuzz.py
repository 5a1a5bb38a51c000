"""Mutated adapter files: each is the same function here as in peft, or is refused in one line.

A share of the files is tried in every run; ``PEFT_ATLAS_FUZZ=full`` tries all of them.
"""

import copy
import json
import logging
import os
import random
import warnings

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from peft_atlas.errors import AtlasError
from peft_atlas.methods.attach import attach
from peft_atlas.methods.dora import DoRA
from peft_atlas.methods.ia3 import IA3
from peft_atlas.methods.lora import LoRA
from peft_atlas.methods.prefix import PrefixTuning
from peft_atlas.methods.storage import load_adapter

ALL, SHARE = 2000, 150
TRIED = ALL if os.environ.get("PEFT_ATLAS_FUZZ") == "full" else SHARE
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.down = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x):
        return self.down(torch.tanh(self.q(x)))


class Plain(nn.Module):
    """A network with names that end alike, and a head."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([Block(), Block()])
        self.classifier = nn.Linear(6, 3)

    def forward(self, x):
        for layer in self.layers:
            x = x + layer(x)
        return self.classifier(x)


def llama():
    config = LlamaConfig(
        vocab_size=31, hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2,
    )  # fmt: skip
    return LlamaForCausalLM(config)


TARGETS = ("q", "down")
LORA = {"r": 2, "lora_alpha": 4, "target_modules": list(TARGETS), "init_lora_weights": False}
HEAD = {"modules_to_save": ["classifier"]}
KINDS = {
    "LoRA": (LoRA(2, 4.0, 0.0, TARGETS), lambda: peft.LoraConfig(**LORA, **HEAD)),
    "rsLoRA": (LoRA(2, 4.0, 0.0, TARGETS, True), lambda: peft.LoraConfig(**LORA, **HEAD, use_rslora=True)),
    "DoRA": (DoRA(2, 4.0, 0.0, TARGETS), lambda: peft.LoraConfig(**LORA, **HEAD, use_dora=True)),
    "(IA)3": (
        IA3(TARGETS, ("down",)),
        lambda: peft.IA3Config(target_modules=list(TARGETS), feedforward_modules=["down"], **HEAD),
    ),
    "PrefT": (
        PrefixTuning(3, ("self_attn",), 8),
        lambda: peft.PrefixTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM"),
    ),
}
VALUES = [
    *(None, True, False, 0, 1, 2, 3, 4, 8, 16, -1, 4.0, 0.5, "", "none", "all", "q", "down", "pissa"),
    *("olora", "gaussian"),
    *("all-linear", ".*q", "(", {}, {"q": 8}, {"down": 4}, [], [1], [0, 1], ["q"], ["down"], ["q", "down"], ["n"]),
    *(["q", "down", "classifier"], ["classifier"], ["layers.0.q"], "layers", float("nan"), 1e30),
]  # fmt: skip
KEYS = [
    field for kind in (peft.LoraConfig, peft.IA3Config, peft.PrefixTuningConfig) for field in kind.__dataclass_fields__
]
# What peft cannot do without, or what has no say in the function but stops peft: another class, a compiler, a hub.
LEFT = ("task_type", "auto_mapping", "base_model_name_or_path", "revision", "runtime_config", "peft_version")
KEYS = [*sorted(set(KEYS) - set(LEFT)), "brand_new_key"]


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Return for each kind the network, its input, the method and a folder that peft wrote."""
    warnings.simplefilter("ignore")
    found = {}
    for name, (method, config) in KINDS.items():
        torch.manual_seed(0)
        base = llama().eval() if name == "PrefT" else Plain().eval()
        x = torch.randint(0, 31, (2, 4)) if name == "PrefT" else torch.randn(5, 6)
        adapted = peft.get_peft_model(copy.deepcopy(base), config())
        with torch.no_grad():
            for parameter in adapted.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.3 * torch.randn_like(parameter))
        folder = tmp_path_factory.mktemp("fuzz")
        adapted.save_pretrained(folder)
        found[name] = (base, x, method, folder)
    return found


def mutate_config(draw, config):
    key = draw.choice([draw.choice(KEYS), draw.choice(sorted(config))])
    if key in LEFT:
        return
    if draw.random() < 0.25:
        config.pop(key, None)
    elif draw.random() < 0.3 and isinstance(config.get(key), int | float) and not isinstance(config[key], bool):
        config[key] += draw.choice([1, -1, 0.5])
    else:
        config[key] = draw.choice(VALUES)


def mutate_tensors(draw, tensors):
    name = draw.choice(sorted(tensors))
    tensor = tensors.pop(name)
    how = draw.randrange(14)
    if how == 1:
        tensors[draw.choice([name.removesuffix(".weight"), name + "x", name.removeprefix("base_model.")])] = tensor
    elif how == 2:
        tensors[name] = tensor.mT.contiguous() if tensor.dim() == 2 else tensor[:-1].clone()
    elif how == 3:
        tensors[name] = tensor.flatten()
    elif how == 4:
        tensors[name] = tensor.to(draw.choice([torch.float16, torch.bfloat16, torch.float64]))
    elif how == 5:
        tensors[name] = (10 * tensor).to(draw.choice([torch.int8, torch.int64, torch.bool, torch.uint8]))
    elif how == 6:
        tensors[name] = torch.full_like(tensor, draw.choice([float("nan"), float("inf"), -float("inf")]))
    elif how == 7:
        other = draw.choice(sorted(tensors) or [name + "y"])
        tensors[name], tensors[other] = tensors.get(other, tensor), tensor
    elif how == 8:
        tensors[name], tensors[name + ".extra"] = tensor, tensor.clone()
    elif how == 9:
        tensors[name.replace("layers.0", "layers.7")] = tensor
    elif how == 10:
        tensors[name] = tensor[..., :1].clone()
    elif how > 10:
        tensors[name] = tensor * draw.choice([0.0, -1.0, 3.0])


def mutate_bytes(draw, data):
    data = bytearray(data)
    if draw.random() < 0.5:
        return bytes(data[: draw.randrange(len(data))])
    data[draw.randrange(min(len(data), 400))] ^= 1 << draw.randrange(8)
    return bytes(data)


def write(draw, source, folder):
    """Write one to three mutations of a saved adapter."""
    config = json.loads((source / CONFIG).read_text(encoding="utf-8"))
    tensors = load_file(source / WEIGHTS)
    for _ in range(draw.choice([1, 1, 2, 3])):
        if draw.random() < 0.6:
            mutate_config(draw, config)
        elif tensors:
            mutate_tensors(draw, tensors)
    (folder / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, folder / WEIGHTS)
    if draw.random() < 0.08:
        file = folder / draw.choice([CONFIG, WEIGHTS])
        file.write_bytes(mutate_bytes(draw, file.read_bytes()))


def outputs(model, x):
    with torch.no_grad():
        return model(x) if x.is_floating_point() else model(input_ids=x).logits


def without_head(folder):
    """Take the head out of a configuration whose tensors have none, as peft cannot load it otherwise."""
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    if not any("classifier" in name for name in load_file(folder / WEIGHTS)):
        (folder / CONFIG).write_text(json.dumps({**config, "modules_to_save": None}), encoding="utf-8")


def judged(source, folder):
    """Return what became of a file: ``refused``, ``same``, or how it is wrong."""
    base, x, method, _ = source
    mine = copy.deepcopy(base)
    attached = attach(mine, method, head=("classifier",) if x.is_floating_point() else ())
    before = attached.state()
    try:
        load_adapter(attached, folder)
    except AtlasError as error:
        untouched = all(torch.equal(before[name], tensor) for name, tensor in attached.state().items())
        return "refused" if untouched and "\n" not in str(error) and ": " in str(error) else f"bad refusal: {error}"
    without_head(folder)
    try:
        theirs = peft.PeftModel.from_pretrained(copy.deepcopy(base), folder).eval()
        expected = outputs(theirs, x)
    except Exception as error:
        return f"peft cannot: {type(error).__name__}: {error}"
    close = torch.allclose(outputs(mine, x), expected, rtol=1e-4, atol=1e-5)
    return "same" if close else f"differs by {(outputs(mine, x) - expected).abs().max():.3g}"


@pytest.mark.parametrize("name", KINDS)
def test_a_mutated_file_is_the_function_that_it_is_in_peft_or_is_refused(name, sources, tmp_path):
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    draw, found = random.Random(f"{name}"), {}
    for number in range(TRIED // len(KINDS)):
        folder = tmp_path / str(number)
        folder.mkdir()
        write(draw, sources[name][3], folder)
        found.setdefault(judged(sources[name], folder), []).append(number)
    logging.disable(logging.NOTSET)
    assert set(found) == {"same", "refused"}, {what: numbers[:3] for what, numbers in found.items()}
