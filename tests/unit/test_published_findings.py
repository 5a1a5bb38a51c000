"""What checking and judging the published tables finds, against independent counts and against faults put in."""

import csv
import re
import shutil
import subprocess
import sys
from decimal import ROUND_HALF_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import combinations, pairwise, permutations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from result_tables import read_results

from peft_atlas.accounting.memory import COLUMNS, memory_table
from peft_atlas.accounting.parameters import closed_form_table
from peft_atlas.analysis.evidence import rows_of, select, select_lines
from peft_atlas.analysis.finding import Finding, as_rows
from peft_atlas.errors import AtlasError
from peft_atlas.studies.literature import data as load
from peft_atlas.studies.literature.conflicts import conflicts
from peft_atlas.studies.literature.findings import published_findings
from peft_atlas.studies.literature.printed_numbers import agree, agree_unpadded, place, rounds_to, unpadded
from peft_atlas.studies.literature.recomputation import NOTHING, match_printed
from peft_atlas.studies.literature.scores import scores
from peft_atlas.tables.contract import read_table, write_table
from peft_atlas.tables.schemas import CONFLICTS, CONTRACTS, FINDINGS, MEMORY

HEADER = ",".join(load.CELL_COLUMNS)


def load_tables(folder):
    sources = load.load_sources(folder / load.SOURCES_FILE)
    closed = closed_form_table()
    return {
        "published": load.load_published(folder),
        # That both ways really agree is tested in test_accounting; here a copy stands for the second.
        "parameters": pd.concat([closed, closed.assign(way="attached")], ignore_index=True),
        "references": load.load_references(folder / load.REFERENCES_FILE, sources),
        "verdicts": load.load_application_verdicts(folder / load.VERDICTS_FILE, sources),
    }


@pytest.fixture(scope="module")
def tables(root):
    return load_tables(root / "data/published")


@pytest.fixture(scope="module")
def found(tables):
    return findings(tables)


def findings(tables, **changed):
    return {finding.id: finding for finding in published_findings(**(tables | changed))}


def checks(found):
    return {name: (finding.verdict, finding.effect) for name, finding in found.items() if finding.kind == "check"}


def changed_checks(before, after):
    left, right = checks(before), checks(after)
    return {name for name in left.keys() | right.keys() if left.get(name) != right.get(name)}


def with_cell(tables, text, **where):
    """Return the published table with one cell printed otherwise, and that cell's place."""
    published = tables["published"].copy()
    chosen = pd.Series(data=True, index=published.index)
    for column, value in where.items():
        chosen &= published[column] == value
    (index,) = published.index[chosen.fillna(value=False)]
    printed = load.parse_printed(text)
    published.loc[index, "printed"] = text
    for name, value in vars(printed).items():
        published.loc[index, name] = value
    return published, f"{published.loc[index, 'table']}.csv:{published.loc[index, 'line']}"


def answer(name, effect, low, high):
    return Finding("answer", name, "notebook", "?", "here", "measured", "runs", "so", effect, "x", low, high, "CI", 9)


# --- rounding ------------------------------------------------------------------------------------------------------


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
    assert rounds_to(printed, Decimal(mean), 1) is fits


@given(st.decimals(0, 100, places=4), st.integers(0, 3))
def test_what_python_rounds_to_always_fits(mean, places):
    assert rounds_to(str(round(mean, places)), mean, 1)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=9))
def test_every_way_to_round_a_mean_fits_and_its_far_neighbours_do_not(tenths):
    cells = [Decimal(n) / 10 for n in tenths]
    exact = Fraction(sum(tenths), 10 * len(tenths))
    for way in (ROUND_HALF_UP, ROUND_HALF_DOWN, ROUND_HALF_EVEN):
        printed = (sum(cells) / len(cells)).quantize(Decimal("0.1"), way)
        for step in (-1, 0, 1):
            text = str(printed + step * Decimal("0.1"))
            assert rounds_to(text, sum(cells), len(cells)) is (abs(Fraction(text) - exact) <= Fraction(1, 20))


def test_trailing_zeros_go_one_by_one():
    assert list(unpadded("0.990")) == ["0.990", "0.99"]
    assert list(unpadded("1.00")) == ["1.00", "1.0", "1"]
    assert list(unpadded("100")) == ["100"]


@pytest.mark.parametrize(
    ("left", "right", "plain", "padded"),
    [
        ("0.83", "0.826", True, True),
        ("0.830", "0.826", False, True),
        ("84.9", "84.8", False, False),
        ("0.110", "0.039", False, False),
        ("0.300", "0.031", False, False),
        ("83", "83.0", True, True),
        ("0.990", "1.953", False, False),
    ],
)
def test_which_numbers_rounding_and_padding_explain(left, right, plain, padded):
    assert (agree(left, right), agree_unpadded(left, right)) == (plain, padded)
    assert (agree(right, left), agree_unpadded(right, left)) == (plain, padded)


def test_places_name_file_and_lines():
    assert place("commonsense", [64]) == "commonsense.csv:64"
    assert place("t", [7, 4, 5, 6, 9]) == "t.csv:4-7, 9"


# --- the checks against independent counts -------------------------------------------------------------------------


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
    assert sum(finding.n for finding in mine) == counted
    assert sum(finding.effect for finding in mine) == len(wrong)


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
    assert found["published_cost"].effect == pytest.approx(0.8256, abs=5e-5)
    assert "56,098,816" in found["published_cost"].detail
    assert "2404.03592" in found["reference_3"].detail
    assert found["domains_without_source"].effect == 4
    assert "0.039" in found["percentage_preft_llama_7b"].detail
    assert "1.586" in found["ambiguous_percentage_adapters"].detail
    assert "pyreft issue 67" in found["two_percentages_preft_llama_13b_pyreft_plot_2024_04"].detail
    assert "applications.csv:4-6" in found["repeated_value_seed_notebook"].detail
    assert found["check_bounds_seed_notebook"].verdict == "mended"
    assert found["quotation_seed_notebook"].verdict == "pass"


def test_our_own_checks_pass(found):
    ours = [finding for finding in found.values() if finding.kind == "check" and finding.source == "PEFT Atlas"]
    assert ours
    assert {finding.verdict for finding in ours} == {"pass"}


# --- faults put in -------------------------------------------------------------------------------------------------


def test_a_wrong_average_printed_once_fails_exactly_its_check(tables, found):
    where = {"table": "rank_sweep", "task": "Avg", "method": "LoRA", "rank": 4}
    published, at = with_cell(tables, "39.9", **where)
    after = findings(tables, published=published)
    assert changed_checks(found, after) == {"row_mean_rank_sweep_dora_readme"}
    assert f"39.9 printed, the row's mean is 39.4875 ({at})" in after["row_mean_rank_sweep_dora_readme"].detail


def test_a_wrong_average_printed_elsewhere_too_fails_the_comparison_as_well(tables, found):
    where = {"table": "arithmetic", "source": "reft_v3", "base_model": "LLaMA-7B", "method": "LoReFT", "task": "Avg"}
    published, at = with_cell(tables, "62.4", **where)
    after = findings(tables, published=published)
    names = {"row_mean_arithmetic_reft_v3", "same_cell_arithmetic_reasoning_accuracy_percent"}
    assert changed_checks(found, after) == names
    assert all(after[name].verdict == "fail" for name in names)
    assert all(at in after[name].detail for name in names)


def test_both_neighbours_of_a_tie_pass(tables, found):
    where = {"table": "rank_sweep", "task": "Avg", "method": "LoRA", "rank": 32}
    published, _ = with_cell(tables, "76.2", **where)
    assert changed_checks(found, findings(tables, published=published)) == set()


def test_a_wrong_percentage_fails_its_source_by_name(tables, found):
    where = {"table": "parameters", "source": "reft_v3", "base_model": "LLaMA-13B", "method": "LoRA"}
    published, at = with_cell(tables, "0.607", task="Arithmetic Reasoning", **where)
    after = findings(tables, published=published)
    assert changed_checks(found, after) == {
        "recomputed_percentage_reft_v3",
        "same_cell_arithmetic_reasoning_trainable_params_percent",
        "same_percentage_reft_v3",
    }
    assert at in after["recomputed_percentage_reft_v3"].detail


def test_a_wrong_count_fails_by_one_parameter(tables, found):
    published, at = with_cell(tables, "2097409", source="pyreft_issue_141")
    after = findings(tables, published=published)
    assert changed_checks(found, after) == {"recomputed_count_pyreft_issue_141"}
    assert at in after["recomputed_count_pyreft_issue_141"].detail


def test_a_number_within_its_bound_passes(tables, found):
    published, _ = with_cell(tables, "0.9", source="seed_notebook", task="Code Review")
    assert "bounds_seed_notebook" in changed_checks(found, findings(tables, published=published))
    assert findings(tables, published=published)["bounds_seed_notebook"].verdict == "pass"


def test_a_quotation_that_no_source_prints_fails(tables):
    published, at = with_cell(
        tables, "80.3", source="seed_notebook", method="LoReFT", base_model="LLaMA-7B", task="Avg"
    )
    check = findings(tables, published=published)["quotation_seed_notebook"]
    assert (check.verdict, check.effect) == ("fail", 1)
    assert at in check.detail


def test_counts_that_differ_fail(tables):
    parameters = tables["parameters"].copy()
    parameters.loc[parameters.index[0], "trainable_params"] += 1
    assert findings(tables, parameters=parameters)["counted_two_ways"].verdict == "fail"


def test_a_right_reference_is_no_erratum(tables):
    references = tables["references"].assign(verdict="correct")
    after = findings(tables, references=references)
    assert after["references"].verdict == "pass"
    assert "reference_3" not in after


def test_a_new_table_is_checked_with_no_change_of_code(root, tmp_path, found):
    folder = tmp_path / "published"
    shutil.copytree(root / "data/published", folder)
    cell = "LLaMA-7B,LoRA,{},accuracy_percent,{},percent,dora_v6,Table 9,verbatim,"
    rows = [cell.format("one", "10.0"), cell.format("two", "20.0"), cell.format("Avg", "15.4")]
    (folder / "added.csv").write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    after = findings(load_tables(folder))
    assert changed_checks(found, after) == {"row_mean_added_dora_v6"}
    assert "added.csv:4" in after["row_mean_added_dora_v6"].detail


def test_a_row_that_lacks_a_task_is_named_and_not_judged(tables):
    published = tables["published"]
    row = (published["table"] == "rank_sweep") & (published["rank"] == 4) & (published["method"] == "LoRA")
    gone = published[~(row & (published["task"] == "BoolQ")).fillna(value=False)]
    check = findings(tables, published=gone)["row_mean_rank_sweep_dora_readme"]
    assert check.n == 9
    assert "lacks BoolQ and is not checked" in check.detail


# --- claims --------------------------------------------------------------------------------------------------------


def test_every_claim_is_judged_and_says_on_what(found):
    claims = [finding for finding in found.values() if finding.kind == "claim"]
    assert {claim.verdict for claim in claims} == {"supported", "contradicted", "undecided"}
    for claim in claims:
        assert claim.detail
        assert claim.n is not None
        assert claim.effect is None or claim.unit
        assert claim.evidence.split(":")[0] in CONTRACTS
    takeaways = {re.findall(r"takeaway \d", claim.source)[0] for claim in claims if "takeaway" in claim.source}
    assert takeaways == {f"takeaway {number}" for number in range(1, 7)}


def test_no_published_number_gets_an_interval(found):
    assert all(finding.low is None and finding.high is None for finding in found.values())


def test_what_was_not_seen_is_not_judged(found):
    wording = [finding for name, finding in found.items() if name.startswith("wording_")]
    assert len(wording) == 4
    assert all(finding.verdict == "undecided" and finding.evidence == "references: number=1" for finding in wording)


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(0.1, 0.9, "supported"), (-0.9, -0.1, "contradicted"), (-0.1, 0.9, "undecided")]
)
def test_a_measured_claim_follows_its_interval(tables, low, high, verdict):
    trend = answer("notebook_rank_trend", (low + high) / 2, low, high)
    claim = findings(tables, so_far=[trend])["higher_rank_measured"]
    assert (claim.verdict, claim.low, claim.high, claim.n) == (verdict, low, high, 9)


def test_without_an_interval_a_measured_claim_is_open(tables):
    claim = findings(tables, so_far=[answer("notebook_rank_trend", 1.0, None, None)])["higher_rank_measured"]
    assert claim.verdict == "undecided"
    assert findings(tables)["higher_rank_measured"].verdict == "undecided"


def test_a_rank_sweep_that_rises_is_supported(tables):
    published, _ = with_cell(tables, "99.0", table="rank_sweep", task="Avg", method="LoRA", rank=64)
    after = findings(tables, published=published)
    assert after["higher_rank_lora_llama_7b"].verdict == after["rank_trend_lora_llama_7b"].verdict == "supported"
    assert after["higher_rank_dora_llama_7b"].verdict == "contradicted"


def test_a_trend_over_ranks_is_judged_by_its_exact_test(tables, found):
    """Over the 120 orders of five accuracies, as many as 28 have a tau of 0.6 or more on either side."""
    sweep = [39.5, 40.7, 70.9, 76.3, 65.8]
    taus = [sum((b > a) - (b < a) for a, b in combinations(order, 2)) / 10 for order in permutations(sweep)]
    claim = found["rank_trend_lora_llama_7b"]
    assert claim.effect == pytest.approx(sum((b > a) - (b < a) for a, b in combinations(sweep, 2)) / 10)
    p = sum(abs(tau) >= claim.effect - 1e-9 for tau in taus) / len(taus)
    assert f"p = {p:.2g}" in claim.detail
    assert (claim.verdict, p > 0.05) == ("undecided", True)
    assert found["rank_trend_dora_llama_7b"].verdict == "undecided"


def test_the_balance_follows_the_front(tables, found):
    assert found["balance_commonsense_reasoning"].verdict == "contradicted"
    assert found["balance_arithmetic_reasoning"].verdict == "supported"
    published = tables["published"].copy()
    lora = (published["source"] == "reft_v3") & (published["method"] == "LoRA") & (published["task"] == "Avg")
    published.loc[lora, "value"] = 99.0
    after = findings(tables, published=published)
    assert after["balance_commonsense_reasoning"].verdict == "supported"
    assert after["among_the_best_commonsense_reasoning"].verdict == "supported"


def test_the_best_method_follows_the_numbers(tables):
    published = tables["published"].copy()
    chosen = (published["source"] == "reft_v3") & (published["task"] == "Avg") & (published["method"] == "PrefT")
    published.loc[chosen, "value"] = 100.0
    assert findings(tables, published=published)["published_best"].detail.count("PrefT on") == 4


def test_scores_hold_every_method_once_and_no_other_schedule(tables):
    table = scores(tables["published"])
    assert not table.duplicated(["base_model", "family", "method"]).any()
    assert not table["method"].str.contains("epochs").any()
    assert table.groupby(["family", "base_model"]).size().tolist() == [6, 6, 8, 8]
    for _, group in table.groupby(["family", "base_model"]):
        front = group[~group["dominated"]].sort_values("percent")
        assert all(left < right for left, right in pairwise(front["accuracy"]))


# --- evidence ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def all_tables(tables, found):
    """Every table that evidence on the literature can name."""
    renamed = {"application_verdicts": tables["verdicts"], "findings": as_rows(found.values())}
    worked_out = {"memory": memory_table(), "conflicts": conflicts(tables["published"], tables["parameters"])}
    return {name: tables[name] for name in ("published", "parameters", "references")} | renamed | worked_out


def test_every_evidence_selects_rows(found, all_tables):
    for finding in found.values():
        assert all(len(rows) for rows in rows_of(finding.evidence, all_tables)), finding.id
    for evidence, cells in all_tables["conflicts"][["evidence", "n_cells"]].itertuples(index=False):
        assert sum(map(len, rows_of(evidence, all_tables))) == cells


def test_evidence_selects_the_rows_that_a_verdict_was_counted_on(found, all_tables):
    def rows(name):
        return rows_of(found[name].evidence, all_tables)

    assert set(rows("percentage_fits_symmetry")[0]["printed"]) == {"~3"}
    assert set(rows("percentage_fits_symmetry")[1]["printed"]) == {"0.81"}
    assert rows("higher_rank_lora_llama_7b")[0]["rank"].tolist() == [4, 8, 16, 32, 64]
    assert len(rows("applied_commonsense_reasoning")[0]) == found["applied_commonsense_reasoning"].n
    averages, percents = rows("balance_arithmetic_reasoning")
    assert len(averages) == len(percents) == found["balance_arithmetic_reasoning"].n
    assert set(averages["table"]) == {"arithmetic"}


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        ("publish: line=2", "no table 'publish'; allowed: ['application_verdicts'"),
        ("published: lines=2", "published has no column 'lines'; allowed: ['table', 'line'"),
        ("published: method=LoRA, line=1", "selects no row of published"),
        ("references; published: source=nobody", "'published: source=nobody': selects no row"),
    ],
)
def test_evidence_that_selects_nothing_is_an_error(all_tables, evidence, message):
    with pytest.raises(AtlasError) as caught:
        rows_of(evidence, all_tables)
    assert message in str(caught.value)


@pytest.mark.slow
def test_every_finding_of_a_run_rests_on_rows(smoked):
    names = [name for name in CONTRACTS if (smoked.folder / "results" / f"{name}.parquet").is_file()]
    results = read_results(smoked.folder / "results", names)
    for evidence in results["findings"]["evidence"]:
        assert all(len(rows) for rows in rows_of(evidence, results))


def test_a_selection_of_rows_selects_them_again(all_tables):
    published = all_tables["published"]
    some = published.iloc[[3, 200, 201, 700]]
    again = pd.concat(rows_of(select_lines(some), all_tables))
    assert sorted(again.index) == sorted(some.index)
    assert rows_of("methods/lora.py: every rank", all_tables) == []
    # A value that itself holds the word that joins values.
    odd = {"t": pd.DataFrame({"task": ["Read and write", "Read"], "rank": [8.0, None]})}
    assert len(rows_of(select("t", odd["t"].head(1), ("task", "rank")), odd)[0]) == 1


# --- contracts and imports -----------------------------------------------------------------------------------------


def test_findings_conflicts_and_memory_keep_to_their_contracts(tables, found, tmp_path):
    memory, conflicting = memory_table(), conflicts(tables["published"], tables["parameters"])
    for contract, rows in ((FINDINGS, as_rows(found.values())), (CONFLICTS, conflicting), (MEMORY, memory)):
        write_table(contract, rows, tmp_path / f"{contract.name}.parquet")
        assert len(read_table(contract, tmp_path / f"{contract.name}.parquet")) == len(rows)
    assert tuple(column.name for column in MEMORY.columns) == COLUMNS
    assert len(published_findings(**tables)) == len(found)


def test_tables_given_and_worked_out_tell_the_same(tables, found):
    given = {"memory": memory_table(), "conflicting": conflicts(tables["published"], tables["parameters"])}
    assert list(findings(tables, **given).values()) == list(found.values())


def test_without_conflicts_the_table_is_empty_and_keeps_its_columns(tables, tmp_path):
    published = tables["published"]
    one = published[(published["table"] == "arithmetic") & (published["source"] == "reft_v3")]
    write_table(CONFLICTS, conflicts(one, tables["parameters"]), tmp_path / "conflicts.parquet")
    assert read_table(CONFLICTS, tmp_path / "conflicts.parquet").empty


def test_judging_the_literature_imports_no_torch(root):
    code = "import sys, peft_atlas.studies.literature.findings; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=root / "src", text=True, capture_output=True, check=True)
    assert done.stdout.strip() == "False"
