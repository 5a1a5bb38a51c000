"""The decoder study: controls and answers against plain loops, runs that pause, cells and answers of known effects."""

import json
from dataclasses import replace
from math import log
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import scipy
import torch
from decoder_tables import CELLS, ROWS, SEEDS, decoder_tables, published_rows
from figure_checks import faults_of_text, marks_without_interval

from peft_atlas.config import FigureStyle, load_config
from peft_atlas.errors import AtlasError
from peft_atlas.figures.render import draw_figure, settings
from peft_atlas.figures.spec import load_figure
from peft_atlas.models.decoder import SMALL, random_llama
from peft_atlas.models.packaged_decoder import write_random
from peft_atlas.step import Step
from peft_atlas.studies.decoder.answers import cost_answers, decoder_answers
from peft_atlas.studies.decoder.cells import ACCURACY, FORGOTTEN, decoder_cells
from peft_atlas.studies.decoder.config import DecoderConfig, DecoderTaskConfig
from peft_atlas.studies.decoder.controls import WordCounts, counted
from peft_atlas.studies.decoder.data.example_contract import DECODER_EXAMPLES
from peft_atlas.studies.decoder.data.examples import read_rows
from peft_atlas.studies.decoder.data.items import Item
from peft_atlas.studies.decoder.data.prepare import prepared
from peft_atlas.studies.decoder.item_contrasts import contrasts
from peft_atlas.studies.decoder.preflight import preflight
from peft_atlas.studies.decoder.released import main, read_released, released_files, write_released
from peft_atlas.studies.decoder.run import Part, Run, Trial, answered, find_setting
from peft_atlas.studies.decoder.tabulate import cost_rows, tabulate_step
from peft_atlas.studies.decoder.train import SettingJob, by_answer_loss, references, train_setting, train_shuffled
from peft_atlas.studies.literature.data import load_published
from peft_atlas.tables.contract import read_table, write_table
from peft_atlas.tables.decoder_schemas import DECODER, DECODER_COSTS
from peft_atlas.tables.schemas import COSTS, CURVES, FINDINGS, ITEMS, PUBLISHED, RUNS
from peft_atlas.training.history import History
from peft_atlas.training.search import SearchPlan

PLACES = ("shelf", "desk", "sink", "bed")
TASK = DecoderTaskConfig(
    name="commonsense", methods=("full",), train_examples=16, validation_examples=6, test_examples=8, epochs=2
)
CONFIG = DecoderConfig(model="random", tasks=(TASK,), few_shots=1, few_shot_examples=4, batch_size=8, warmup=0.0)


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    """Return what a job trains on: a random model, and things whose place their colour tells."""
    folder = tmp_path_factory.mktemp("decoder")
    write_random(folder / "model", SMALL)
    colours = ("red", "blue", "old", "wet")
    items = [
        Item(f"A {colours[n % 4]} n{n} is on the", PLACES[n % 4], PLACES, stratum=f"kind {n % 2}").closed()
        for n in range(34)
    ]
    splits = {"train": items[:20], "validation": items[20:26], "test": items[26:]}
    rows = prepared("commonsense", splits, ["Plain text.", "And more."], folder / "model", SMALL.context)
    write_table(DECODER_EXAMPLES, rows, folder / "rows.parquet")
    return Part(CONFIG, TASK, read_rows(folder / "rows.parquet"), folder / "model", "cpu", folder / "states")


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    return decoder_tables(tmp_path_factory.mktemp("tables"), strata=2)


@pytest.fixture(scope="module")
def cells(tables, tmp_path_factory):
    path = tmp_path_factory.mktemp("cells") / "decoder.parquet"
    write_table(DECODER, decoder_cells(tables["runs"], tables["items"], 0.95, "this run"), path)
    return read_table(DECODER, path)


# ------------------------------------------------------------------------------------------------ controls


def test_counts_of_words_are_those_of_a_plain_loop():
    prompts, answers = ["a red hat", "a red cup", "an old cup", "a hat"], ["shelf", "sink", "sink", "shelf"]
    counts = WordCounts(prompts, answers)

    def by_hand(prompt, answer):
        words = [word for text, own in zip(prompts, answers, strict=True) if own == answer for word in text.split()]
        vocabulary = {word for text in prompts for word in text.split()}
        each = [(words.count(word) + 1) / (len(words) + len(vocabulary)) for word in prompt.split()]
        return log(answers.count(answer) + 1) + sum(map(log, each))

    for prompt in ("a red hat", "an old new thing"):
        for answer in ("shelf", "sink", "bed"):
            assert counts.score(prompt, answer) == pytest.approx(by_hand(prompt, answer))


def test_counts_of_words_learn_what_a_word_tells_and_the_prior_does_not(part):
    prior, counts = counted(part.rows, 20, 0)
    assert counts.found.accuracy == 1.0
    assert prior.found.accuracy < 0.6


# ------------------------------------------------------------------------------------------------ reading


def test_the_answer_is_the_choice_of_the_highest_likelihood_token_by_token(part):
    model, rows = random_llama(SMALL, 3), part.rows.split("test")
    found = answered(model, rows)
    for place, row in enumerate(rows.itertuples()):
        sums = []
        for choice in row.choice_tokens:
            tokens, total = list(row.prompt_tokens), 0.0
            for token in choice:
                with torch.no_grad():
                    total += float(model(torch.tensor([tokens]))[0, -1].log_softmax(-1)[token])
                tokens.append(int(token))
            sums.append(total)
        right = list(row.choices).index(row.answer)
        assert found.correct[place] == (int(np.argmax(sums)) == right)
        assert found.losses[place] == pytest.approx(-sums[right] / len(row.answer_tokens), abs=1e-4)


def test_open_answers_are_right_where_the_model_writes_them(part):
    model, rows = random_llama(SMALL, 3), part.rows.split("test").assign(choice_tokens=None)
    tokens = list(rows["prompt_tokens"].iloc[0])
    written = []
    for _ in range(3):
        with torch.no_grad():
            written.append(int(model(torch.tensor([tokens + written]))[0, -1].argmax()))
    rows["answer_tokens"] = [written, *rows["answer_tokens"].iloc[1:]]
    assert answered(model, rows).correct[0]


def test_examples_go_before_every_prompt(part):
    model, rows = random_llama(SMALL, 3), part.rows.split("test").head(2)
    longer = rows.assign(prompt_tokens=[[5, 6, *ids] for ids in rows["prompt_tokens"]])
    assert answered(model, rows, [5, 6]) == answered(model, longer)


# ------------------------------------------------------------------------------------------------ runs


def test_a_run_that_paused_ends_as_one_that_did_not(part):
    trial = Trial("methods", find_setting("LoRA (all linear modules)", part.model), 0.01, 0)
    whole = Run(replace(part, checkpoints=None), trial).train().read_test()
    Run(part, trial).train(1).pause()
    again = Run(part, trial)
    assert again.epochs == 1
    again.train().read_test().forget()
    assert again.history.train_loss == whole.history.train_loss
    assert (again.test, again.text_loss) == (whole.test, whole.text_loss)


def test_full_fine_tuning_leaves_the_table_of_tokens_as_it_is(part):
    run = Run(replace(part, checkpoints=None), Trial("methods", find_setting("full", part.model), 0.01, 0))
    before = {name: value.clone() for name, value in run.model.named_parameters()}
    run.train()
    moved = {name for name, value in run.model.named_parameters() if not torch.equal(before[name], value)}
    assert moved == {name for name in before if not name.startswith(("embed_tokens", "lm_head"))}


def test_a_setting_is_tuned_by_answer_loss_and_leaves_rows_of_the_contracts(part, tmp_path):
    setting = find_setting("full", part.model)
    job = SettingJob("methods", setting, SearchPlan((1e-5, 3e-3), 2, 1, 0), (0,), (0, 1))
    found = train_setting(part, job)
    for contract, rows in ((RUNS, found.runs), (CURVES, found.curves), (COSTS, found.costs), (ITEMS, found.items)):
        write_table(contract, rows, tmp_path / f"{contract.name}.parquet")
    runs = read_table(RUNS, tmp_path / "runs.parquet")
    by_rate = runs[runs["seed"] == 0].groupby("learning_rate").first()
    assert by_rate.loc[3e-3, "selected"]
    assert by_rate.loc[1e-5, "status"] == "stopped"
    tested = runs[runs["test_examples"].notna()]
    items = read_table(ITEMS, tmp_path / "items.parquet")
    means = items.groupby("run_id")["correct"].mean()
    assert means[tested["run_id"]].tolist() == tested["test_accuracy"].tolist()
    assert set(items["stratum"]) == {"kind 0", "kind 1"}
    assert tested["text_loss"].notna().all()
    assert not list(part.checkpoints.glob("*.pt"))


def test_the_lower_loss_wins_whatever_the_accuracy():
    better = History(validation_loss=[1.0], validation_accuracy=[0.1])
    worse = History(validation_loss=[2.0], validation_accuracy=[0.9])
    assert by_answer_loss(better) > by_answer_loss(worse)


def test_seeds_draw_other_training_rows_and_methods_share_them(part):
    one, again, other = (part.rows.drawn(16, seed)["digest"].tolist() for seed in (0, 0, 1))
    assert one == again != other


def test_shuffled_answers_are_those_of_the_seed_in_another_order(part):
    setting = find_setting("full", part.model)
    trial = Trial("controls", setting, 0.01, 0, shuffled=True)
    run, plain = Run(replace(part, checkpoints=None), trial), part.rows.drawn(16, 0)
    answers = run._training_rows().answers
    assert answers != [list(ids) for ids in plain["answer_tokens"]]
    assert sorted(answers) == sorted(list(ids) for ids in plain["answer_tokens"])
    (row,) = train_shuffled(replace(part, checkpoints=None), setting, 0.01, [0]).runs
    assert (row["method"], row["selected"]) == ("shuffled labels", None)


def test_references_read_the_model_as_it_came(part):
    zero, few = references(part, 0).runs
    assert (zero["test_examples"], few["test_examples"]) == (8, 4)
    assert zero["learning_rate"] is None
    assert zero["test_accuracy"] == answered(random_llama(SMALL, 0), part.rows.split("test")).accuracy


# ------------------------------------------------------------------------------------------------ cells and answers


def cell(cells, method, metric=ACCURACY, stratum="all"):
    return cells[(cells["method"] == method) & (cells["metric"] == metric) & (cells["stratum"] == stratum)].iloc[0]


def test_cells_are_means_over_seeds_with_student_intervals(tables, cells):
    runs = tables["runs"]
    values = runs.loc[(runs["method"] == "(IA)3"), "test_accuracy"].astype(float).to_numpy()
    half = scipy.stats.t.ppf(0.975, SEEDS - 1) * values.std(ddof=1) / SEEDS**0.5
    found = cell(cells, "(IA)3")
    assert found["value"] == pytest.approx(values.mean())
    assert (found["low"], found["high"]) == pytest.approx((values.mean() - half, values.mean() + half))


def test_one_run_has_the_interval_of_its_rows(cells):
    found = cells[(cells["method"] == "no adaptation") & cells["setting"].str.startswith("0 ").fillna(False)].iloc[0]
    wilson = scipy.stats.binomtest(80, ROWS).proportion_ci(method="wilson")
    assert (found["low"], found["high"]) == pytest.approx((wilson.low, wilson.high))
    assert "Wilson" in found["interval"]


def test_strata_are_read_apart(tables, cells):
    runs, items = tables["runs"], tables["items"]
    full = items[items["run_id"].isin(runs.loc[runs["method"] == "full", "run_id"]) & (items["stratum"] == "kind 1")]
    assert cell(cells, "full", stratum="kind 1")["value"] == pytest.approx(full["correct"].mean())


def test_differences_are_adjusted_by_holm_and_rest_on_seeds_and_items(tables):
    found = {row["method"]: row for row in contrasts(tables["runs"], tables["items"], 0.95)}
    p = {name: row["p_value"] for name, row in found.items()}
    assert found["(IA)3"]["p_adjusted"] == pytest.approx(2 * p["(IA)3"])
    assert found["LoRA"]["p_adjusted"] == pytest.approx(p["LoRA"])
    assert found["(IA)3"]["difference"] == pytest.approx(-0.2, abs=0.05)
    assert (found["(IA)3"]["indistinguishable"], found["LoRA"]["indistinguishable"]) == (False, True)
    assert found["LoRA"]["interval"] == "95 % t over seeds and items"


def answers(tables, cells, values=None):
    published = published_rows(values or {"LoRA": 70.0, "(IA)3": 90.0})
    return {each.id: each for each in decoder_answers(cells, tables["runs"], published, 0.05)}


def test_answers_name_what_differs_and_what_would_have_been_detected(tables, cells):
    found = answers(tables, cells)
    text = found["decoder_against_full_commonsense"].detail
    assert "Different from full fine-tuning: (IA)3; statistically indistinguishable from it: LoRA" in text
    assert f"detectable with 80 % power: {100 * cell(cells, 'LoRA')['detectable']:.1f} points" in text
    forgotten = found["decoder_forgetting_commonsense"].detail
    assert "Different from full fine-tuning: LoRA (all linear modules)" in forgotten
    assert cell(cells, "LoRA", FORGOTTEN)["value"] == pytest.approx(0.3, abs=0.02)


def test_references_and_controls_stand_in_the_answer_on_gains(tables, cells):
    text = answers(tables, cells)["decoder_learnt_commonsense"].detail
    ends = sorted(100 * row["value"] for row in (cell(cells, "full"), cell(cells, "LoRA"), cell(cells, "(IA)3")))
    assert "the untrained model, 0 examples in the prompt 40.0 %" in text
    assert f"The methods gain {ends[0] - 40:.1f} to {ends[-1] - 40:.1f} points on the untrained model" in text


@pytest.mark.parametrize(("apart", "words"), [(20.0, "could"), (0.1, "could not")])
def test_a_published_difference_is_held_against_what_is_detectable(tables, cells, apart, words):
    found = answers(tables, cells, {"LoRA": 70.0, "(IA)3": 70.0 + apart})
    assert (
        f"lie {apart:.1f} points apart; a difference of that size from full fine-tuning {words}"
        in found["decoder_order_commonsense"].detail
    )


def test_an_order_is_given_only_where_it_is_reliable(tables, cells):
    found = answers(tables, cells)["decoder_order_commonsense"]
    assert found.effect.size > 0.8
    assert "reliable over seeds: " in found.detail
    alike = tables["runs"].assign(test_accuracy=[0.5 + 0.01 * (seed % 3) for seed in tables["runs"]["seed"]])
    chance = {each.id: each for each in decoder_answers(cells, alike, published_rows({"LoRA": 1.0}), 0.05)}
    assert "not reliable enough to rank them" in chance["decoder_order_commonsense"].detail


def test_costs_are_means_over_the_tested_runs(tables, cells):
    rows = pd.DataFrame(cost_rows(tables["runs"], tables["costs"], "this run"))
    assert rows.set_index("method")["cpu_seconds"].to_dict() == {key[0]: cell[3] for key, cell in CELLS.items()}
    (found,) = cost_answers(rows, cells)
    assert "LoRA (all linear modules) 40 s (0.80 times full)" in found.detail
    larger = rows[rows["method"] == "LoRA"].assign(rank=64)
    (found,) = cost_answers(pd.concat([rows, larger], ignore_index=True), cells)
    assert "LoRA (all linear modules), rank 64 40 s" in found.detail


# ------------------------------------------------------------------------------------------------ the released run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the results folder of a run in which the study is finished."""
    folder = tmp_path_factory.mktemp("run")
    given = decoder_tables(folder)
    place = folder / "results/runs/decoder/commonsense"
    for name, contract in (("runs", RUNS), ("items", ITEMS), ("costs", COSTS)):
        write_table(contract, given[name], place / f"all.{name}.parquet")
    write_table(FINDINGS, given["findings"], folder / "results/findings/decoder_rows_commonsense.parquet")
    return folder / "results"


def test_a_released_run_is_read_as_it_was_written_with_version_machine_and_date(finished, tmp_path, root):
    write_released(finished, tmp_path / "decoder", root, "a machine")
    facts = json.loads((tmp_path / "decoder/release.json").read_text())
    found = read_released(tmp_path / "decoder")
    assert len(released_files(tmp_path / "decoder")) == 5
    assert len(found.runs) == len(read_table(RUNS, finished / "runs/decoder/commonsense/all.runs.parquet"))
    assert found.origin.startswith("released run, not made on this machine: version ")
    assert all(facts[name] in found.origin for name in ("version", "code", "machine", "date"))


def tabulated(folder, **inputs):
    outputs = {
        name: folder / f"{name}.parquet" for name in ("decoder_cells", "decoder_costs", "answers", "cost_answers")
    }
    published = folder / "published.parquet"
    write_table(PUBLISHED, [], published)
    tabulate_step(Step({"published": published, **inputs}, outputs, {"confidence": 0.95}))
    return (
        read_table(DECODER, outputs["decoder_cells"]),
        read_table(DECODER_COSTS, outputs["decoder_costs"]),
        read_table(FINDINGS, outputs["answers"]),
    )


def test_a_run_without_the_study_has_the_released_numbers_and_says_so(finished, tmp_path, root):
    write_released(finished, tmp_path / "decoder", root, "a machine")
    cells, costs, findings = tabulated(tmp_path, released=released_files(tmp_path / "decoder"))
    place = finished / "runs/decoder/commonsense"
    own = {"runs": [place / "all.runs.parquet"], "per_item": [place / "all.items.parquet"]}
    here, _, _ = tabulated(tmp_path, **own, costs=[place / "all.costs.parquet"])
    pd.testing.assert_frame_equal(cells.drop(columns="origin"), here.drop(columns="origin"))
    assert set(here["origin"]) == {"this run"}
    assert set(costs["origin"]) == set(cells["origin"]) != {"this run"}
    answer = findings[findings["kind"] == "answer"]
    assert answer["detail"].str.contains("not made on this machine").all()
    assert findings.loc[findings["kind"] == "check", "statement"].str.contains("not made on this machine").all()


def test_a_run_without_any_has_empty_tables(tmp_path):
    assert [len(each) for each in tabulated(tmp_path)] == [0, 0, 0]


def test_the_command_says_in_one_line_what_is_missing(tmp_path, capsys):
    assert main([str(tmp_path), str(tmp_path)]) == 2
    assert (
        capsys.readouterr().err == f"{tmp_path}: no finished runs of the study decoder; run snakemake decoder first\n"
    )
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err


def test_a_broken_manifest_is_one_line(tmp_path):
    (tmp_path / "release.json").write_text('{"version": "1"}')
    with pytest.raises(AtlasError, match=r"release.json: lacks 'code'; allowed: JSON with version, code"):
        read_released(tmp_path)


def test_a_task_needs_full_and_a_source():
    with pytest.raises(ValueError, match="full must be among them"):
        DecoderTaskConfig(name="commonsense", methods=("(IA)3",))
    with pytest.raises(ValueError, match="give file"):
        DecoderTaskConfig(name="mine")


def test_the_section_says_where_its_numbers_are_from(cells, finished, tmp_path, root):
    from peft_atlas.studies.decoder.section import available, blocks

    write_released(finished, tmp_path / "decoder", root, "a machine")
    released, costs, _ = tabulated(tmp_path, released=released_files(tmp_path / "decoder"))
    material = SimpleNamespace(
        tables={"decoder_cells": released, "decoder_costs": costs},
        figures_of=lambda **_: [],
        findings=lambda *_, **__: [],
    )
    assert available(material)
    intro, table = blocks(material)
    assert intro.text.startswith("Released run, not made on this machine: version ")
    first, *others = (row[0] for row in table.rows)
    assert first == "full"
    assert {"LoRA (all linear modules)", "(IA)3", "counts of words"} < set(others)
    here = SimpleNamespace(tables={"decoder_cells": cells, "decoder_costs": costs}, figures_of=lambda **_: [])
    assert "not made on this machine" not in blocks(here)[0].text


# ------------------------------------------------------------------------------------------------ the figure


@pytest.mark.parametrize("preset", ["two_columns", "one_column", "slide"])
def test_the_figure_has_intervals_and_room_for_both_tasks(root, tmp_path, preset):
    both = [decoder_tables(tmp_path / task, task) for task in ("commonsense", "arithmetic")]
    runs, items = (pd.concat([each[name] for each in both], ignore_index=True) for name in ("runs", "items"))
    write_table(DECODER, decoder_cells(runs, items, 0.95, "this run"), tmp_path / "decoder.parquet")
    known = {"decoder_cells": read_table(DECODER, tmp_path / "decoder.parquet")}
    module, style = load_figure("decoder_published"), FigureStyle(preset=preset)
    plotted = module.select({**known, "published": load_published(root / "data/published")})
    figure = draw_figure(module, plotted, style)
    with mpl.rc_context(settings(module.SPEC, style)):
        assert faults_of_text(figure) == []
        assert marks_without_interval(figure, module.SPEC.exact_panels) == []
    measured = plotted[(plotted["panel"] == "Measured") & (plotted["role"] == "method")]
    assert set(measured["task"]) == {"commonsense", "arithmetic"}
    assert "on commonsense the 3 methods end between" in module.describe(plotted).finding


def test_without_a_run_the_figure_has_the_published_averages_alone(root, tmp_path):
    write_table(DECODER, [], tmp_path / "decoder.parquet")
    module, style = load_figure("decoder_published"), FigureStyle()
    known = {"decoder_cells": read_table(DECODER, tmp_path / "decoder.parquet")}
    plotted = module.select({**known, "published": load_published(root / "data/published")})
    figure = draw_figure(module, plotted, style)
    with mpl.rc_context(settings(module.SPEC, style)):
        assert faults_of_text(figure) == []
    assert set(plotted["panel"]) == {"Published"}
    assert module.describe(plotted).finding == "Nothing was measured."


# ------------------------------------------------------------------------------------------------ before the first job


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"tasks": [{"name": "mine", "file": "mine.jsonl"}]}, "row 1: prompt = '': allowed"),
        ({"model": "./nowhere"}, "decoder.model = './nowhere': no such folder; allowed: SmolLM2"),
    ],
)
def test_what_will_not_do_is_said_before_any_job(section, message, tmp_path):
    (tmp_path / "mine.jsonl").write_text('{"prompt": "", "answer": "x"}\n', encoding="utf-8")
    config = load_config({"studies": ["decoder"], "decoder": section})
    with pytest.raises(AtlasError, match=message):
        preflight(config, tmp_path)
    preflight(load_config({"studies": ["notebook"], "decoder": section}), tmp_path)
