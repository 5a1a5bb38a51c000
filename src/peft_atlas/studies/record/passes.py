"""The passes of peft's benchmark through its experiments, and how far a rerun lies from its first run.

A pass is what one version of transformers and torch gave on the main line, or in one pull request: the last run of each
experiment. Runs are compared only where every recorded setting is equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
import scipy

from peft_atlas.analysis.finding import POINTS, Effect
from peft_atlas.analysis.power import POWER

MATH = "MetaMathQA"
FULL = "full-finetuning/llama-3.2-3B-lr_0.00001"
LORA = "lora/llama-3.2-3B-rank32"
# Items of GSM8K's test set, on which the accuracy is measured.
ITEMS = 1319
SETTINGS = (
    *("base_model", "dtype", "rank", "alpha", "target_modules", "use_rslora", "use_dora", "learning_rate"),
    *("weight_decay", "lr_scheduler", "steps", "batch_size", "seed", "autocast_adapter_dtype", "gpu"),
)
# A rerun after a longer time may meet another state of the harness.
RERUN_DAYS = 7
# A pass with fewer experiments says nothing of an order of methods.
LEAST = 10
_LEVEL = 0.05
NOISE_INTERVAL = "95 % chi-square over pairs of reruns"


@dataclass(frozen=True)
class Noise:
    """Standard deviation of one run around the mean of reruns at the same seed, in percentage points.

    Parameters
    ----------
    sd
        Root of half the mean squared difference of a pair.
    pairs
        Number of pairs, which are its degrees of freedom.
    """

    sd: float
    pairs: int

    @classmethod
    def of(cls, differences: pd.Series[float]) -> Noise:
        """Return the noise that the differences of reruns show."""
        return cls(float(np.sqrt((differences**2).mean() / 2)), len(differences))

    def effect(self) -> Effect:
        """Return the noise with its interval."""
        low, high = (self.sd * (self.pairs / scipy.stats.chi2.ppf(p, self.pairs)) ** 0.5 for p in (0.975, 0.025))
        return Effect(self.sd, POINTS, float(low), float(high), NOISE_INTERVAL, self.pairs)

    def half_width(self, passes: int = 1) -> float:
        """Return half of the 95 % interval of a difference of two experiments, averaged over passes."""
        return float(scipy.special.stdtrit(self.pairs, 1 - _LEVEL / 2)) * self.sd * (2 / passes) ** 0.5

    def detectable(self, passes: int = 1) -> float:
        """Return the smallest difference of two experiments that reruns like these would show with 80 % power."""
        errors = sum(scipy.special.stdtrit(self.pairs, p) for p in (1 - _LEVEL / 2, POWER))
        return float(errors) * self.sd * (2 / passes) ** 0.5


def math_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of the mathematical benchmark on the machine of its main line, by date.

    Two columns are added: ``points`` (accuracy in percent) and ``settings``, which runs of equal settings share.

    Parameters
    ----------
    runs
        Table of the contract ``benchmark_runs``.
    """
    rows = runs[runs["benchmark"] == MATH]
    own = rows.loc[rows["pull_request"].isna(), "gpu"].unique()
    rows = rows[rows["gpu"].isin(own)]
    made = pd.to_datetime(rows["run_date"])
    texts = [rows[name].astype("string").fillna("").astype(str) for name in SETTINGS]
    settings = ["|".join(each) for each in zip(*texts, strict=True)]
    rows = rows.assign(made=made, points=100 * rows["score"], settings=settings)
    return rows.sort_values("made", ignore_index=True)


def reruns(rows: pd.DataFrame) -> pd.DataFrame:
    """Return each run with the next one of its experiment, in one software version, where no setting differs.

    Returns
    -------
    pandas.DataFrame
        experiment, ``month`` (of the first run), first, second (percent), ``difference`` (points), ``days`` apart.
    """
    by = rows.groupby(["experiment", "transformers", "torch"])
    later = by.shift(-1)
    days = (later["made"] - rows["made"]).dt.total_seconds() / 86400
    kept = days.notna() & (days <= RERUN_DAYS) & (later["settings"] == rows["settings"])
    pairs = rows[kept]
    return pd.DataFrame(
        {
            "experiment": pairs["experiment"],
            "month": pairs["made"].dt.strftime("%B %Y"),
            "first": pairs["points"],
            "second": later.loc[kept, "points"],
            "difference": later.loc[kept, "points"] - pairs["points"],
            "days": days[kept],
        }
    ).reset_index(drop=True)


def passes(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the passes by name, oldest first, each with the last run of every experiment as its index."""
    groups = rows.assign(pull_request=rows["pull_request"].astype("Int64")).groupby(
        ["transformers", "torch", "pull_request"], dropna=False, sort=False
    )
    found = [
        (group["made"].median(), request, group.drop_duplicates("experiment", keep="last").set_index("experiment"))
        for (_, _, request), group in groups
    ]
    found = [each for each in found if len(each[2]) >= LEAST]
    return {
        f"{when:%B %Y}" + ("" if pd.isna(request) else f" (pull request {request})"): last
        for when, request, last in sorted(found, key=lambda each: each[0])
    }


def main_line(found: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the passes of the main line."""
    return {name: rows for name, rows in found.items() if rows["pull_request"].isna().all()}


def common(before: pd.DataFrame, after: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the experiments that two passes ran with equal settings, in one order."""
    names = before.index.intersection(after.index)
    left, right = before.loc[names], after.loc[names]
    kept = (left["settings"] == right["settings"]).to_numpy()
    return left[kept], right[kept]


def changed_orders(before: pd.DataFrame, after: pd.DataFrame, beyond: float = 0.0) -> tuple[int, int]:
    """Return how many pairs of experiments change their order from one pass to another, and how many pairs there are.

    Parameters
    ----------
    before, after
        The same experiments, in one order, with ``points``.
    beyond
        Difference that both passes must exceed.
    """
    left, right = before["points"].to_numpy(), after["points"].to_numpy()
    pairs = np.array(list(combinations(range(len(left)), 2)), dtype=int).reshape(-1, 2)
    first, second = (values[pairs[:, 0]] - values[pairs[:, 1]] for values in (left, right))
    changed = (first * second < 0) & (abs(first) > beyond) & (abs(second) > beyond)
    return int(changed.sum()), len(pairs)


def differences(found: Mapping[str, pd.DataFrame], left: str, right: str) -> dict[str, float]:
    """Return one experiment's accuracy less another's in each pass that ran both, in points."""
    return {
        name: float(rows.loc[left, "points"] - rows.loc[right, "points"])
        for name, rows in found.items()
        if left in rows.index and right in rows.index
    }
