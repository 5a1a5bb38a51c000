"""What checking the published tables finds, against the facts and against faults put in."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peft_atlas.accounting.attached import parameter_table
from peft_atlas.findings.published_findings import published_findings, rounds_to
from peft_atlas.published import load


@pytest.fixture(scope="module")
def tables(root):
    folder = root / "data/published"
    sources = load.load_sources(folder / load.SOURCES_FILE)
    return {
        "published": load.load_published(folder),
        "parameters": parameter_table(),
        "references": load.load_references(folder / load.REFERENCES_FILE, sources),
        "verdicts": load.load_application_verdicts(folder / load.VERDICTS_FILE, sources),
    }


def findings(tables, **changed):
    return {finding.id: finding for finding in published_findings(**(tables | changed))}


@pytest.mark.parametrize(
    ("mean", "printed", "fits"),
    [
        ("72.25", "72.2", True),
        ("72.25", "72.3", True),
        ("71.96", "72.0", True),
        ("71.96", "71.9", False),
        ("81.475", "81.5", True),
        ("81.475", "81.4", False),
        ("77", "77.0", True),
        ("77", "76.9", False),
    ],
)
def test_rounding_to_the_nearest_with_ties_either_way(mean, printed, fits):
    assert rounds_to(Decimal(mean), printed) is fits


@given(st.decimals(0, 100, places=4), st.integers(0, 3))
def test_what_python_rounds_to_always_fits(mean, places):
    assert rounds_to(mean, str(round(mean, places)))


def test_the_facts_are_found(tables):
    found = findings(tables)
    assert found["reference_3"].detail.endswith("arXiv:2404.03592.")
    assert found["published_cost"].effect == pytest.approx(0.8256, abs=5e-5)
    assert "56,098,816" in found["published_cost"].detail
    assert found["counted_two_ways"].verdict == "pass"
    assert found["domain_percentages"].effect == 4
    for text in ("PrefT on LLaMA-7B 0.110 against 0.039", "AdapterS on LLaMA-13B 0.800 against 1.586"):
        assert text in found["corrected_percentages"].detail
    assert found["corrected_percentages"].effect == 3
    assert "prints 81.4, mean 81.475" in found["row_means"].detail


def test_a_wrong_average_is_named_by_its_place(tables):
    published = tables["published"].copy()
    chosen = (published["table"] == "commonsense") & (published["task"] == "Avg") & (published["source"] == "reft_v3")
    place = published.index[chosen & (published["method"] == "LoReFT")][0]
    before = findings(tables)["row_means"].effect
    published.loc[place, "printed"] = "99.9"
    after = findings(tables, published=published)["row_means"]
    assert after.effect == before + 1
    assert f"commonsense.csv:{published.loc[place, 'line']} prints 99.9" in after.detail


def test_counts_that_differ_fail(tables):
    parameters = tables["parameters"].copy()
    parameters.loc[parameters.index[0], "trainable_params"] += 1
    assert findings(tables, parameters=parameters)["counted_two_ways"].verdict == "fail"


def test_the_best_method_follows_the_numbers(tables):
    published = tables["published"].copy()
    chosen = (published["source"] == "reft_v3") & (published["task"] == "Avg") & (published["method"] == "PrefT")
    published.loc[chosen, "value"] = 100.0
    detail = findings(tables, published=published)["published_best"].detail
    assert detail.count("PrefT in") == 4
