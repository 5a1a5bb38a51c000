"""Percentages without counts, recounted with plain loops on the shipped tables, and on a table with both."""

import pandas as pd

from peft_atlas.studies.literature.percentages_without_counts import percentages_without_counts


def test_pairs_without_a_count_are_those_that_a_plain_loop_finds(tables):
    pairs, counted = set(), set()
    for row in tables["published"].to_dict("records"):
        if row["seen"] in ("recomputed", "memory") or pd.isna(row["value"]):
            continue
        key = (row["source"], row["base_model"], row["method"])
        if row["metric"] == "trainable_params_percent":
            pairs.add(key)
        if row["metric"] == "trainable_params":
            counted.add(key)
    found = percentages_without_counts(tables["published"])
    assert (found.effect.size, found.effect.n) == (len(pairs - counted), len(pairs))
    assert found.verdict == "fail"
    assert all(source in found.detail for source, _, _ in pairs - counted)


def test_a_table_that_prints_both_passes(tables):
    percents = tables["published"].query("metric == 'trainable_params_percent' and source == 'reft_v3'")
    both = pd.concat([percents, percents.assign(metric="trainable_params", value=1.0)], ignore_index=True)
    assert percentages_without_counts(both).verdict == "pass"
