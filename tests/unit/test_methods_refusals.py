"""What is refused: in one line that names the thing, before anything changes."""

import pytest
import torch
from method_networks import HEAD, WIDTH, bert, stirred

from peft_atlas.errors import AtlasError
from peft_atlas.methods.attach import attach
from peft_atlas.methods.full import FullFineTuning
from peft_atlas.methods.lora import LoRA
from peft_atlas.methods.loreft import LoReFT
from peft_atlas.methods.method import Members
from peft_atlas.methods.parallel_adapter import ParallelAdapter
from peft_atlas.methods.prefix import PrefixTuning
from peft_atlas.methods.series_adapter import SeriesAdapter
from peft_atlas.methods.storage import load_adapter, save_adapter
from peft_atlas.models.mlp import MLPShape, simple_nn


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
    with pytest.raises(AtlasError, match="names that select"):
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
