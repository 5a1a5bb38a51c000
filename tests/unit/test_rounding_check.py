"""The check of another processor's rounding: it really computes otherwise, and sees what is out of tolerance."""

import math

import pytest

from peft_atlas.config import load_config
from peft_atlas.studies.notebook import rounding_check as module

SMALL = load_config({"seeds": 1, "notebook": {"ranks": [1, 8], "alphas": [16], "epochs": 2}}).notebook


@pytest.mark.slow
def test_another_rounding_is_seen_and_within_tolerance():
    finding = module.rounding_check(SMALL, (0, 1, 2))
    assert finding.verdict == "pass"
    assert finding.effect.n == 6
    # Without vector instructions sums are taken in another order: were all bits equal, nothing was compared.
    assert "0 are equal" in finding.detail or int(finding.detail.split("instructions: ")[1].split()[0]) < 6


@pytest.mark.parametrize(
    ("there", "largest"),
    [([[1.0, 0.5]], 0.0), ([[1.25, 0.5]], 0.25), ([[None, 0.5]], math.inf), ([[1.0, None]], math.inf)],
)
def test_the_largest_difference_counts_what_is_missing(there, largest):
    assert module._largest([[1.0, 0.5]], there, [0, 1]) == largest


def test_what_diverges_on_both_is_no_difference():
    assert module._largest([[None]], [[None]], [0]) == 0.0
