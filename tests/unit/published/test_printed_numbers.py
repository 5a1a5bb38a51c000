"""Exact arithmetic on printed numbers: what can print as what."""

from decimal import ROUND_HALF_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peft_atlas.studies.literature.printed_numbers import agree, agree_unpadded, place, rounds_to, unpadded


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
