"""Runs that a user has added are points of the report's explorer, and a table for papers."""

from statistics import mean, stdev
from types import SimpleNamespace

import pandas as pd
import pytest
from scipy import stats

from peft_atlas.report.explorer import METRICS
from peft_atlas.report.paper import _added
from peft_atlas.studies.added.section import explored
from peft_atlas.tables.added_schemas import ADDED_RUNS


def table(*rows):
    """Return runs that are given as what differs from one run of LoRA."""
    usual = {
        **{"task": "reviews", "model": "MiniLM", "method": "LoRA", "seed": 1, "metric": "accuracy", "split": "test"},
        **{"score": 0.9, "source": "mine.csv"},
    }
    return pd.DataFrame([{**ADDED_RUNS.blank(), **usual, **row} for row in rows])


def points(*rows):
    runs = table(*rows)
    return list(explored(SimpleNamespace(tables={"added_runs": runs}, confidence=0.95)))


def test_several_seeds_are_one_point_with_students_interval():
    scores = [90.0, 91.0, 93.0]
    (point,) = points(*({"seed": seed, "score": score / 100} for seed, score in enumerate(scores)))
    half = stats.t.ppf(0.975, 2) * stdev(scores) / 3**0.5
    assert point["values"]["accuracy"] == pytest.approx(mean(scores))
    assert point["intervals"]["accuracy"] == pytest.approx((mean(scores) - half, mean(scores) + half))
    assert (point["study"], point["task"], point["model"], point["method"]) == ("added", "reviews", "MiniLM", "LoRA")
    assert point["source"].startswith("Added, accuracy on the test split, 3 runs, 95 % Student t over seeds; mine.csv")


def test_one_run_has_no_interval_and_only_what_is_known():
    (point,) = points({"score": 0.5, "trainable_params": 10, "total_params": 1000, "peak_memory_bytes": 7})
    assert point["values"] == {"accuracy": 50.0, "params_percent": 1.0, "trainable_params": 10.0, "memory_bytes": 7.0}
    assert point["intervals"] == {}
    assert "one run, no interval" in point["source"]
    assert not point["measured"]
    assert set(point["values"]) <= set(METRICS)


def test_rank_setting_and_rate_tell_points_apart():
    found = points({"rank": 8, "learning_rate": 1e-3}, {"rank": 8, "learning_rate": 1e-4, "setting": "query"})
    assert sorted(point["setting"] for point in found) == ["r = 8, query, rate 0.0001", "r = 8, rate 0.001"]
    assert sorted(point["values"]["learning_rate"] for point in found) == [1e-4, 1e-3]


def test_a_table_for_papers_has_the_cells():
    scores = [90.0, 91.0, 93.0]
    runs = [{"seed": seed, "score": score / 100} for seed, score in enumerate(scores)]
    shown = _added(table(*runs, {"method": "full", "rank": 8, "score": 0.5}), 0.95)
    half = stats.t.ppf(0.975, 2) * stdev(scores) / 3**0.5
    rows = {row[shown.header.index("method")]: row for row in shown.rows}
    assert rows["LoRA"][-4:] == (f"{mean(scores):.2f}", f"{mean(scores) - half:.2f}", f"{mean(scores) + half:.2f}", "3")
    assert rows["full"][-4:] == ("50.00", "–", "–", "1")
    # No run has a setting or a learning rate.
    assert shown.header[:6] == ("task", "model", "metric", "split", "method", "rank")
