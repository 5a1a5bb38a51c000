"""What the literature advises on memory is what the planner says of the same step."""

import re

import pytest

from peft_atlas.planning import plan
from peft_atlas.studies.literature.advice import CARDS

# Models of the same shapes under names that the planner knows.
KNOWN = {"LLaMA-7B": "Llama-2-7b-hf", "LLaMA-13B": "Llama-2-13b-hf"}


def verdicts(model, card):
    """Return the planner's verdicts on LoRA (rank 32 on five modules) and full fine-tuning at 4 × 1,024 tokens."""
    step = {"gpu_gb": card, "micro_batch": 4, "sequence": 1024}
    targets = ("q_proj", "k_proj", "v_proj", "up_proj", "down_proj")
    lora = plan(KNOWN[model], "lora", rank=32, targets=targets, **step)
    return lora.verdict, plan(KNOWN[model], "full", precision="bf16-mixed", **step).verdict


def test_the_card_that_is_advised_is_the_smallest_on_which_only_lora_fits(found):
    advice = found["published_advice_memory"]
    words = advice.statement.split()
    model, size = words[4], int(words[-2])
    assert verdicts(model, size) == ("fits", "does not fit")
    for smaller in (card for card in CARDS if card < size):
        assert all(verdicts(name, smaller) != ("fits", "does not fit") for name in KNOWN)
    low, high = map(float, re.search(r"GB \[([\d.]+), ([\d.]+)\] with LoRA", advice.detail).groups())
    assert low < advice.effect.size < high < size
    assert "4 × 1,024 tokens" in advice.detail


@pytest.mark.parametrize("factor", [0.1, 10])
def test_no_card_is_advised_where_both_fit_or_neither_does(tables, factor):
    from literature_findings import find

    memory = tables["memory"].copy()
    for column in ("peak_bytes", "peak_low_bytes", "peak_high_bytes"):
        memory[column] = (memory[column].astype("Float64") * factor).astype("Int64")
    assert "published_advice_memory" not in find(tables, memory=memory)
