"""What a comparison over seeds can detect: power of the paired t-test and of the test of equivalence."""

from __future__ import annotations

from functools import cache

import numpy as np
import scipy
from numpy.typing import NDArray

# Power that a smallest detectable difference is stated for.
POWER = 0.8
_QUANTILES = 2000


def power(difference: float, sd: float, n: int, level: float) -> float:
    """Return the probability that a two-sided paired t-test rejects, given the true difference.

    Parameters
    ----------
    difference
        True mean of the paired differences.
    sd
        Their standard deviation, above 0.
    n
        Pairs, at least 2.
    level
        Level of the test.
    """
    critical = float(scipy.special.stdtrit(n - 1, 1 - level / 2))
    shift, scales = difference / (sd / n**0.5), _scales(n)
    return float(
        np.mean(scipy.special.ndtr(shift - critical * scales) + scipy.special.ndtr(-shift - critical * scales))
    )


def _scales(n: int) -> NDArray[np.float64]:
    """Return equally likely values of a sample's standard deviation over the true one.

    The mean of a function over them is its expectation. SciPy's noncentral t has no value far in its tails.
    """
    places = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    return np.sqrt(scipy.special.chdtri(n - 1, places) / (n - 1))


def detectable_difference(sd: float | None, n: int, level: float, wanted: float = POWER) -> float | None:
    """Return the smallest difference that a two-sided paired t-test detects with the power that is wanted.

    Parameters
    ----------
    sd
        Standard deviation of the paired differences, as estimated from them.
    n
        Pairs.
    level
        Level of the test, adjusted for the other comparisons of its family.
    wanted
        Power.

    Returns
    -------
    float or None
        None where there are fewer than two pairs, or they do not vary.
    """
    if sd is None or n < 2 or sd == 0:
        return None
    return _detectable_errors(n, level, wanted) * sd / n**0.5


def possible_difference(detectable: float | None, unit: str = "fraction") -> float | None:
    """Return a detectable difference that is possible: two fractions differ by at most 1.

    Where the test would need more, no difference at all is detected with that power; 1 says so.
    """
    return min(detectable, 1.0) if detectable is not None and unit == "fraction" else detectable


@cache
def _detectable_errors(n: int, level: float, wanted: float) -> float:
    """Return the smallest detectable difference in standard errors, which depends on no data."""

    def missing(shift: float) -> float:
        return power(shift, n**0.5, n, level) - wanted

    # With one degree of freedom s is below 4 sigma in all but 1 of 10,000 samples.
    top = 4 * float(scipy.special.stdtrit(n - 1, 1 - level / 2)) + 4
    return float(scipy.optimize.brentq(missing, 0.0, top))


def equivalence_power(sd: float | None, n: int, margin: float, level: float) -> float | None:
    """Return the probability that two one-sided t-tests find equivalence where the true difference is 0.

    Given the sample's standard deviation s the tests reject where the mean lies within ``margin - t s / sqrt(n)`` of
    0; the probability of that is averaged over the distribution of s.

    Parameters
    ----------
    sd
        Standard deviation of the paired differences.
    n
        Pairs.
    margin
        Margin of equivalence, in the unit of ``sd``.
    level
        Level of each one-sided test.
    """
    if sd is None or n < 2 or sd == 0:
        return None
    critical = float(scipy.special.stdtrit(n - 1, 1 - level))
    room = np.maximum(margin * n**0.5 / sd - critical * _scales(n), 0.0)
    return float(np.mean(2 * scipy.special.ndtr(room) - 1))
