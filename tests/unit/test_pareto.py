"""Dominated methods, against a plain loop over all pairs."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peft_atlas.analysis.pareto import dominated, dominators

# Few distinct values, so that ties in one or both coordinates are common.
POINTS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=12)


def by_hand(points):
    """Return, for each point, the places of those that beat it."""
    beaten_by = []
    for cost, gain in points:
        beaten_by.append([i for i, (c, g) in enumerate(points) if c <= cost and g >= gain and (c < cost or g > gain)])
    return beaten_by


@given(POINTS)
def test_equals_a_loop_over_all_pairs(points):
    cost, gain = [p[0] for p in points], [p[1] for p in points]
    expected = by_hand(points)
    assert dominated(cost, gain).tolist() == [bool(places) for places in expected]
    assert [dominators(cost, gain, i).tolist() for i in range(len(points))] == expected


@given(POINTS.filter(len))
def test_some_method_is_never_dominated_and_the_front_rises(points):
    beaten = dominated(*zip(*points, strict=True))
    front = sorted({point for point, lost in zip(points, beaten, strict=True) if not lost})
    assert front
    assert all(left[0] < right[0] and left[1] < right[1] for left, right in pairwise(front))


@given(POINTS, st.randoms())
def test_order_and_scale_do_not_matter(points, random):
    shuffled = list(points)
    random.shuffle(shuffled)
    first = dict(zip(points, dominated([p[0] for p in points], [p[1] for p in points]), strict=True))
    second = dominated([np.exp(p[0]) for p in shuffled], [10 * p[1] - 3 for p in shuffled])
    assert all(first[point] == lost for point, lost in zip(shuffled, second, strict=True))


def test_equal_methods_stay_on_the_front_together():
    assert dominated([1, 1, 2], [5, 5, 5]).tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("params", "accuracy"), [([1, np.nan], [1, 2]), ([1, 2], [np.inf, 2]), ([1], [1, 2]), ([[1]], [[1]])]
)
def test_what_cannot_be_compared_is_refused(params, accuracy):
    with pytest.raises(ValueError, match="allowed"):
        dominated(params, accuracy)
