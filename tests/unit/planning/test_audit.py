"""Printed percentages: which follow, and what else would give those that do not."""

import json
from decimal import Decimal

import pytest
from click.testing import CliRunner

from peft_atlas.cli import app
from peft_atlas.errors import AtlasError
from peft_atlas.planning.audit import adapter_of, audit, read_adapter, read_percent
from peft_atlas.planning.shapes import find_architecture

FIVE = ["q_proj", "k_proj", "v_proj", "up_proj", "down_proj"]
LLAMA_7B = "Llama-2-7b-hf"


def lora(**changes):
    return adapter_of({"peft_type": "LORA", "r": 32, "target_modules": FIVE, **changes}, "a.json")


def test_the_percentage_of_the_dora_paper_follows():
    """LLM-Adapters' LoRA on LLaMA-7B: 56,098,816 of 6,738,415,616 parameters are 0.83 % (arXiv:2402.09353)."""
    found = audit(find_architecture(LLAMA_7B), lora(), "0.83 %")
    assert found.given[0].trained == 56_098_816
    assert found.follows is not None
    assert found.others == ()


def test_one_that_does_not_follow_names_what_would_give_it():
    found = audit(find_architecture(LLAMA_7B), lora(), "0.42")
    assert found.follows is None
    nearest = found.others[0]
    assert (nearest.method, nearest.rank, nearest.changes) == ("lora", 16, 1)
    # 16 (4096 + 4096) for each of three, 16 (4096 + 11008) for each of two, in 32 layers.
    assert nearest.trained == 32 * (3 * 16 * 8192 + 2 * 16 * 15_104) == 28_049_408


def test_the_2025_post_adapts_the_unembedding_too():
    """Attention of rank 256 on Llama-3.1-8B trains 251,985,920 with it, 0.25 billion, and 0.22 without."""
    adapter = adapter_of(
        {"peft_type": "LORA", "r": 256, "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"]}, "a"
    )
    printed = f"{100 * 251_985_920 / 8_030_261_248:.3f}"
    found = audit(find_architecture("Llama-3.1-8B"), adapter, printed)
    assert found.follows is None
    assert any("lm_head" in other.targets and other.trained == 251_985_920 for other in found.others)


def test_digits_that_were_cut_off_are_said_to_be():
    """18,350,080 of 3,212,749,824 are 0.57116 %; 0.571 is rounded and cut, 0.5711 only cut."""
    adapter = adapter_of({"peft_type": "LORA", "r": 64, "target_modules": ["q_proj", "v_proj"]}, "a")
    cut, rounded = (audit(find_architecture("Llama-3.2-3B"), adapter, text) for text in ("0.5711", "0.5712"))
    assert (cut.follows, cut.truncated) == ("base", True)
    assert (rounded.follows, rounded.truncated) == ("base", False)


@pytest.mark.parametrize(("text", "value"), [("0.83 %", "0.83"), ("0.83%", "0.83"), ("1", "1"), ("0,5 %", "0.5")])
def test_printed_decimals_are_kept(text, value):
    assert read_percent(text).as_tuple() == Decimal(value).as_tuple()


@pytest.mark.parametrize("text", ["", "a", "-1 %", "0", "101 %", "nan", "inf"])
def test_what_is_no_percentage_is_refused(text):
    with pytest.raises(AtlasError, match="percentage"):
        read_percent(text)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"peft_type": "MAGIC"}, "peft_type 'MAGIC'; known"),
        ({"rank_pattern": {"q_proj": 4}}, "rank_pattern is set"),
        ({"target_modules": ".*_proj"}, "target_modules"),
        ({"target_modules": [1]}, "target_modules"),
    ],
)
def test_what_cannot_be_counted_exactly_is_refused(changes, words):
    with pytest.raises(AtlasError, match=words):
        lora(**changes)


def test_the_command_says_so_and_its_status_too(tmp_path):
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps({"peft_type": "LORA", "r": 32, "target_modules": FIVE}), encoding="utf-8")
    good = CliRunner().invoke(app, ["audit", str(path), LLAMA_7B, "0.83 %"])
    bad = CliRunner().invoke(app, ["audit", str(tmp_path), LLAMA_7B, "0.42 %", "--json"])
    assert good.exit_code == 0
    assert "0.83 %: follows" in good.output
    assert bad.exit_code == 1
    assert json.loads(bad.output)["others"][0]["rank"] == 16


def test_a_file_that_is_no_configuration_is_named(tmp_path):
    path = tmp_path / "adapter_config.json"
    for text in ("{", "[]"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(AtlasError, match="adapter"):
            read_adapter(path)
