"""Who wins depends on the learning rate: 195 runs of five methods at 13 rates, and which papers tune what."""

from __future__ import annotations

import pandas as pd
import scipy

from peft_atlas.analysis.finding import POINTS, Effect, Finding
from peft_atlas.studies.record.wording import LEE, answer, check, claim, listed

RATE_ROWS = "rate_runs: study=lr_matters"
_STUDY = "lr_matters"
_LORA = "LoRA"
_WELCH = "95 % Welch t over runs"
# Half of the last digit that means and standard deviations are printed with.
_PRINTED = 0.005


def averages(rate_runs: pd.DataFrame) -> pd.DataFrame:
    """Return each run's average over its tasks, in percent: method, learning_rate, run, ``average``."""
    rows = rate_runs[rate_runs["study"] == _STUDY]
    return rows.groupby(["method", "learning_rate", "run"], as_index=False).agg(average=("score", "mean"))


def by_rate(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the mean over runs of each method at each rate: rates as index, methods as columns."""
    return runs.pivot_table(index="learning_rate", columns="method", values="average", aggfunc="mean")


def tuned(runs: pd.DataFrame) -> pd.DataFrame:
    """Return each method's best rate and mean there, the best method first: method, learning_rate, ``mean``."""
    means = by_rate(runs)
    best = pd.DataFrame({"learning_rate": means.idxmax(), "mean": means.max()}).rename_axis("method").reset_index()
    return best.sort_values("mean", ascending=False, ignore_index=True)


def rate_findings(rate_runs: pd.DataFrame) -> list[Finding]:
    """Return what the 195 runs say.

    Parameters
    ----------
    rate_runs
        Table of the contract ``rate_runs``.
    """
    runs = averages(rate_runs)
    return [] if runs.empty else [_who_wins(runs), *_better_than_lora(runs), _printed_moments(rate_runs)]


def _values(runs: pd.DataFrame, method: str, rate: float) -> pd.Series[float]:
    return runs.loc[(runs["method"] == method) & (runs["learning_rate"] == rate), "average"]


def welch(left: pd.Series[float], right: pd.Series[float]) -> Effect:
    """Return the difference of two means of independent runs with Welch's interval."""
    test = scipy.stats.ttest_ind(left, right, equal_var=False)
    interval = test.confidence_interval(0.95)
    size = float(left.mean() - right.mean())
    return Effect(size, POINTS, float(interval.low), float(interval.high), _WELCH, len(left) + len(right))


def _who_wins(runs: pd.DataFrame) -> Finding:
    """Return the spread of tuned methods, that at one shared rate, and the winner by rate."""
    best, means = tuned(runs), by_rate(runs)
    first, last = best.iloc[0], best.iloc[-1]
    effect = welch(*(_values(runs, row["method"], row["learning_rate"]) for row in (first, last)))
    spread = means.max(axis=1) - means.min(axis=1)
    at = spread.idxmax()
    winners = means.idxmax(axis=1).value_counts()
    count = listed([f"{method} at {n}" for method, n in winners.items()])
    order = listed([f"{row.method} {row.mean:.1f} % at {row.learning_rate:.3g}" for row in best.itertuples()])
    return answer(
        "rates",
        "Which method wins when each has its own learning rate?",
        LEE,
        f"{RATE_ROWS}, method, learning_rate, score",
        f"Five methods on Qwen3-0.6B, {len(means)} rates, 3 runs each: tuned, best and worst differ by "
        f"{effect.in_words(2)} ({order}; the rate is chosen on the test scores themselves). At one shared rate the "
        f"largest difference is {spread.max():.1f} points, at {at:.3g}, and the winner depends on the rate: {count} of "
        f"{len(means)} rates.",
        effect,
    )


def _better_than_lora(runs: pd.DataFrame) -> list[Finding]:
    """Return, for each other method, whether it beats LoRA where both are tuned, and where they share a rate."""
    best, means = tuned(runs).set_index("method"), by_rate(runs)
    if _LORA not in best.index:
        return []
    return [_against_lora(str(method), runs, best, means) for method in best.index.drop(_LORA)]


def _against_lora(method: str, runs: pd.DataFrame, best: pd.DataFrame, means: pd.DataFrame) -> Finding:
    effect = welch(*(_values(runs, name, best.loc[name, "learning_rate"]) for name in (method, _LORA)))
    gaps = means[method] - means[_LORA]
    judged = "undecided" if not effect.excludes_zero else "supported" if (effect.size or 0) > 0 else "contradicted"
    return claim(
        f"tuned_{method.lower()}",
        f"{method} is more accurate than LoRA when each has its best rate (Qwen3-0.6B, rank 128, GSM8K and MATH)",
        LEE,
        judged,
        f"{RATE_ROWS}, method={method} and {_LORA}, learning_rate, score",
        f"Tuned, {method} less LoRA is {effect.in_words(2)}, 3 runs each. At a shared rate it lies from "
        f"{gaps.min():+.1f} points (at {gaps.idxmin():.3g}) to {gaps.max():+.1f} (at {gaps.idxmax():.3g}), above 0 at "
        f"{int((gaps > 0).sum())} of {len(gaps)} rates.",
        effect,
    )


def _printed_moments(rate_runs: pd.DataFrame) -> Finding:
    """Return whether means and standard deviations follow from the runs printed beside them."""
    rows = rate_runs[rate_runs["study"] == _STUDY]
    cells = rows.groupby(["method", "learning_rate", "metric"]).agg(
        mean=("score", "mean"), sd=("score", "std"), flat=("score", lambda values: values.std(ddof=0)),
        printed_mean=("printed_mean", "first"), printed_sd=("printed_sd", "first"),
    )  # fmt: skip
    close = _PRINTED + 1e-9
    means = (cells["mean"] - cells["printed_mean"]).abs() <= close
    deviations = ((cells["sd"] - cells["printed_sd"]).abs() <= close) | (
        (cells["flat"] - cells["printed_sd"]).abs() <= close
    )
    wrong = int((~means).sum() + (~deviations).sum())
    return check(
        "printed_moments",
        "Means and standard deviations follow from the runs that are printed beside them",
        LEE,
        wrong == 0,
        f"{RATE_ROWS}, printed_mean, printed_sd",
        f"{int(means.sum())} of {len(cells)} means and {int(deviations.sum())} of {len(cells)} standard deviations do, "
        f"to {_PRINTED:g}.",
        Effect(float(wrong), "printed numbers that do not follow", n=2 * len(cells)),
    )


def paper_findings(papers: pd.DataFrame) -> list[Finding]:
    """Return how many papers on LoRA tune what their comparisons depend on.

    Parameters
    ----------
    papers
        Table of the contract ``tuning_audit``.
    """
    if papers.empty:
        return []
    flags = {"learning rate": "learning_rate_tuned", "batch size": "batch_size_tuned", "rank": "rank_compared"}
    tried = papers[list(flags.values())].astype(bool)
    untried = listed([f"{int((~tried[column]).sum())} one {name}" for name, column in flags.items()])
    every = int(tried.all(axis=1).sum())
    return [
        check(
            "papers_tune",
            "Papers that propose a LoRA method try several learning rates, batch sizes and ranks",
            f"{LEE}, list of papers",
            every == len(papers),
            "tuning_audit: learning_rate_tuned, batch_size_tuned, rank_compared",
            f"{every} of {len(papers)} try several of all three; {untried} only.",
            Effect(float(len(papers) - every), "papers that do not", n=len(papers)),
        )
    ]
