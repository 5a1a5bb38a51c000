"""Verdicts on the seed notebook's statements: each follows its rule, and the numbers."""

import re
from itertools import combinations, pairwise, permutations

import pandas as pd
import pytest
from literature_findings import find, find_all, with_cell

from peft_atlas.analysis.finding import Effect, Finding, as_rows
from peft_atlas.studies.literature.claims import claims
from peft_atlas.studies.literature.judging import (
    above_zero,
    below_one,
    not_inferior,
    only_perfect_order_rejects,
    trend,
)
from peft_atlas.studies.literature.published_tables import PublishedTables
from peft_atlas.studies.literature.scores import scores
from peft_atlas.tables.schemas import CONTRACTS

# Left out of `make fast-test`: together these files take most of the time of the unit tests.
pytestmark = pytest.mark.slow


def answer(name, size, low, high, study="notebook"):
    effect = Effect(size, "x", low, high, "CI", 9)
    return Finding("answer", name, study, "?", "here", "measured", "runs", "so", effect=effect)


def judged(tables, *answers, margin=None):
    """Return the claims alone, by id, with answers of other studies; ``margin`` is in percentage points."""
    names = ("published", "parameters", "memory", "application_verdicts", "references", "predictions")
    known = PublishedTables(**{name: tables[name] for name in names}, conflicts=pd.DataFrame())
    return {each.id: each for each in claims(known, {one.id: one for one in answers}, margin)}


def test_every_claim_is_judged_and_says_on_what(found):
    claims = [finding for finding in found.values() if finding.kind == "claim"]
    assert {claim.verdict for claim in claims} == {"supported", "contradicted", "undecided", "not_testable"}
    for claim in claims:
        assert claim.detail
        assert claim.effect.n is not None
        assert claim.effect.size is None or claim.effect.unit
        assert claim.evidence.split("; ")[-1].split(":")[0] in CONTRACTS
    takeaways = {re.findall(r"takeaway \d", claim.source)[0] for claim in claims if "takeaway" in claim.source}
    assert takeaways == {f"takeaway {number}" for number in range(1, 7)}


def test_no_published_number_gets_an_interval(found):
    assert all(each.effect is None or each.effect.low is each.effect.high is None for each in found.values())


def test_what_was_not_seen_is_not_judged(found):
    wording = [finding for name, finding in found.items() if name.startswith("wording_")]
    assert len(wording) == 4
    assert all(finding.verdict == "undecided" and finding.evidence == "references: number=1" for finding in wording)


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(0.1, 0.9, "supported"), (-0.9, -0.1, "contradicted"), (-0.1, 0.9, "undecided")]
)
def test_a_measured_claim_follows_its_interval(tables, low, high, verdict):
    trend = answer("notebook_rank_trend", (low + high) / 2, low, high)
    claim = judged(tables, trend)["higher_rank_measured"]
    assert (claim.verdict, claim.effect.low, claim.effect.high, claim.effect.n) == (verdict, low, high, 9)


def test_without_an_interval_a_measured_claim_is_open(tables, found):
    claim = judged(tables, answer("notebook_rank_trend", 1.0, None, None))["higher_rank_measured"]
    assert claim.verdict == "undecided"
    assert found["higher_rank_measured"].verdict == "undecided"


def test_a_rank_sweep_that_rises_is_supported(tables):
    published, _ = with_cell(tables, "99.0", table="rank_sweep", task="Avg", method="LoRA", rank=64)
    after = find(tables, published=published)
    assert after["higher_rank_lora_llama_7b"].verdict == after["rank_trend_lora_llama_7b"].verdict == "supported"
    assert after["higher_rank_dora_llama_7b"].verdict == "contradicted"


def test_a_trend_over_ranks_is_judged_by_its_exact_test(tables, found):
    """Over the 120 orders of five accuracies, as many as 28 have a tau of 0.6 or more on either side."""
    sweep = [39.5, 40.7, 70.9, 76.3, 65.8]
    taus = [sum((b > a) - (b < a) for a, b in combinations(order, 2)) / 10 for order in permutations(sweep)]
    claim = found["rank_trend_lora_llama_7b"]
    assert claim.effect.size == pytest.approx(sum((b > a) - (b < a) for a, b in combinations(sweep, 2)) / 10)
    p = sum(abs(tau) >= claim.effect.size - 1e-9 for tau in taus) / len(taus)
    assert f"p = {p:.2g}" in claim.detail
    assert (claim.verdict, p > 0.05) == ("not_testable", True)
    assert found["rank_trend_dora_llama_7b"].verdict == "not_testable"


def test_the_balance_follows_the_front(tables, found):
    assert found["balance_commonsense_reasoning"].verdict == "contradicted"
    assert found["balance_arithmetic_reasoning"].verdict == "supported"
    published = tables["published"].copy()
    lora = (published["source"] == "reft_v3") & (published["method"] == "LoRA") & (published["task"] == "Avg")
    published.loc[lora, "value"] = 99.0
    after = find(tables, published=published)
    assert after["balance_commonsense_reasoning"].verdict == "supported"
    assert after["among_the_best_commonsense_reasoning"].verdict == "supported"


def test_the_best_method_follows_the_numbers(tables):
    published = tables["published"].copy()
    chosen = (published["source"] == "reft_v3") & (published["task"] == "Avg") & (published["method"] == "PrefT")
    published.loc[chosen, "value"] = 100.0
    assert find(tables, published=published)["published_best"].detail.count("PrefT on") == 4


def test_scores_hold_every_method_once_and_no_other_schedule(tables):
    table = scores(tables["published"])
    assert not table.duplicated(["base_model", "family", "method"]).any()
    assert not table["method"].str.contains("epochs").any()
    assert table.groupby(["family", "base_model"]).size().tolist() == [6, 6, 8, 8]
    for _, group in table.groupby(["family", "base_model"]):
        front = group[~group["dominated"]].sort_values("percent")
        assert all(left < right for left, right in pairwise(front["accuracy"]))


# --- rules ---


@pytest.mark.parametrize(
    ("low", "high", "margin", "verdict"),
    [
        (-0.3, 0.8, 1.0, "supported"),  # not shown to be better, but no loss above the margin
        (-1.2, 0.8, 1.0, "undecided"),
        (-3.0, -1.1, 1.0, "contradicted"),
        (-0.9, -0.1, 1.0, "supported"),
        (-0.3, 0.8, None, "undecided"),
        (None, None, 1.0, "undecided"),
    ],
)
def test_reaching_another_result_is_non_inferiority(low, high, margin, verdict):
    assert not_inferior(Effect(0.0, "points", low, high), margin) == verdict


def test_the_notebooks_gain_is_judged_by_the_margin_of_its_contrast(tables):
    gain = answer("notebook_gain", 0.2, -0.3, 0.8)
    assert find(tables, so_far=[gain])["no_worse_than_full_notebook"].verdict == "supported"
    assert find(tables, so_far=[gain], margin=0.002)["no_worse_than_full_notebook"].verdict == "undecided"
    assert find(tables, so_far=[gain], margin=None)["no_worse_than_full_notebook"].verdict == "undecided"


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(0.56, 0.65, "supported"), (1.1, 1.3, "contradicted"), (0.9, 1.1, "undecided")]
)
def test_measured_time_decides_whether_training_is_faster(tables, low, high, verdict):
    cost = answer("encoder_cost", (low + high) / 2, low, high, "encoder")
    claim = find(tables, so_far=[cost])["faster_training"]
    assert (claim.verdict, claim.effect) == (verdict, cost.effect)
    assert below_one(cost.effect) == verdict


@pytest.mark.parametrize(
    ("here", "published", "verdict"),
    [
        ((0.5, 0.6), (0.3, 0.4), "supported"),
        ((1.1, 1.2), (1.3, 1.4), "contradicted"),
        ((0.5, 0.6), (1.1, 1.2), "undecided"),
    ],
)
def test_times_measured_here_and_published_must_agree(tables, here, published, verdict):
    cost = answer("encoder_cost", sum(here) / 2, *here, "encoder")
    time = answer("record_time", sum(published) / 2, *published, "record")
    pairs = answer("record_time_pairs", 3.0, None, None, "record")
    claim = judged(tables, time, pairs, cost)["faster_training"]
    assert (claim.verdict, claim.effect) == (verdict, cost.effect)
    assert all(f"id={name}" in claim.evidence for name in ("encoder_cost", "record_time", "record_time_pairs"))
    assert judged(tables, time)["faster_training"].effect == time.effect


@pytest.mark.parametrize(
    ("low", "high", "margin", "verdict"),
    [(-2.5, 0.1, 1.0, "undecided"), (-0.8, 0.4, 1.0, "supported"), (-3.0, -1.2, 1.0, "contradicted"),
     (-0.8, 0.4, None, "undecided")],
)  # fmt: skip
def test_lora_on_llama_is_comparable_within_the_margin_or_undecided(tables, low, high, margin, verdict):
    against = answer("record_against_full", (low + high) / 2, low, high, "record")
    claim = judged(tables, against, margin=margin)["comparable_llama"]
    assert claim.verdict == verdict
    assert ("What would decide it" in claim.detail) == (verdict == "undecided")


def test_the_wide_balance_fails_on_a_counterexample_in_another_modality(tables, found):
    assert found["balance_wide"].verdict == "undecided"
    for beaten, verdict in ((1.0, "contradicted"), (0.0, "undecided")):
        images = answer("record_images", beaten, None, None, "record")
        assert judged(tables, images)["balance_wide"].verdict == verdict


def test_modules_on_llama_are_judged_by_the_published_interval(tables, found):
    assert "selective_improves_llama" not in found
    for low, high, verdict in ((1.1, 4.2, "supported"), (-0.5, 2.0, "undecided"), (-3.0, -1.0, "contradicted")):
        modules = answer("record_modules", (low + high) / 2, low, high, "record")
        assert judged(tables, modules)["selective_improves_llama"].verdict == verdict


def test_an_undecided_claim_says_what_would_decide_it(found):
    # Whether training fits one GPU is a matter of memory, which the plan command answers.
    others = {"lora_fits_one_gpu", "below_one_percent", "rank_matters", "alpha_matters", "higher_rank_measured"}
    for finding in found.values():
        if finding.kind == "claim" and finding.verdict == "undecided" and finding.id not in others:
            assert "What would decide it: " in finding.detail or "not part of this run" in finding.detail, finding.id


def test_claims_of_other_sources_are_not_counted_as_the_notebooks(tables, found):
    other = Finding("claim", "record_x", "record", "s", "peft's method comparison", "contradicted", "runs", "d")
    assert find(tables, so_far=[other])["literature_holds"].effect.n == found["literature_holds"].effect.n


def test_without_a_measured_time_nothing_is_decided_and_the_reason_is_true(tables, found):
    claim = found["faster_training"]
    assert claim.verdict == "undecided"
    assert f"Of the {tables['published']['metric'].nunique()} metrics transcribed 0 are times" in claim.detail


def test_a_measured_choice_of_modules_decides_whether_it_improves(tables, found):
    assert found["selective_improves"].verdict == "undecided"
    # The answer gives LoRA on more modules less LoRA on fewer.
    for size, verdict in ((-1.2, "supported"), (1.2, "contradicted"), (0.1, "undecided")):
        modules = answer("encoder_modules", size, size - 0.8, size + 0.8, "encoder")
        assert judged(tables, modules)["selective_improves"].verdict == verdict


def test_an_answer_that_a_job_of_its_own_wrote_is_evidence(tables):
    cost = answer("encoder_cost", 0.6, 0.56, 0.65, "encoder")
    claim = find(tables, checks=as_rows([cost]))["faster_training"]
    assert (claim.verdict, claim.effect) == ("supported", cost.effect)


@pytest.mark.parametrize("name", ["outperforms_full_ppi", "outperforms_full_symmetry", "comparable_protein"])
def test_single_runs_decide_nothing_whatever_they_say(found, name):
    assert found[name].verdict == "undecided"
    assert "One run each, without an interval." in found[name].detail


def test_a_name_without_a_number_does_not_show_an_application(found):
    assert found["applied_speech_synthesis"].verdict == "undecided"
    assert found["applied_protein_models"].verdict == "supported"


def test_conditions_are_part_of_the_statement(found):
    full = found["full_needs_more_than_one_gpu"]
    assert "With fp32 AdamW states" in full.statement
    # 8 bytes for each of LLaMA-7B's 6,738,415,616 parameters.
    assert "53.9 GB on LLaMA-7B" in full.detail
    assert (found["lora_fits_one_gpu"].verdict, found["less_memory"].verdict) == ("undecided", "contradicted")
    assert "Without activations, which both need, it would be up to 7.6 times less" in found["less_memory"].detail


def test_kendalls_test_is_impossible_with_five_and_possible_with_six():
    # Exact: of n! orders one has no inversion and n - 1 have one; twice that for both directions.
    assert only_perfect_order_rejects(5, 0.05)
    assert not only_perfect_order_rejects(6, 0.05)
    assert trend(0.8, 0.0833, 5, 0.05) == "not_testable"
    assert trend(1.0, 0.0167, 5, 0.05) == "supported"
    assert trend(0.2, 0.7, 6, 0.05) == "undecided"


def test_one_count_of_claims_with_those_that_other_studies_judge(tables):
    elsewhere = Finding("claim", "a_claim", "adaptation", "s", "seed notebook", "contradicted", "runs", "d")
    found = find_all(tables, so_far=[elsewhere])
    claims = [finding for finding in found if finding.kind == "claim"]
    (holds,) = [finding for finding in found if finding.id == "literature_holds"]
    assert holds.effect.n == len(claims) + 1
    assert f"Of {len(claims) + 1} testable statements" in holds.detail
    assert holds.effect.size == sum(claim.verdict == "contradicted" for claim in claims) + 1


def test_an_effect_is_judged_by_its_interval():
    assert above_zero(Effect(1.0, "x", 0.1, 2.0)) == "supported"
    assert above_zero(Effect(1.0, "x", -0.1, 2.0)) == "undecided"
    assert above_zero(Effect(-1.0, "x", -2.0, -0.1)) == "contradicted"
    assert above_zero(None) == "undecided"
