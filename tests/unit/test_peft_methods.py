"""Methods of peft in the encoder study: our own methods are the oracle, and peft's own counts and files."""

import pandas as pd
import pytest
import torch
from peft import set_peft_model_state_dict
from safetensors.torch import load_file

from peft_atlas.config import load_config
from peft_atlas.errors import AtlasError
from peft_atlas.studies.encoder.jobs import CONTROLS
from peft_atlas.studies.encoder.peft_method import peft_setting
from peft_atlas.studies.encoder.preflight import preflight
from peft_atlas.studies.encoder.rows import rows_of_refusal
from peft_atlas.studies.encoder.run import Run, Trial, find_setting
from peft_atlas.studies.encoder.train import SettingJob, refusal_of, train_setting
from peft_atlas.tables.contract import read_table, write_table
from peft_atlas.tables.schemas import COSTS, CURVES, ITEMS, RUNS
from peft_atlas.training.search import SearchPlan

# Left out of `make fast-test`: together these files take most of the time of the unit tests.
pytestmark = pytest.mark.slow

QKV = ["query", "key", "value"]
IA3 = {
    "peft_type": "IA3",
    "target_modules": r".*\.(key|value)|.*layer\.\d+\.output\.dense",
    "feedforward_modules": r".*layer\.\d+\.output\.dense",
}
# Our settings, and what peft is asked for to get the same function.
TWINS = {
    "LoRA (query, key, value)": {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": QKV},
    "DoRA": {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": QKV, "use_dora": True},
    "(IA)3": IA3,
}
VERA = {"peft_type": "VERA", "r": 4, "target_modules": QKV}
# The other methods that are tried here, each with a small configuration.
OTHERS = {
    "VERA": VERA,
    "PROMPT_TUNING": {"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 3},
    "PREFIX_TUNING": {"peft_type": "PREFIX_TUNING", "num_virtual_tokens": 3},
    "LN_TUNING": {"peft_type": "LN_TUNING", "target_modules": ["LayerNorm"]},
    "PISSA": {"peft_type": "LORA", "r": 4, "init_lora_weights": "pissa", "target_modules": QKV},
}


def job(settings, name="by peft", rates=(1e-2,), seeds=(0, 1)):
    plan = SearchPlan(rates, 2, None, 0)
    return SettingJob("methods", peft_setting(name, settings), plan, seeds[:1], seeds)


def run(part, settings, rate=1e-2, seed=3):
    return Run(part, Trial("methods", peft_setting("by peft", settings), rate, seed))


@pytest.mark.parametrize("name", TWINS)
def test_a_run_by_peft_equals_our_own_from_the_same_start(tiny_part, name):
    ours = Run(tiny_part, Trial("methods", find_setting(name, 16), 1e-2, 3))
    theirs = run(tiny_part, TWINS[name])
    start = {key.removeprefix("encoder."): value for key, value in ours.attached.state(head=False).items()}
    loaded = set_peft_model_state_dict(theirs.attached.model.encoder.model, ours.attached.method.to_peft(start))
    assert not loaded.unexpected_keys
    for each in (ours, theirs):
        each.train(validated=(1, 2)).read_test()
    assert theirs.attached.adapter_params() == ours.attached.adapter_params()
    assert theirs.attached.head_params() == ours.attached.head_params()
    assert theirs.full_params == ours.full_params
    assert theirs.history.train_loss == pytest.approx(ours.history.train_loss, rel=1e-4)
    assert theirs.history.validation_loss == pytest.approx(ours.history.validation_loss, rel=1e-4)
    assert torch.equal(theirs.test.predicted, ours.test.predicted)
    assert theirs.similarity() == pytest.approx(ours.similarity(), abs=1e-5)


@pytest.mark.parametrize("settings", [*TWINS.values(), *OTHERS.values()], ids=[*TWINS, *OTHERS])
def test_counts_and_bytes_are_pefts(tiny_part, tmp_path, settings):
    found = run(tiny_part, settings)
    network = found.attached.model.encoder.model
    assert found.attached.adapter_params() == network.get_nb_trainable_parameters()[0]
    network.save_pretrained(tmp_path / "adapter")
    tensors = load_file(tmp_path / "adapter/adapter_model.safetensors")
    # The rest of a file is its header of a few bytes per tensor.
    content = sum(each.numel() * each.element_size() for each in tensors.values())
    file = (tmp_path / "adapter/adapter_model.safetensors").stat().st_size
    assert content < found.bytes <= file
    assert file - found.bytes < 64


@pytest.mark.parametrize("settings", OTHERS.values(), ids=OTHERS)
def test_other_methods_train_in_the_same_job_with_all_their_columns(tiny_part, tmp_path, settings):
    assert refusal_of(tiny_part, job(settings)) is None
    found = train_setting(tiny_part, job(settings, rates=(1e-2, 3e-2)))
    for contract, rows in ((RUNS, found.runs), (CURVES, found.curves), (COSTS, found.costs), (ITEMS, found.items)):
        write_table(contract, rows, tmp_path / f"{contract.name}.parquet")
    runs = read_table(RUNS, tmp_path / "runs.parquet")
    chosen = runs[runs["selected"]]
    assert sorted(chosen["seed"]) == [0, 1]
    wanted = ["test_accuracy", "trainable_params", "params_percent", "adapter_bytes", "embedding_similarity"]
    assert chosen[wanted].notna().all(axis=None)
    assert (chosen["embedding_similarity"] < 1).all()
    costs = pd.DataFrame(found.costs)
    assert (costs[["cpu_seconds", "peak_memory_mb"]] > 0).all(axis=None)


def test_a_seed_decides_the_start_and_the_global_generator_is_left_alone(tiny_part):
    settings = TWINS["LoRA (query, key, value)"]
    before = torch.get_rng_state()
    first, again, other = (run(tiny_part, settings, seed=seed).attached.state() for seed in (3, 3, 4))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first if "lora_A" in name)


def test_a_paused_run_has_the_numbers_of_one_that_never_was(tiny_part):
    whole = run(tiny_part, VERA).train(validated=(2,))
    whole.forget()
    run(tiny_part, VERA).train(1).pause()
    paused = run(tiny_part, VERA).train(validated=(2,))
    assert paused.history.train_loss == whole.history.train_loss
    assert paused.history.validation_loss == whole.history.validation_loss


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"peft_type": "ADALORA", "total_step": 10}, "update_and_allocate"),
        ({"peft_type": "POLY"}, "task"),
        ({"peft_type": "ADAPTION_PROMPT"}, "peft or the model refuses it"),
        ({"peft_type": "LORA", "target_modules": ["no_such"]}, "no_such"),
        ({"peft_type": "LORA", "target_modules": QKV, "lora_dropout": 0.5}, "draws at random"),
        ({"peft_type": "PVERA", "target_modules": QKV, "r": 4}, "draws at random"),
        ({"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 30}, "refuses it"),
    ],
)
def test_what_cannot_be_trained_is_one_row_with_the_reason(tiny_part, tmp_path, settings, reason):
    refused = job(settings)
    found = refusal_of(tiny_part, refused)
    assert found is not None
    assert reason in found
    assert "\n" not in found
    tables = rows_of_refusal(tiny_part, refused.trial(1e-2, 0), found)
    for contract, rows in ((RUNS, tables.runs), (CURVES, tables.curves), (COSTS, tables.costs), (ITEMS, tables.items)):
        write_table(contract, rows, tmp_path / f"{contract.name}.parquet")
        assert len(read_table(contract, tmp_path / f"{contract.name}.parquet")) == len(rows)
    (row,) = tables.runs
    assert (row["status"], row["reason"], row["method"]) == ("refused", found, "by peft")
    assert row["test_accuracy"] is row["learning_rate"] is row["trainable_params"] is None


def configured(*methods):
    return load_config({"encoder": {"peft_methods": list(methods)}})


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ({"name": "x", "peft": {"peft_type": "LORRA"}}, r"x: peft_type = 'LORRA': allowed: .*LORA.*VERA"),
        ({"name": "x", "peft": {"r": 8}}, r"x: peft_type = None: allowed"),
        ({"name": "x", "peft": {**VERA, "rank": 8}}, r"x: rank = 8: allowed: keys of VeraConfig: .*\br\b"),
        ({"name": "x", "peft": {**VERA, "r": "eight"}}, r"x: r = 'eight': allowed: .*integer"),
        ({"name": "x", "peft": {**VERA, "r": True}}, r"x: r = True: allowed"),
        ({"name": "x", "peft": {**VERA, "task_type": "CAUSAL_LM"}}, r"x: task_type = 'CAUSAL_LM': allowed"),
        ({"name": "x", "peft": {"peft_type": "LORA", "init_lora_weights": "eva"}}, r"init_lora_weights = 'eva'"),
        ({"name": "x", "peft": {"peft_type": "LORA", "init_lora_weights": "evil"}}, r"init_lora_weights = 'evil'"),
        ({"name": "lora", "peft": VERA}, r"name 'lora': allowed: one unlike that of 'LoRA'"),
        ({"name": "PrefT", "peft": VERA}, r"name 'PrefT'"),
        ({"name": CONTROLS[0], "peft": VERA}, r"name 'majority class'"),
    ],
)
def test_wrong_keys_values_and_names_are_refused_in_one_line_before_any_job(method, message):
    with pytest.raises(AtlasError, match=message) as caught:
        preflight(configured(method))
    assert "\n" not in str(caught.value)


def test_two_methods_of_one_name_are_refused():
    with pytest.raises(AtlasError, match=r"name 've-ra': allowed: one unlike that of 'Ve RA'"):
        preflight(configured({"name": "Ve RA", "peft": VERA}, {"name": "ve-ra", "peft": VERA}))


@pytest.mark.parametrize("method", [{"name": "VeRA (r 4)", "peft": VERA}, {"peft": VERA}, {"name": "x", "pet": VERA}])
def test_the_section_itself_is_checked_with_the_configuration(method):
    with pytest.raises(AtlasError, match=r"config: encoder\.peft_methods\.0"):
        configured(method)
