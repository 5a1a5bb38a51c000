"""Any model at any setting gives a plan whose numbers hang together, or one line that says why not."""

from dataclasses import asdict, replace

import random_models as models
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from peft_atlas.errors import AtlasError
from peft_atlas.planning import plan
from peft_atlas.planning.methods import METHODS
from peft_atlas.planning.read_config import architecture_of
from peft_atlas.planning.settings import KERNELS, OPTIMIZERS, PRECISIONS, QUANTIZATIONS, STACKS, Settings

SETTINGS = st.fixed_dictionaries(
    {
        "micro_batch": st.integers(1, 64), "sequence": st.integers(1, 16), "precision": st.sampled_from(PRECISIONS),
        "quantization": st.sampled_from(QUANTIZATIONS), "adapter_dtype": st.sampled_from(["fp32", "bf16"]),
        "autocast": st.booleans(), "optimizer": st.sampled_from(OPTIMIZERS), "checkpointing": st.booleans(),
        "kernel": st.sampled_from(KERNELS), "accumulation": st.integers(1, 4), "fused_step": st.booleans(),
        "chunked_loss": st.booleans(), "dropout": st.sampled_from([0.0, 0.1]), "stack": st.sampled_from(STACKS),
    }
)  # fmt: skip


@given(
    family=st.sampled_from(sorted(models.FAMILIES)), seed=st.integers(0, 10**6), changes=SETTINGS,
    method=st.sampled_from([method.name for method in METHODS]), card=st.sampled_from([None, 1, 24]),
)  # fmt: skip
@settings(max_examples=80)
def test_numbers_hang_together(family, seed, changes, method, card):
    architecture = architecture_of(models.FAMILIES[family][1](models.draw(seed)).to_dict(), family)
    try:
        chosen = Settings(**changes)
        found = plan(architecture, method, gpu_gb=card, settings=chosen)
    except AtlasError:
        # Hypothesis complains if nearly all settings were refused.
        reject()
    parts = asdict(found.parts)
    assert all(isinstance(size, int) and size >= 0 for size in parts.values())
    assert found.peak_bytes == sum(parts.values())
    assert found.low_bytes < found.peak_bytes < found.high_bytes
    assert found.counts.trained <= found.counts.base + found.counts.added
    # What is trained has its weights somewhere; what is kept grows with the batch.
    assert found.parts.frozen_weights + found.parts.adapter >= found.counts.trained
    larger = plan(architecture, method, settings=replace(chosen, micro_batch=chosen.micro_batch + 1))
    assert larger.peak_bytes >= found.peak_bytes
    if card is not None and found.largest_micro_batch:
        assert (
            plan(
                architecture, method, gpu_gb=card, settings=replace(chosen, micro_batch=found.largest_micro_batch)
            ).verdict
            == "fits"
        )
