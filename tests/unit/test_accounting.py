"""Parameter and memory accounting against peft's own counts, the published numbers, and each other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peft_atlas.accounting.architectures import BERT_BASE, DECODERS, LLAMA_7B, LLAMA_13B, DecoderGeometry
from peft_atlas.accounting.closed_forms import lora_params
from peft_atlas.accounting.memory import GIGABYTE, GPU_GIGABYTES, PRECISIONS, memory_table, training_bytes
from peft_atlas.accounting.parameters import (
    SETTINGS,
    Loreft,
    LowRank,
    Parallel,
    Prefix,
    Series,
    closed_form_table,
    percent_of_base,
    percent_of_total,
)
from peft_atlas.studies.literature.data import load_published
from peft_atlas.tables.contract import read_table
from peft_atlas.tables.literature_schemas import PARAMETERS

# Left out of `make fast-test`: together these files take most of the time of the unit tests.
pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parents[2] / "data" / "published"

# Counts given by paper-tables.md, section 4; its PrefT and LoReFT counts on 7B are also printed in pyreft issues.
COUNTS = {
    ("PrefT", "10"): (2_621_440, 4_096_000),
    ("PrefT", "30"): (7_864_320, 12_288_000),
    ("AdapterS", "once"): (67_108_864, 104_857_600),
    ("AdapterS", "twice"): (134_217_728, 209_715_200),
    ("AdapterP", ""): (247_463_936, 387_973_120),
    ("LoRA", ""): (56_098_816, 87_818_240),
    ("DoRA (half)", ""): (28_925_952, 45_281_280),
    ("DoRA", ""): (56_975_360, 89_190_400),
    ("LoReFT", ""): (2_097_408, 3_277_120),
}


@pytest.fixture(scope="module")
def closed() -> pd.DataFrame:
    return closed_form_table()


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    return load_published(FOLDER)


def test_totals_are_those_of_the_released_models():
    assert LLAMA_7B.total_params() == 6_738_415_616
    assert LLAMA_13B.total_params() == 13_015_864_320
    assert BERT_BASE.total_params(labels=2) == 109_483_778
    assert BERT_BASE.total_params(labels=2) - BERT_BASE.head_params(2) == 109_482_240


@pytest.mark.parametrize(("method", "start"), COUNTS)
def test_counts_equal_the_documented_ones(closed, method, start):
    rows = closed[(closed["method"] == method) & closed["setting"].str.startswith(start)]
    rows = rows[rows["base_model"] != BERT_BASE.name]
    assert tuple(rows["trainable_params"]) == COUNTS[method, start]


def test_every_setting_is_counted_once_on_each_decoder(closed):
    assert len(closed) == len(DECODERS) * len(SETTINGS) + 3
    assert not closed.duplicated(["base_model", "method", "setting", "way"]).any()
    assert (closed["way"] == "closed_form").all()


def test_reft_v3_prints_the_recomputed_percentages(closed, published):
    printed = published[(published["source"] == "reft_v3") & (published["metric"] == "trainable_params_percent")]
    assert len(printed) == 30
    for row in printed[~printed["method"].isin(["DiReFT"])].itertuples():
        method = row.method.removesuffix(" (3 epochs)")
        counted = closed[(closed["base_model"] == row.base_model) & (closed["method"] == method)]
        rounded = {f"{percent:.3f}" for percent in counted["percent_with_adapter"]}
        assert row.printed in rounded, row


def test_prefix_tuning_of_april_2024_fits_no_documented_setting(closed):
    prefix = closed[(closed["base_model"] == "LLaMA-7B") & (closed["method"] == "PrefT")]
    assert "0.11" not in {f"{percent:.2f}" for percent in prefix["percent_with_adapter"]}


def test_printed_counts_are_reached(closed, published):
    printed = published[(published["metric"] == "trainable_params") & (published["unit"] == "count")]
    assert len(printed) == 2
    for row in printed.itertuples():
        counted = closed[(closed["base_model"] == row.base_model) & (closed["method"] == row.method)]
        assert row.value in set(counted["trainable_params"])


def test_prefix_percentage_equals_the_log_of_pyreft_issue_67_digit_by_digit(published):
    printed = published.loc[published["source"].eq("pyreft_issue_67") & published["unit"].eq("percent"), "printed"]
    assert printed.tolist() == [f"{percent_of_total(2_621_440, LLAMA_7B.total_params()):.16f}".rstrip("0")]


def test_recomputed_code_review_rows_follow_from_the_shape(published):
    rows = published[published["source"] == "recomputed_from_llama_reviewer"]
    assert len(rows) == 2
    for row in rows.itertuples():
        trained = LowRank(int(row.rank), ("q_proj", "v_proj")).trainable_params(LLAMA_7B)
        assert f"{percent_of_base(trained, LLAMA_7B.total_params()):.3f}" == row.printed


def test_bert_counts_are_those_that_peft_prints(closed):
    bert = closed[closed["base_model"] == BERT_BASE.name]
    assert bert["trainable_params"].tolist() == [443_906, 442_368, 1_538]
    together = bert.iloc[0]
    assert together["trainable_params"] + together["base_params"] == 109_927_684
    assert together["percent_with_adapter"] == pytest.approx(100 * 443_906 / 109_927_684, rel=1e-15)


def test_closed_form_needs_neither_torch_nor_matplotlib():
    code = (
        "import sys; import peft_atlas.accounting.memory as m, peft_atlas.studies.literature.data; m.memory_table();"
        "print(sorted({'torch', 'transformers', 'peft', 'matplotlib'} & set(sys.modules)))"
    )
    environment = {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]"


def test_an_unknown_module_is_an_error():
    with pytest.raises(ValueError, match=r"\['c_attn'\].*allowed.*q_proj"):
        LLAMA_7B.shapes(("c_attn",))


@given(st.integers(1, 64), st.lists(st.tuples(st.integers(1, 500), st.integers(1, 500)), max_size=8))
def test_lora_params_adds_over_modules_and_is_linear_in_rank(rank, widths):
    assert lora_params(rank, widths) == rank * lora_params(1, widths)
    assert lora_params(1, widths) == sum(map(sum, widths))


@given(st.integers(1, 10**9), st.integers(1, 10**12))
def test_percentages_are_ordered_and_bounded(trainable, base):
    assert 0 < percent_of_total(trainable, base) <= percent_of_base(trainable, base)
    assert percent_of_total(trainable, base) < 100


# --- the second way ------------------------------------------------------------------------------------------------

TINY = DecoderGeometry("tiny", layers=2, hidden=32, intermediate=80, heads=4, vocabulary=50)
TINY_ADAPTERS = (
    Prefix(3),
    Series(4, ("down_proj",)),
    Series(4, ("up_proj", "gate_proj")),
    Parallel(4, ("up_proj", "down_proj")),
    LowRank(3),
    LowRank(3, ("q_proj",), magnitude=True),
    Loreft(2),
)


@given(
    *(st.integers(1, high) for high in (3, 40, 96, 16)),
    st.sets(st.sampled_from([shape.name for shape in TINY.linears()]), min_size=1),
)
def test_closed_forms_and_methods_count_alike_on_random_shapes(layers, hidden, intermediate, size, names):
    """Two codes know each count, see `peft_atlas.accounting.parameters`; here they meet, module by module."""
    import torch
    from torch import nn

    from peft_atlas.methods.dora import DoRA
    from peft_atlas.methods.lora import LoRA
    from peft_atlas.methods.loreft import LoReFT
    from peft_atlas.methods.parallel_adapter import ParallelAdapter
    from peft_atlas.methods.series_adapter import SeriesAdapter

    geometry = DecoderGeometry("random", layers, hidden, max(intermediate, hidden), heads=1, vocabulary=2)
    modules = tuple(sorted(names))
    rank = min(size, hidden)
    pairs = (
        (LowRank(rank, modules), LoRA(rank, 1.0, target_modules=modules)),
        (LowRank(rank, modules, magnitude=True), DoRA(rank, 1.0, target_modules=modules)),
        (Series(size, modules), SeriesAdapter(size, modules, side="narrower")),
        (Parallel(size, modules), ParallelAdapter(size, modules)),
    )
    with torch.device("meta"):
        linears = [(s.name, nn.Linear(s.inputs, s.outputs, bias=False)) for s in geometry.shapes(modules)]
        block = nn.Linear(hidden, hidden)
    for closed, method in pairs:
        counted = sum(method.module_params(module, name) for name, module in linears)
        assert closed.trainable_params(geometry) == counted, method
    reft = LoReFT(rank, ("layers.*",), hidden, 7)
    assert Loreft(rank).trainable_params(geometry) == layers * reft.module_params(block, "layers.0")


# The count as its job does it, in a process that cannot look up a name or open a connection.
OFFLINE = """
import resource, socket, sys
from pathlib import Path

def refuse(*args, **kwargs):
    print("NETWORK", args, flush=True)
    raise OSError("no network here")

socket.getaddrinfo = socket.create_connection = refuse
socket.socket.connect = socket.socket.connect_ex = refuse

from peft_atlas.accounting.attached import parameter_table
from peft_atlas.tables.contract import write_table
from peft_atlas.tables.literature_schemas import PARAMETERS

write_table(PARAMETERS, parameter_table(), Path(sys.argv[1]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1))
"""


@pytest.mark.slow
def test_both_ways_count_alike_to_the_last_parameter_offline_and_in_two_gigabytes(tmp_path):
    source = str(Path(__file__).parents[2] / "src")
    # An empty home holds no model that an earlier download left.
    environment = {
        "PYTHONPATH": source,
        "HOME": str(tmp_path),
        "HF_HOME": str(tmp_path / "hub"),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-c", OFFLINE, str(tmp_path / "parameters.parquet")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "NETWORK" not in done.stdout
    assert int(done.stdout.split()[-1]) < 2_000_000  # kB
    assert not list(tmp_path.rglob("*.safetensors"))
    table = read_table(PARAMETERS, tmp_path / "parameters.parquet")
    wide = table.pivot(index=["base_model", "method", "setting"], columns="way")
    for column in ("trainable_params", "base_params", "percent_with_adapter", "percent_without_adapter"):
        assert (wide[column]["attached"] == wide[column]["closed_form"]).all()
    assert len(table) == 2 * len(closed_form_table())


@pytest.mark.slow
def test_our_counts_equal_what_peft_itself_says():
    from peft import LoraConfig, get_peft_model
    from transformers import BertConfig, BertForSequenceClassification

    from peft_atlas.accounting.attached import attach, llama, on_meta

    with on_meta():
        for setting in SETTINGS:
            if isinstance(setting.adapter, Prefix | LowRank):
                trainable, total = attach(setting.adapter, llama(LLAMA_7B)).get_nb_trainable_parameters()
                assert trainable == setting.adapter.trainable_params(LLAMA_7B)
                assert total == LLAMA_7B.total_params() + trainable
        # The seed notebook's section 5, as it is written there.
        config = LoraConfig(r=8, lora_alpha=16, target_modules=["query", "key", "value"], task_type="SEQ_CLS")
        bert = get_peft_model(BertForSequenceClassification(BertConfig()), config)
    assert bert.get_nb_trainable_parameters() == (443_906, 109_927_684)


@pytest.mark.slow
@pytest.mark.parametrize("adapter", TINY_ADAPTERS, ids=repr)
def test_attached_models_run_and_train_only_the_adapter(adapter):
    """The counted modules are adapters that work: the model answers, and gradients reach them and nothing else."""
    import torch

    from peft_atlas.accounting.attached import attach, count, llama

    torch.manual_seed(0)
    model = attach(adapter, llama(TINY)).train()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.1)
    trained, frozen = count(model)
    assert (trained, frozen) == (adapter.trainable_params(TINY), TINY.total_params())
    tokens = torch.randint(0, TINY.vocabulary, (2, 20))
    output = model(input_ids=tokens, labels=tokens)
    assert output.logits.shape == (2, 20, TINY.vocabulary)
    output.loss.backward()
    with_gradient = sum(p.numel() for p in model.parameters() if p.grad is not None)
    assert with_gradient == trained


@pytest.mark.slow
def test_attaching_something_unknown_is_an_error():
    from peft_atlas.accounting.attached import attach

    with pytest.raises(TypeError, match="nothing is registered"):
        attach(object(), None)


# --- memory --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def memory() -> pd.DataFrame:
    return memory_table()


def test_memory_table_is_complete_and_adds_up(memory):
    assert len(memory) == len(DECODERS) * (len(SETTINGS) + 1) * len(PRECISIONS)
    parts = ["weights_bytes", "master_weights_bytes", "gradients_bytes", "optimizer_bytes"]
    assert (memory[parts].sum(axis=1) == memory["total_bytes"]).all()
    for size in GPU_GIGABYTES:
        assert (memory[f"fits_{size}gb"] == (memory["total_bytes"] <= size * 10**9)).all()


def test_full_fine_tuning_takes_sixteen_bytes_a_parameter_and_fits_no_gpu(memory):
    full = memory[memory["method"] == "full"]
    assert (full["total_bytes"] == 16 * full["base_params"]).all()
    assert not full[["fits_24gb", "fits_40gb", "fits_80gb"]].to_numpy().any()


def test_lora_in_bf16_by_hand(memory):
    row = memory.query("base_model == 'LLaMA-7B' and method == 'LoRA' and precision == 'bf16_mixed'").iloc[0]
    assert row["total_bytes"] == 2 * 6_738_415_616 + 16 * 56_098_816
    assert (row["fits_24gb"], row["fits_40gb"], row["fits_80gb"]) == (True, True, True)


def test_verdicts_hold_for_binary_gigabytes_and_for_fp32_gradients(memory):
    fp32_gradients = 2 * memory["trainable_params"] * (memory["precision"] == "bf16_mixed")
    for size in GPU_GIGABYTES:
        assert ((memory["total_bytes"] <= size * 2**30) == memory[f"fits_{size}gb"]).all()
        assert ((memory["total_bytes"] + fp32_gradients <= size * GIGABYTE) == memory[f"fits_{size}gb"]).all()


@given(st.integers(0, 10**11), st.integers(0, 10**11), st.sampled_from(PRECISIONS))
def test_freezing_never_costs_memory(trained, frozen, precision):
    partly = training_bytes(trained, frozen, precision).total_bytes
    assert partly <= training_bytes(trained + frozen, 0, precision).total_bytes
    assert partly >= (trained + frozen) * precision.weights
