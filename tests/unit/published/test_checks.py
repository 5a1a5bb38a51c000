"""What checking the published tables finds, against independent counts and against faults put in."""

import csv
import re
import shutil
from fractions import Fraction

import pytest
from literature_findings import HEADER, find, load_tables, with_cell

from peft_atlas.studies.literature.conflicts import conflicts
from peft_atlas.studies.literature.recomputation import NOTHING, match_printed

# Left out of `make fast-test`: together these files take most of the time of the unit tests.
pytestmark = pytest.mark.slow


def checks(found):
    return {name: (finding.verdict, finding.effect) for name, finding in found.items() if finding.kind == "check"}


def changed_checks(before, after):
    left, right = checks(before), checks(after)
    return {name for name in left.keys() | right.keys() if left.get(name) != right.get(name)}


def read_csv(root, name):
    """Return line and row of a file of the tables, read without the library."""
    with (root / "data/published" / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
        return list(enumerate(csv.DictReader(stream), start=2))


@pytest.mark.parametrize("name", ["commonsense", "arithmetic", "rank_sweep"])
def test_failing_averages_are_those_that_fractions_find(root, found, name):
    wrong, rows = set(), {}
    for line, row in read_csv(root, name):
        key = tuple(row.get(column, "") for column in ("source", "base_model", "method", "rank"))
        rows.setdefault(key, {})[row["task"]] = (line, row["value"])
    counted = 0
    for cells in rows.values():
        line, printed = cells.pop("Avg")
        if cells:
            counted += 1
            mean = sum(Fraction(text) for _, text in cells.values()) / len(cells)
            if abs(mean - Fraction(printed)) > Fraction(1, 20):
                wrong.add(f"{name}.csv:{line}")
    mine = [finding for key, finding in found.items() if key.startswith(f"row_mean_{name}_")]
    named = {text for finding in mine for text in re.findall(r"\w+\.csv:\d+", finding.detail)}
    assert named == wrong
    assert sum(finding.effect.n for finding in mine) == counted
    assert sum(finding.effect.size for finding in mine) == len(wrong)


def test_cells_in_conflict_are_those_that_a_plain_loop_finds(root, tables):
    cells = {}
    for name in ("commonsense", "arithmetic", "rank_sweep", "seed_notebook"):
        for _, row in read_csv(root, name):
            if row["metric"] == "accuracy_percent":
                tasks = "arithmetic" if name == "arithmetic" else "commonsense"
                task = f"{tasks} {row['task']}" if row["task"] == "Avg" else row["task"]
                key = (row["base_model"], row["method"], task, row.get("rank", ""))
                cells.setdefault(key, set()).add(float(row["value"]))
    expected = sum(len(values) > 1 for values in cells.values())
    table = conflicts(tables["published"], tables["parameters"])
    assert (table["metric"] == "accuracy_percent").sum() == expected == 21


def test_the_known_conflicts_are_there_with_their_standing(tables):
    table = conflicts(tables["published"], tables["parameters"]).set_index(["metric", "base_model", "method", "task"])
    average = "Commonsense Reasoning: Avg"
    expected = {
        ("accuracy_percent", "LLaMA-7B", "LoRA", average): (74.7, 76.3, "nothing", "open"),
        ("accuracy_percent", "LLaMA-7B", "DoRA", average): (78.1, 78.4, "nothing", "open"),
        ("accuracy_percent", "LLaMA-7B", "AdapterP", average): (72.2, 72.3, "order of rounding", "explained"),
        ("accuracy_percent", "LLaMA-13B", "AdapterP", average): (81.4, 81.5, "order of rounding", "explained"),
        ("accuracy_percent", "LLaMA-13B", "AdapterP", "PIQA"): (84.8, 84.9, "nothing", "open"),
        ("accuracy_percent", "LLaMA-7B", "DoRA", "WinoGrande"): (80.8, 81.0, "nothing", "open"),
        ("trainable_params_percent", "LLaMA-7B", "PrefT", "Commonsense Reasoning"): (0.039, 0.11, "nothing", "settled"),
        ("trainable_params_percent", "LLaMA-7B", "LoRA", "Commonsense Reasoning"): (
            *(0.826, 0.83, "padding zeros", "explained"),
        ),
        ("trainable_params_percent", "LLaMA-7B", "AdapterS", "Arithmetic Reasoning"): (0.99, 1.953, "nothing", "open"),
        ("trainable_params_percent", "LLaMA-13B", "PrefT", "all"): (0.03, 0.3, "nothing", "settled"),
    }
    for key, (low, high, cause, verdict) in expected.items():
        row = table.loc[key]
        assert (row["lowest"], row["highest"], row["explained_by"], row["verdict"]) == (low, high, cause, verdict), key


def test_percentages_that_fit_nothing_are_the_three_known_errors(tables):
    matched = match_printed(tables["published"], tables["parameters"])
    lost = matched[matched["fit"] == NOTHING]
    assert set(lost[["base_model", "method", "printed"]].itertuples(index=False, name=None)) == {
        ("LLaMA-7B", "PrefT", "0.11"),
        ("LLaMA-7B", "PrefT", "0.110"),
        ("LLaMA-13B", "PrefT", "0.300"),
    }
    lora = matched[(matched["method"] == "LoRA") & (matched["base_model"] == "LLaMA-13B")]
    assert set(lora["trainable_params"]) == {87_818_240}


def test_the_facts_are_found(found):
    assert found["published_cost"].effect.size == pytest.approx(0.8256, abs=5e-5)
    assert "56,098,816" in found["published_cost"].detail
    assert "2404.03592" in found["reference_3"].detail
    assert found["domains_without_source"].effect.size == 4
    assert "0.039" in found["percentage_preft_llama_7b"].detail
    assert "1.586" in found["ambiguous_percentage_adapters"].detail
    assert "pyreft issue 67" in found["two_percentages_preft_llama_13b_pyreft_plot_2024_04"].detail
    assert "applications.csv:4-6" in found["repeated_value_seed_notebook"].detail
    assert found["check_bounds_seed_notebook"].verdict == "fixed"
    assert found["quotation_seed_notebook"].verdict == "pass"


def test_our_own_checks_pass(found):
    ours = [finding for finding in found.values() if finding.kind == "check" and finding.source == "PEFT Atlas"]
    assert ours
    assert {finding.verdict for finding in ours} == {"pass"}


# --- faults put in ---


def test_a_wrong_average_printed_once_fails_exactly_its_check(tables, found):
    where = {"table": "rank_sweep", "task": "Avg", "method": "LoRA", "rank": 4}
    published, at = with_cell(tables, "39.9", **where)
    after = find(tables, published=published)
    assert changed_checks(found, after) == {"row_mean_rank_sweep_dora_readme"}
    assert f"39.9 printed, the row's mean is 39.4875 ({at})" in after["row_mean_rank_sweep_dora_readme"].detail


def test_a_wrong_average_printed_elsewhere_too_fails_the_comparison_as_well(tables, found):
    where = {"table": "arithmetic", "source": "reft_v3", "base_model": "LLaMA-7B", "method": "LoReFT", "task": "Avg"}
    published, at = with_cell(tables, "62.4", **where)
    after = find(tables, published=published)
    names = {"row_mean_arithmetic_reft_v3", "same_cell_arithmetic_reasoning_accuracy_percent"}
    assert changed_checks(found, after) == names
    assert all(after[name].verdict == "fail" for name in names)
    assert all(at in after[name].detail for name in names)


def test_both_neighbours_of_a_tie_pass(tables, found):
    where = {"table": "rank_sweep", "task": "Avg", "method": "LoRA", "rank": 32}
    published, _ = with_cell(tables, "76.2", **where)
    assert changed_checks(found, find(tables, published=published)) == set()


def test_a_wrong_percentage_fails_its_source_by_name(tables, found):
    where = {"table": "parameters", "source": "reft_v3", "base_model": "LLaMA-13B", "method": "LoRA"}
    published, at = with_cell(tables, "0.607", task="Arithmetic Reasoning", **where)
    after = find(tables, published=published)
    assert changed_checks(found, after) == {
        "recomputed_percentage_reft_v3",
        "same_cell_arithmetic_reasoning_trainable_params_percent",
        "same_percentage_reft_v3",
    }
    assert at in after["recomputed_percentage_reft_v3"].detail


def test_a_wrong_count_fails_by_one_parameter(tables, found):
    published, at = with_cell(tables, "2097409", source="pyreft_issue_141")
    after = find(tables, published=published)
    assert changed_checks(found, after) == {"recomputed_count_pyreft_issue_141"}
    assert at in after["recomputed_count_pyreft_issue_141"].detail


def test_a_number_within_its_bound_passes(tables, found):
    published, _ = with_cell(tables, "0.9", source="seed_notebook", task="Code Review")
    after = find(tables, published=published)
    assert "bounds_seed_notebook" in changed_checks(found, after)
    assert after["bounds_seed_notebook"].verdict == "pass"


def test_a_quotation_that_no_source_prints_fails(tables):
    published, at = with_cell(
        tables, "80.3", source="seed_notebook", method="LoReFT", base_model="LLaMA-7B", task="Avg"
    )
    check = find(tables, published=published)["quotation_seed_notebook"]
    assert (check.verdict, check.effect.size) == ("fail", 1)
    assert at in check.detail


def test_counts_that_differ_fail(tables):
    parameters = tables["parameters"].copy()
    parameters.loc[parameters.index[0], "trainable_params"] += 1
    assert find(tables, parameters=parameters)["counted_two_ways"].verdict == "fail"


def test_a_right_reference_is_no_erratum(tables):
    references = tables["references"].assign(verdict="correct")
    after = find(tables, references=references)
    assert after["references"].verdict == "pass"
    assert "reference_3" not in after


def test_a_new_table_is_checked_with_no_change_of_code(root, tmp_path, found):
    folder = tmp_path / "published"
    shutil.copytree(root / "data/published", folder)
    cell = "LLaMA-7B,LoRA,{},accuracy_percent,{},percent,dora_v6,Table 9,verbatim,"
    rows = [cell.format("one", "10.0"), cell.format("two", "20.0"), cell.format("Avg", "15.4")]
    (folder / "added.csv").write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    after = find(load_tables(folder))
    assert changed_checks(found, after) == {"row_mean_added_dora_v6"}
    assert "added.csv:4" in after["row_mean_added_dora_v6"].detail


def test_a_row_that_lacks_a_task_is_named_and_not_judged(tables):
    published = tables["published"]
    row = (published["table"] == "rank_sweep") & (published["rank"] == 4) & (published["method"] == "LoRA")
    gone = published[~(row & (published["task"] == "BoolQ")).fillna(value=False)]
    check = find(tables, published=gone)["row_mean_rank_sweep_dora_readme"]
    assert check.effect.n == 9
    assert "lacks BoolQ and is not checked" in check.detail
