"""Which precision a configuration means on a device, and the check that a study has one."""

import pandas as pd
import pytest
import torch

from peft_atlas.studies.encoder.precision_check import precision_check
from peft_atlas.training.precision import autocast, resolve_precision

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"avx512_bf16": True}, "bfloat16"),
        ({"amx_bf16": True, "avx512_bf16": False}, "bfloat16"),
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, "float32"),
        # Processors of other architectures do not name these at all.
        ({"neon": True, "bf16": True}, "float32"),
    ],
)
def test_a_processor_takes_bfloat16_where_it_has_instructions_for_it(monkeypatch, found, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    assert resolve_precision("auto", CPU) == expected
    assert resolve_precision("float32", CPU) == "float32"


@pytest.mark.parametrize(("supported", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_a_gpu_says_whether_it_takes_bfloat16(monkeypatch, supported, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: supported)
    assert resolve_precision("auto", GPU) == expected
    assert resolve_precision("float32", GPU) == "float32"


@pytest.mark.parametrize(("bfloat16", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_products_are_in_the_precision_asked_for(bfloat16, expected):
    with autocast(CPU, bfloat16):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == expected


@pytest.mark.parametrize(
    ("precisions", "verdict"),
    [
        (["bfloat16", "bfloat16", None], "pass"),
        (["bfloat16", "float32", None], "fail"),
        ([None], "pass"),
    ],
)
def test_runs_of_two_precisions_fail_the_check(precisions, verdict):
    found = precision_check(pd.DataFrame({"precision": pd.Series(precisions, dtype=object)}))
    assert found.verdict == verdict
    assert found.effect is not None
    assert found.effect.n == len(precisions) - 1
