"""The console script, as people and programs use it."""

import csv
import io
import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from peft_atlas.cli import app, main
from peft_atlas.errors import AtlasError
from peft_atlas.planning import plan, plan_all
from peft_atlas.planning.moments import peak
from peft_atlas.planning.planner import bisect_largest, step_of
from peft_atlas.planning.settings import Settings
from peft_atlas.planning.shapes import find_architecture

HF = ["plan", "Llama-3.2-3B", "--batch", "4", "--sequence", "768", "--gpu", "48"]


def run(*words):
    return CliRunner().invoke(app, list(words), catch_exceptions=False, env={"COLUMNS": "80"})


def test_neither_torch_nor_pandas_nor_scipy_is_imported(root):
    program = (
        "import sys; from click.testing import CliRunner; from peft_atlas.cli import app\n"
        f"done = CliRunner().invoke(app, {HF!r}); assert done.exit_code == 0, done.output\n"
        "print([name for name in ('torch', 'pandas', 'scipy', 'numpy', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=root / "src", text=True, capture_output=True, check=True)
    assert done.stdout.strip() == "[]"


def test_tables_fit_on_80_columns():
    for words in (HF, [*HF, "--method", "lora"], ["count", "bert-base-uncased"]):
        lines = run(*words).output.splitlines()
        assert max(map(len, lines)) <= 80
        assert not any("…" in line for line in lines)


def test_programs_read_the_same_as_json_and_csv():
    as_json = json.loads(run(*HF, "--json").output)
    as_csv = list(csv.DictReader(io.StringIO(run(*HF, "--csv").output)))
    assert [row["method"] for row in as_json] == [row["method"] for row in as_csv]
    assert [str(row["peak_bytes"]) for row in as_json] == [row["peak_bytes"] for row in as_csv]
    for row in as_json:
        parts = [row[f"{name}_bytes"] for name in ("frozen_weights", "adapter", "gradients", "optimizer", "activations",
                                                   "adapter_inputs", "logits", "working")]  # fmt: skip
        assert sum(parts) == row["peak_bytes"]
        assert row["low_bytes"] < row["peak_bytes"] < row["high_bytes"]


def test_the_worked_example_of_the_documentation(root):
    """By hand, in docs/memory.md: LoRA of rank 32 on queries and values of Llama-3.2-3B, 4 x 768 tokens."""
    found = plan("Llama-3.2-3B", "lora", rank=32, micro_batch=4, sequence=768, gpu_gb=48)
    tokens, h, inner, layers, words = 4 * 768, 3072, 8192, 28, 128_256
    base = layers * (h * (h + 1024 + 1024 + h) + 3 * h * inner + 2 * h) + words * h + h
    trained = layers * 32 * ((h + h) + (h + 1024))
    kept = (4 * h + 4) * 2 + 2 * (4 * h) + 4 * 24 + 3 * 2 * inner
    activations = tokens * (layers * kept - (4 * h + 4)) + tokens * (4 * h + 4)
    copies = tokens * layers * (2 * 4 * h + 2 * 4 * 32)
    logits = tokens * words * (2 + 3 * 4)
    assert found.counts.trained == trained == 9_175_040
    assert found.parts.frozen_weights == 2 * base == 6_425_499_648
    assert found.parts.adapter == 4 * trained
    assert found.parts.optimizer == 8 * trained
    assert found.parts.activations == activations
    assert found.parts.adapter_inputs == copies
    assert found.parts.logits == logits
    assert found.verdict == "fits"
    text = (root / "docs/memory.md").read_text(encoding="utf-8")
    for number in (trained, 2 * base, 4 * trained, 8 * trained, activations, copies, logits, found.peak_bytes):
        assert f"{number:,}" in text


def test_the_largest_batch_and_length_fit_and_the_next_do_not():
    found = plan("Llama-3.2-3B", "lora", rank=32, micro_batch=4, sequence=768, gpu_gb=48)
    assert (
        plan("Llama-3.2-3B", "lora", rank=32, micro_batch=found.largest_micro_batch, sequence=768, gpu_gb=48).verdict
        == "fits"
    )
    more = plan("Llama-3.2-3B", "lora", rank=32, micro_batch=found.largest_micro_batch + 1, sequence=768, gpu_gb=48)
    longer = plan("Llama-3.2-3B", "lora", rank=32, micro_batch=4, sequence=found.longest_sequence + 1, gpu_gb=48)
    assert "fits" not in (more.verdict, longer.verdict)


@pytest.mark.parametrize(
    ("limit", "most", "expected"), [(0, 9, 0), (1, 9, 1), (6, 9, 6), (9, 9, 9), (50, 9, 9), (7, 1, 1)]
)
def test_bisection_finds_the_last_that_holds(limit, most, expected):
    assert bisect_largest(lambda value: value <= limit, most) == expected


def test_memory_grows_with_what_it_must_grow_with():
    """Each change takes strictly more (or less) by the nature of the thing, whatever the formula."""
    base = {"micro_batch": 2, "sequence": 512}

    def peak_of(method="lora", rank=16, **changes):
        return plan("Llama-3.2-1B", method, rank=rank, targets=("all-linear",), **{**base, **changes}).peak_bytes

    usual = peak_of()
    assert peak_of(micro_batch=3) > usual
    assert peak_of(sequence=513) > usual
    assert peak_of(rank=32) > usual
    assert peak_of(method="dora") > usual
    assert peak_of(precision="bf16-mixed") > usual
    assert peak_of(kernel="eager") > usual
    assert peak_of(dropout=0.1) > usual
    assert peak_of(checkpointing=True) < usual
    assert peak_of(quantization="nf4") < peak_of(quantization="int8") < usual
    assert peak_of(quantization="nf4-dq") < peak_of(quantization="nf4")
    assert peak_of(adapter_dtype="bf16") < usual
    assert peak_of(chunked_loss=True) < usual


def test_optimisers_order_by_the_moments_they_keep():
    sizes = {
        name: plan("Llama-3.2-1B", "full", optimizer=name, sequence=64, checkpointing=True).parts.optimizer
        for name in ("adamw", "adamw-8bit", "sgd-momentum", "adafactor", "sgd", "adamw-paged")
    }
    parameters = 1_235_814_400
    assert sizes["adamw"] == 2 * 2 * parameters
    assert sizes["adamw-8bit"] == round(2 * parameters * (1 + 4 / 256))
    assert sizes["sgd-momentum"] == 2 * parameters
    assert 0 < sizes["adafactor"] < 0.01 * parameters
    assert sizes["sgd"] == sizes["adamw-paged"] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["plan", "no-such-model"], "model 'no-such-model': no such path and no such name"),
        (["plan", "gpt2", "--sequence", "2048"], "sequence 2048: gpt2 has 1024 positions"),
        (["plan", "gpt2", "-m", "full", "--base", "nf4"], "quantization 'nf4' with method 'full'"),
        (["plan", "gpt2", "--precision", "fp16"], "precision 'fp16'; allowed: fp32, bf16-mixed, bf16"),
        (["plan", "gpt2", "--precision", "fp32", "--attention", "flash"], "FlashAttention has no fp32"),
        (["plan", "gpt2", "--batch", "0"], "micro_batch 0; allowed"),
        (["plan", "gpt2", "--gpu", "-1"], "gpu_gb -1.0; allowed"),
        (["plan", "gpt2", "--json", "--csv"], "--json with --csv"),
        (["plan", "bert-base-uncased", "-m", "prompt"], "method 'prompt' on bert-base-uncased"),
        (["plan", "Llama-3.2-1B", "-m", "bitfit"], "it has no biases to train"),
        (["count", "gpt2", "-m", "lora", "-t", "q_proj"], "target 'q_proj': gpt2 has no such matrix; it has c_attn"),
        (["plan", "gpt2", "--fused-step", "--accumulation", "2"], "fused_step with accumulation 2"),
    ],
)
def test_a_fault_is_one_line_and_the_status_says_so(words, message, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["peft-atlas", *words])
    with pytest.raises(SystemExit) as stopped:
        main()
    shown = capsys.readouterr()
    assert stopped.value.code == 2
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert shown.out == ""


def test_a_configuration_file_and_its_folder_are_the_same(tmp_path):
    fields = {"model_type": "gpt2", "n_embd": 64, "n_layer": 2, "n_head": 2, "n_positions": 32, "vocab_size": 100}
    (tmp_path / "config.json").write_text(json.dumps(fields), encoding="utf-8")
    first, second = (
        json.loads(run("count", str(path), "--json").output) for path in (tmp_path, tmp_path / "config.json")
    )
    assert [row["trained_parameters"] for row in first] == [row["trained_parameters"] for row in second]


def test_a_broken_configuration_file_is_named(tmp_path):
    path = tmp_path / "config.json"
    for text in ("{", "[1]", '{"model_type": "llama"}', "[" * 10**5, "9" * 5000, "\x00"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(AtlasError, match="config"):
            find_architecture(str(path))


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "..", "/", ""])
def test_a_name_that_is_no_path_either_is_one_line(name):
    with pytest.raises(AtlasError):
        find_architecture(name)


def test_an_unknown_setting_is_named():
    with pytest.raises(AtlasError, match="setting 'batch': not known; known: micro_batch"):
        plan("gpt2", batch=3)


def test_time_and_settings_rest_on_rows_that_can_be_found():
    found = plan("Llama-3.2-3B", "lora")
    assert 0.3 < found.time.low < found.time.high < 0.5
    assert found.evidence
    assert all(len(row.origin.split()[1]) == 40 for row in found.evidence)
    assert plan("gpt2", "bitfit").time is None


def test_every_method_of_a_model_is_planned_once():
    found = plan_all("Llama-3.2-1B", gpu_gb=80)
    assert len({one.method for one in found}) == len(found) > 20
    assert {one.method for one in plan_all("vit-base-patch16-224")}.isdisjoint({"prefix", "prompt", "p-tuning"})


def test_the_peak_is_the_largest_moment():
    step = step_of(find_architecture("Llama-3.2-1B"), "full", None, (), Settings(sequence=16, optimizer="adamw"))
    found = peak(step)
    # 1,235,814,400 weights, gradients, two moments and the square roots of one: five times two bytes.
    assert found.name == "the optimiser's step"
    assert found.parts.total == 10 * 1_235_814_400 + 16 * 128_256 * 2


def test_models_without_a_fused_kernel_run_eagerly():
    assert plan("Gemma-2-2b", "lora").settings.kernel == "eager"
    assert plan("Gemma-2-2b", "lora", kernel="flash").peak_bytes < plan("Gemma-2-2b", "lora").peak_bytes
    assert plan("Llama-3.2-1B", "lora").settings.kernel == "sdpa"


def test_all_methods_of_a_quantised_base_leave_full_fine_tuning_out():
    found = plan_all("Llama-3.2-1B", quantization="nf4")
    assert "full" not in {one.method for one in found}
    assert len(found) > 20
    with pytest.raises(AtlasError, match="target 'nothing'"):
        plan_all("Llama-3.2-1B", targets=("nothing",))
