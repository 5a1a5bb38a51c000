"""The first page: which advice becomes a card, what each says for a given outcome, and the table of methods."""

import numpy as np
import pandas as pd
import pytest
from encoder_tables import Cell, default_cells, simulated

from peft_atlas.analysis.contrasts import Comparison, Levels, compare
from peft_atlas.analysis.finding import ATLAS, Effect, Finding, as_rows
from peft_atlas.config import StudyConfig
from peft_atlas.report.front_page import cards, headlines
from peft_atlas.report.glossary import words
from peft_atlas.report.limits import limits
from peft_atlas.report.material import Material
from peft_atlas.report.method_rows import ComparedTask, MethodRow
from peft_atlas.report.method_table import bytes_in_words, method_table
from peft_atlas.studies.encoder import contrasts, item_contrasts
from peft_atlas.studies.encoder.advice import encoder_advice
from peft_atlas.studies.encoder.section import compared
from peft_atlas.studies.study import TOPICS, AdvicePart, Study, all_studies
from peft_atlas.tables.contract import read_table, write_table
from peft_atlas.tables.schemas import CONTRASTS

QUESTION = {"method": "LoRA (query, value)", "margin": 0.015}


def study(name, *advice, order=1):
    return Study(name, name, name, name, order, advice=advice)


def findings(*names):
    """Return findings of kind advice that say their own name."""
    made = [Finding("advice", name, "s", f"Do {name}.", ATLAS, "measured", "runs", f"by {name}") for name in names]
    other = Finding("answer", "other", "s", "Which?", ATLAS, "measured", "runs", "that")
    return as_rows([*made, other])


def test_of_all_advice_on_a_topic_the_heaviest_becomes_the_card_and_topics_keep_their_order():
    first = study("a", AdvicePart("rank", "a_rank", 1), AdvicePart("method", "a_method", 2))
    second = study(
        "b", AdvicePart("rank", "b_rank", 2), AdvicePart("method", "b_method", 2), AdvicePart("cost", "gone")
    )
    rows = findings("a_rank", "b_rank", "b_method", "a_method")
    assert [card.statement for card in cards(rows, [first, second])] == ["Do a_method.", "Do b_rank."]
    assert [card.statement for card in cards(rows, [second, first])] == ["Do b_method.", "Do b_rank."]


def test_a_run_ends_with_the_first_cards():
    parts = [AdvicePart(topic, topic) for topic in reversed(TOPICS)]
    assert headlines(findings(*TOPICS), [study("a", *parts)]) == [f"Do {topic}. by {topic}" for topic in TOPICS[:3]]


def test_without_advice_there_are_no_cards():
    assert cards(findings(), all_studies()) == []


def encoder_tables(folder, effect, cells=None):
    tables = simulated(cells or default_cells(effect), folder, draw=1)
    rows = contrasts.contrasts(tables["runs"], tables["curves"], Levels(0.95, 0.01))
    rows += item_contrasts.contrasts(tables["runs"], tables["items"], 0.95, QUESTION)
    write_table(CONTRASTS, rows, folder / "contrasts.parquet")
    return {**tables, "contrasts": read_table(CONTRASTS, folder / "contrasts.parquet")}


@pytest.mark.parametrize(
    ("effect", "said"),
    [
        (0.03, "Start with LoRA (query, value) at r = 8."),
        (-0.10, "Start with LoRA (query, value) at r = 8 only where full fine-tuning does not fit."),
    ],
)
def test_the_method_to_start_with_follows_the_interval(effect, said, tmp_path):
    tables = encoder_tables(tmp_path, effect)
    none = as_rows([]).reindex(columns=["id", "effect"])
    given = {finding.id: finding for finding in encoder_advice(tables["runs"], tables["contrasts"], none, 0.95)}
    assert given["encoder_advice_method"].statement == said
    low, high = given["encoder_advice_method"].effect.low, given["encoder_advice_method"].effect.high
    row = tables["contrasts"].query("question == 'encoder_primary' and task == 'mean over tasks'").iloc[0]
    assert (low, high) == (100 * row["low"], 100 * row["high"])
    assert f"[{low:+.1f}, {high:+.1f}]" in given["encoder_advice_method"].detail
    assert "TREC questions" in given["encoder_advice_method"].detail
    assert {"encoder_advice_rate", "encoder_advice_rank"} <= set(given)


def test_an_own_task_without_the_prespecified_method_still_gets_a_method(tmp_path):
    cells = [
        Cell("full", 0.80, task="mine", seconds=11.0),
        Cell("DoRA", 0.80, task="mine", rank=8),
        Cell("BitFit", 0.55, task="mine"),
    ]
    tables = encoder_tables(tmp_path, 0, cells)
    none = as_rows([]).reindex(columns=["id", "effect"])
    given = {finding.id: finding for finding in encoder_advice(tables["runs"], tables["contrasts"], none, 0.95)}
    assert given["encoder_advice_method"].statement.startswith("Start with DoRA")
    assert "mine" in given["encoder_advice_method"].detail


def page(tables, studies=("encoder", "literature"), **settings):
    empty = {"comparison": pd.DataFrame(columns=["source", "task", "method", "base_model", "value"], dtype=object)}
    config = StudyConfig.model_validate(settings)
    return Material({**empty, **tables}, (), studies, "", (0, 1), 0.95, {}, "code", "machine", settings=config)


def test_the_table_holds_rates_shares_and_differences_of_the_runs(tmp_path):
    tables = encoder_tables(tmp_path, -0.02)
    trec = compared(page(tables))[0]
    runs, costs = tables["runs"], tables["costs"]
    chosen = runs[(runs["experiment"] == "methods") & (runs["task"] == "trec6") & runs["selected"].fillna(value=False)]
    assert {row.name for row in trec.rows} == {
        "full", "LoRA (query, value)", "LoRA (query, key, value)", "LoRA (all linear modules)", "DoRA", "BitFit",
        "(IA)3", "head only",
    }  # fmt: skip
    for row in trec.rows:
        name, _, setting = row.name.partition(" (") if not row.name.startswith("(") else (row.name, "", "")
        own = chosen[chosen["method"] == name]
        own = own[own["setting"].fillna("") == setting.removesuffix(")")] if setting else own
        assert row.accuracy == pytest.approx(100 * own["test_accuracy"].astype(float).mean())
        assert {row.rate} == set(own["learning_rate"])
        spent = costs[costs["run_id"].isin(own["run_id"])]
        assert row.seconds == pytest.approx(spent["cpu_seconds"].astype(float).mean())
        assert (row.difference is None) == (name == "full")
    lora = next(row for row in trec.rows if row.name == "LoRA (query, value)")
    expected = tables["contrasts"].query("question == 'encoder_primary' and task == 'trec6'")["difference"].iloc[0]
    assert lora.difference.size == pytest.approx(100 * expected)
    assert trec.published


def test_no_published_columns_beside_the_users_own_data(tmp_path):
    cells = [Cell("full", 0.8, task="mine"), Cell("LoRA", 0.8, "query, value", task="mine", rank=8)]
    assert not compared(page(encoder_tables(tmp_path, 0, cells)))[0].published


def rows_for(effects):
    full = MethodRow("full", "full", 80.0, rate=0.001, percent=100.0, seconds=10.0, megabytes=100.0, file_bytes=9e7)
    others = [
        MethodRow(name, name, 80.0, each, 0.01, name == "edge", 1.0, 6.0, 50.0, 3e5) for name, each in effects.items()
    ]
    return ComparedTask("task", "about", (*others, full))


def test_a_bar_is_red_below_zero_a_star_marks_an_end_and_shares_are_of_full(monkeypatch):
    task = rows_for(
        {"below": Effect(-3, "p", -4, -2), "edge": Effect(1, "p", -1, 3), "above": Effect(5, "p", 4, 6), "lost": None}
    )
    monkeypatch.setattr("peft_atlas.report.method_table.compared_tasks", lambda *_: [task])
    made = method_table(page({}), [])
    lines = {line.name: line for line in made.tasks[0].lines}
    assert list(lines) == ["full", "above", "edge", "below", "lost"]
    assert [lines[name].bar.side for name in ("below", "edge", "above")] == ["below", "open", "above"]
    assert lines["below"].bar.at < 50 < lines["above"].bar.at
    assert lines["lost"].bar is None
    cells = dict(zip(made.header, lines["edge"].cells, strict=True))
    assert cells["best rate"] == "0.01*"
    assert cells["rate ÷ full's"] == "10"
    assert (cells["time"], cells["memory"], cells["file"]) == ("60 %", "50 %", "300 kB")
    whole = dict(zip(made.header, lines["full"].cells, strict=True))
    assert (whole["time"], whole["memory"], whole["file"]) == ("10.0 s", "100 MB", "90 MB")
    assert lines["edge"].difference == "+1.0 [-1.0, +3.0]"


def test_a_table_says_what_its_open_comparisons_could_have_detected(monkeypatch):
    task = rows_for(
        {
            "open": Effect(1, "p", -1, 3, detectable=2.8),
            "wider": Effect(1, "p", -2, 4, detectable=4.1),
            "clear": Effect(5, "p", 4, 6, detectable=1.4),
        }
    )
    monkeypatch.setattr("peft_atlas.report.method_table.compared_tasks", lambda *_: [task])
    about = method_table(page({}), []).tasks[0].about
    assert "2.8 to 4.1 points would have been detected with 80 % power" in about
    assert "1.4" not in about


def test_published_averages_stand_beside_methods_of_the_source_that_prints_most(monkeypatch):
    rows = [("a", "big", "LoRA", "x", 70.0), ("a", "big", "DoRA", "x", 71.0), ("a", "big", "LoRA", "y", 40.0)]
    rows += [("a", "small", "LoRA", "x", 60.0), ("a", "small", "DoRA", "x", 61.0), ("a", "small", "LoRA", "y", 30.0)]
    rows += [("b", "small", "LoRA", "x", 1.0), ("b", "small", "DoRA", "x", 2.0), ("a", "small", "other", "x", 99.0)]
    comparison = pd.DataFrame(
        [
            {"source": source, "base_model": model, "method": method, "task": f"{family}: Avg", "value": value}
            for source, model, method, family, value in rows
        ]
    )
    parameters = pd.DataFrame({"base_model": ["small", "big"], "base_params": [7, 13]})
    own = [MethodRow(name, name, 80.0) for name in ("full", "LoRA", "DoRA", "BitFit")]
    tasks = [ComparedTask("t", "t", tuple(own), published=True), ComparedTask("u", "u", tuple(own))]
    monkeypatch.setattr("peft_atlas.report.method_table.compared_tasks", lambda *_: tasks)
    made = method_table(page({"comparison": comparison, "parameters": parameters}), [])
    assert made.header[-1] == "small published (%): x / y"
    assert {line.name: line.cells[-1] for line in made.tasks[0].lines} == {
        "full": "–", "LoRA": "60.0 / 30.0", "DoRA": "61.0 / –", "BitFit": "–",
    }  # fmt: skip
    assert {line.cells[-1] for line in made.tasks[1].lines} == {"–"}
    assert len(made.header) - 1 in made.tasks[0].columns
    # Nothing but the accuracy is known there, and nothing was compared.
    assert made.tasks[1].columns == (0,)
    assert not made.tasks[1].differs


def test_a_published_average_of_a_method_with_several_settings_is_shown_once(monkeypatch):
    rows = [("LoRA", 60.0), ("DoRA", 61.0)]
    comparison = pd.DataFrame(
        [{"source": "a", "base_model": "m", "method": name, "task": "x: Avg", "value": value} for name, value in rows]
    )
    settings = [MethodRow(f"LoRA ({place})", "LoRA", accuracy) for place, accuracy in (("q", 70.0), ("q k", 90.0))]
    task = ComparedTask("t", "t", (*settings, MethodRow("DoRA", "DoRA", 80.0)), published=True)
    monkeypatch.setattr("peft_atlas.report.method_table.compared_tasks", lambda *_: [task])
    parameters = pd.DataFrame({"base_model": ["m"], "base_params": [7]})
    made = method_table(page({"comparison": comparison, "parameters": parameters}), [])
    shown = {line.name: line.cells[-1] for line in made.tasks[0].lines}
    assert shown == {"LoRA (q k)": "60.0", "DoRA": "61.0", "LoRA (q)": "–"}
    assert "shown once" in made.note


@pytest.mark.parametrize(("title", "present"), [("TREC questions", {"TREC"}), ("mine", set())])
def test_terms_of_tasks_that_the_table_lacks_are_not_explained(monkeypatch, title, present):
    task = ComparedTask(title, title, (MethodRow("full", "full", 80.0),))
    monkeypatch.setattr("peft_atlas.report.method_table.compared_tasks", lambda *_: [task])
    explained = dict(words(method_table(page({}), [])).terms)
    assert set(explained) & {"TREC", "shift of rank k"} == present
    assert "seed" in explained


def test_an_interval_that_leaves_the_axis_ends_at_its_edge(monkeypatch):
    task = rows_for({"wide": Effect(-40, "p", -100, 20)})
    monkeypatch.setattr("peft_atlas.report.method_table.compared_tasks", lambda *_: [task])
    bar = method_table(page({}), []).tasks[0].lines[1].bar
    assert 0 <= bar.low < 50 < bar.high <= 100


@pytest.mark.parametrize(("size", "words"), [(0, "0 B"), (950, "950 B"), (298_240, "298 kB"), (90.3e6, "90.3 MB")])
def test_bytes_in_words(size, words):
    assert bytes_in_words(size) == words


def run_rows(seeds):
    return pd.DataFrame(
        {
            "study": "encoder", "experiment": "methods", "task": "t", "method": "full", "setting": None, "rank": None,
            "alpha": None, "shift_rank": None, "train_examples": 8, "selected": True, "seed": range(seeds),
            "total_params": 22_000_000, "model": "tiny",
        }
    )  # fmt: skip


def printed(*spreads):
    return pd.DataFrame({"source": "a", "spread": pd.Series(spreads, dtype="Float64")})


@pytest.mark.parametrize(("spreads", "said"), [((None, None), "none gives an interval"), ((None, 2.1), "1 of 2 give")])
def test_printed_spreads_are_counted(spreads, said):
    empty = pd.DataFrame(columns=["reference", "detectable", "metric", "study", "method", "n"]).astype(
        {"reference": str}
    )
    tables = {"runs": run_rows(3), "contrasts": empty, "published": printed(*spreads)}
    assert said in limits(page(tables))[-1]


@pytest.mark.parametrize(("seeds", "warned"), [(2, True), (3, False)])
def test_a_run_of_fewer_than_three_seeds_is_warned_of(seeds, warned):
    empty = pd.DataFrame(columns=["reference", "detectable", "metric", "study", "method", "n"]).astype(
        {"reference": str}
    )
    tables = {"runs": run_rows(seeds), "contrasts": empty, "published": printed(None)}
    said = " ".join(limits(page(tables)))
    assert ("Too few seeds" in said) == warned
    assert "22 million" in said


def test_no_interval_leaves_what_is_possible():
    left, right = pd.Series([0.2, 0.9]), pd.Series([0.8, 0.6])
    row = compare("s", [Comparison("q", "t", "m", None, None, "full", left, right)], 0.95)[0]
    assert (row["low"], row["high"]) == (-1.0, 1.0)
    assert row["difference"] == pytest.approx(np.mean(left - right))
