"""What peft's benchmark says of itself over time: noise between reruns, drift, orders, time, forgetting, ties."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import pandas as pd
import scipy

from peft_atlas.analysis.finding import POINTS, Effect, Finding
from peft_atlas.analysis.statistics import mean_interval
from peft_atlas.studies.literature.check_finding import slug
from peft_atlas.studies.record.passes import (
    FULL,
    ITEMS,
    LEAST,
    LORA,
    Noise,
    changed_orders,
    common,
    main_line,
    math_runs,
    passes,
    reruns,
)
from peft_atlas.studies.record.wording import PEFT, check, listed

MATH_ROWS = "benchmark_runs: benchmark=MetaMathQA"
_OVER_EXPERIMENTS = "95 % Student t over experiments"
# Forgetting is compared among runs that learnt the task.
_LEARNT = 30.0
# Part of the printed time that may be other work than training steps.
_OTHER_WORK = 0.05
# Above this rank correlation one number could replace the other.
_STRONG = 0.9


def noises(rows: pd.DataFrame) -> dict[str, Noise]:
    """Return the noise between reruns at the same seed, by month, in the order of time."""
    pairs = reruns(rows)
    return {str(month): Noise.of(group["difference"]) for month, group in pairs.groupby("month", sort=False)}


def largest_noise(rows: pd.DataFrame) -> Noise:
    """Return the noise of the month in which reruns lay furthest apart; comparisons are judged by it."""
    return max(noises(rows).values(), key=lambda noise: noise.sd)


def audit(runs: pd.DataFrame) -> list[Finding]:
    """Return the audit of the benchmark from its own history.

    Parameters
    ----------
    runs
        Table of the contract ``benchmark_runs``.
    """
    rows = math_runs(runs)
    found = passes(rows)
    return [
        *_noise(rows),
        *_drift(found),
        *_orders(rows, found),
        _printed_time(found),
        _forgetting(found),
        _within_error(rows),
        _incomplete(runs),
        _parameters(rows),
    ]


def newest(found: dict[str, pd.DataFrame]) -> tuple[str, pd.DataFrame]:
    """Return the newest pass of the main line, with its name."""
    return list(main_line(found).items())[-1]


def _noise(rows: pd.DataFrame) -> Iterator[Finding]:
    """Return, for each month with reruns, how far two runs at one seed lie apart."""
    pairs = reruns(rows)
    for month, noise in noises(rows).items():
        group = pairs[pairs["month"] == month]
        largest = group.loc[group["difference"].abs().idxmax()]
        equal = int((group["difference"] == 0).sum())
        yield check(
            f"noise_{slug(month)}",
            f"A rerun at the same seed gives the same accuracy ({month})",
            PEFT,
            equal == len(group),
            f"{MATH_ROWS}, experiment={' and '.join(sorted(group['experiment']))}",
            f"{equal} of {len(group)} pairs of runs with equal settings, versions and seed, at most "
            f"{group['days'].max():.1f} days apart, agree exactly. One run's standard deviation is {noise.sd:.2f} "
            f"points; the largest difference is {abs(largest['difference']):.2f} points "
            f"({largest['experiment']}). Two experiments must differ by {noise.half_width():.1f} points in one pass "
            "to differ beyond this noise.",
            noise.effect(),
        )


def drifts(found: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return how accuracies moved between each two passes of the main line that share enough experiments.

    Returns
    -------
    pandas.DataFrame
        earlier, later, ``n`` experiments, ``down`` and ``up`` of them, ``mean``, ``low`` and ``high`` (points),
        ``p_value`` of the sign test, ``loss`` (median absolute change of the training loss).
    """
    moved = []
    for (earlier, before), (later, after) in combinations(main_line(found).items(), 2):
        left, right = common(before, after)
        if len(left) < LEAST:
            continue
        change = right["points"] - left["points"]
        estimate = mean_interval(change, 0.95)
        down, up = int((change < 0).sum()), int((change > 0).sum())
        p = float(scipy.stats.binomtest(down, down + up).pvalue) if down + up else 1.0
        loss = float((right["train_loss"] - left["train_loss"]).abs().median())
        moved.append((earlier, later, len(left), down, up, estimate.mean, estimate.low, estimate.high, p, loss))
    columns = ["earlier", "later", "n", "down", "up", "mean", "low", "high", "p_value", "loss"]
    return pd.DataFrame(moved, columns=columns)


def _drift(found: dict[str, pd.DataFrame]) -> Iterator[Finding]:
    """Return, for each two passes of the main line, whether their accuracies can be compared."""
    for row in drifts(found).itertuples():
        effect = Effect(row.mean, POINTS, row.low, row.high, _OVER_EXPERIMENTS, row.n)
        left, right = found[row.earlier], found[row.later]
        yield check(
            f"drift_{slug(row.earlier)}_{slug(row.later)}",
            f"Accuracies of {row.earlier} and {row.later} can be compared with each other",
            PEFT,
            not effect.excludes_zero,
            f"{MATH_ROWS}, transformers={_versions(left, right, 'transformers')}",
            f"From {_software(left)} to {_software(right)} {row.down} of {row.down + row.up} experiments that changed "
            f"fell ({row.n} in all; sign test p = {row.p_value:.1g}), by {effect.in_words(2)} on average, while the "
            f"median change of the training loss is {row.loss:.4f}.",
            effect,
        )


def _versions(left: pd.DataFrame, right: pd.DataFrame, name: str) -> str:
    return " and ".join(dict.fromkeys([*left[name], *right[name]]))


def _software(rows: pd.DataFrame) -> str:
    """Return the versions that a pass ran on."""
    first = rows.iloc[0]
    return f"transformers {first['transformers']} with torch {str(first['torch']).split('+')[0]}"


def _orders(rows: pd.DataFrame, found: dict[str, pd.DataFrame]) -> Iterator[Finding]:
    """Return how many pairs of experiments change order, in a rerun of one software version and between versions."""
    beyond = largest_noise(rows).half_width()
    compared = [
        (earlier, later, *common(before, after)) for (earlier, before), (later, after) in combinations(found.items(), 2)
    ]
    compared = [each for each in compared if len(each[2]) >= LEAST]
    for name, statement, rerun in (
        ("rerun", "A rerun of one software version gives the same order of experiments", True),
        ("versions", "Two software versions give the same order of experiments", False),
    ):
        chosen = [each for each in compared if (set(each[2]["transformers"]) == set(each[3]["transformers"])) == rerun]
        if chosen:
            yield _order(name, statement, chosen, beyond)


def _order(
    name: str, statement: str, compared: list[tuple[str, str, pd.DataFrame, pd.DataFrame]], beyond: float
) -> Finding:
    """Return how many pairs of experiments change order between passes, and how many of them beyond the noise."""
    counts = [changed_orders(left, right) for _, _, left, right in compared]
    surely = sum(changed_orders(left, right, beyond)[0] for _, _, left, right in compared)
    words = [
        f"{changed} of {pairs} pairs from {earlier} to {later}"
        for (earlier, later, _, _), (changed, pairs) in zip(compared, counts, strict=True)
    ]
    versions = dict.fromkeys(name for _, _, *both in compared for name in pd.concat(both)["transformers"])
    return check(
        f"order_{name}",
        statement,
        PEFT,
        not any(changed for changed, _ in counts),
        f"{MATH_ROWS}, transformers={' and '.join(versions)}",
        f"{listed(words)} change their order. {surely} of them do so by more than {beyond:.1f} points in both passes, "
        "which is what reruns at the same seed can bring about.",
        Effect(max(100 * changed / pairs for changed, pairs in counts), "percent of pairs, the largest", n=len(counts)),
    )


def _printed_time(found: dict[str, pd.DataFrame]) -> Finding:
    """Return what the printed time of training holds besides training."""
    name, rows = newest(found)
    share = 1 - rows["step_seconds_sum"] / rows["train_seconds"]
    peft = rows[rows.index != FULL]
    full = rows.loc[FULL]
    slower = {column: int((peft[column] > full[column]).sum()) for column in ("train_seconds", "step_seconds_sum")}
    ratios = {
        each: [passed.loc[FULL, column] / passed.loc[LORA, column] for column in ("train_seconds", "step_seconds_sum")]
        for each, passed in found.items()
        if {FULL, LORA} <= set(passed.index)
    }
    words = listed([f"{printed:.2f} and {steps:.2f} in {each}" for each, (printed, steps) in ratios.items()])
    return check(
        "printed_time",
        "The printed time of training is the time of the training steps",
        PEFT,
        float(share.median()) < _OTHER_WORK,
        f"{MATH_ROWS}, experiment={FULL} and {LORA}, train_seconds, step_seconds_sum",
        f"It holds data loading and the test evaluation too: in {name} {100 * share.median():.0f} % of it at the "
        f"median over {len(rows)} runs. Full fine-tuning takes, by the printed time and by the steps alone, this many "
        f"times LoRA's: {words}. {slower['train_seconds']} of {len(peft)} other runs are slower than full fine-tuning "
        f"by the first and {slower['step_seconds_sum']} by the second.",
        Effect(100 * float(share.median()), "percent of the printed time, median", n=len(rows)),
    )


def _forgetting(found: dict[str, pd.DataFrame]) -> Finding:
    """Return how many methods forget less than full fine-tuning, by the definition of forgetting."""
    groups = {}
    for rows in found.values():
        known = rows[rows["forgetting"].notna() & (rows["points"] >= _LEARNT)]
        if FULL in known.index:
            # A pass may hold single runs by another definition; only those by full fine-tuning's can be compared.
            name = str(known.loc[FULL, "forgetting_definition"])
            groups[name] = known.loc[known["forgetting_definition"] == name, "forgetting"]
    last = list(groups)[-1]
    after, words, shared, same = groups.pop(last), [], 0, True
    for name, before in groups.items():
        names = before.index.intersection(after.index).drop(FULL)
        less = [int((group[names] < group[FULL]).sum()) for group in (before, after)]
        words.append(f"{less[0]} of {len(names)} by definition {name} against {less[1]} by {last}")
        shared = len(names)
        # The answer is the same where most methods forget less under both, or under neither.
        same &= (2 * less[0] > shared) == (2 * less[1] > shared)
    others = after.drop(FULL)
    fewer = int((others < after[FULL]).sum())
    return check(
        "forgetting",
        "Whether methods forget less than full fine-tuning does not depend on the definition of forgetting",
        PEFT,
        same,
        f"{MATH_ROWS}, forgetting_definition={' and '.join([*groups, last])}, forgetting",
        f"Of the experiments that reach {_LEARNT:g} % under both, forget less than full fine-tuning: {listed(words)}. "
        f"Of all {len(others)} under {last}, {fewer} do. A masked padding on the wrong side, B did not shift the "
        f"targets and took the first loss with the adapter on, and C fixes both.",
        Effect(float(fewer), f"experiments that forget less, by definition {last}, of {len(others)}", n=shared),
    )


def newest_state(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that the newest commit holds, by experiment."""
    return rows[rows["in_newest_commit"].astype(bool)].set_index("experiment")


def _within_error(rows: pd.DataFrame) -> Finding:
    """Return how many runs the size of the test set does not separate from the best."""
    now = newest_state(rows)
    best = now.loc[now["points"].idxmax()]
    gap = (best["points"] - now["points"]) / 100
    error = ((now["score"] * (1 - now["score"]) + best["score"] * (1 - best["score"])) / ITEMS) ** 0.5
    tied = int((gap <= scipy.special.ndtri(0.975) * error).sum())
    half = 100 * float(scipy.special.ndtri(0.975) * (2 * best["score"] * (1 - best["score"]) / ITEMS) ** 0.5)
    return check(
        "within_error",
        "The best run of the newest state is better than every other",
        PEFT,
        tied == 1,
        f"{MATH_ROWS}, in_newest_commit=True, score",
        f"{tied} of {len(now)} runs, the best included, lie within sampling error of it ({best.name}, "
        f"{best['points']:.1f} %): on {ITEMS:,} test items two unpaired accuracies of that size must differ by "
        f"{half:.1f} points (95 %, binomial).",
        Effect(float(tied), "runs within sampling error of the best", n=len(now)),
    )


def _incomplete(runs: pd.DataFrame) -> Finding:
    """Return what the newest state of the benchmark lost or never finished."""
    main = runs[runs["pull_request"].isna()]
    kept = set(main.loc[main["in_newest_commit"].astype(bool), "experiment"])
    lost = sorted(set(main["experiment"]) - kept)
    usual = main.groupby("benchmark")["steps"].transform(lambda steps: steps.mode().iloc[0])
    cut = main[main["in_newest_commit"].astype(bool) & (main["steps"] < usual)]
    short = [f"{row.experiment} ({row.steps:,} steps)" for row in cut.itertuples()]
    return check(
        "incomplete",
        "The newest state holds every experiment that was ever run, each with the usual number of steps",
        PEFT,
        not lost and not short,
        "benchmark_runs: in_newest_commit, steps",
        f"{len(lost)} of {main['experiment'].nunique()} experiments are gone or renamed: {listed(lost)}. With "
        f"fewer steps than the others: {listed(short)}. Experiments that never had a result leave no row; `peft-atlas "
        "refresh` lists them from a clone.",
        Effect(float(len(lost) + len(short)), "experiments", n=int(main["experiment"].nunique())),
    )


def _parameters(rows: pd.DataFrame) -> Finding:
    """Return whether the number of trained parameters says what a method costs and gives."""
    now = newest_state(rows)
    peft = now[now.index != FULL]
    columns = {"accuracy": "points", "peak memory": "memory_max_reserved_bytes", "printed time": "train_seconds"}
    rho = {}
    for label, column in columns.items():
        known = peft[["trainable_params", column]].dropna().astype(float)
        rho[label] = (float(scipy.stats.spearmanr(known).statistic), len(known))
    better = int((peft["points"] > now.loc[FULL, "points"]).sum())
    words = listed([f"{value:+.2f} with {label} ({n} runs)" for label, (value, n) in rho.items()])
    costs = [value for label, (value, _) in rho.items() if label != "accuracy"]
    return check(
        "parameters_tell",
        "The number of trained parameters orders methods by their cost",
        PEFT,
        min(costs) > _STRONG,
        f"{MATH_ROWS}, in_newest_commit=True, trainable_params",
        f"Spearman's rank correlation of trained parameters in the newest state: {words}. {better} of {len(peft)} "
        "runs are above full fine-tuning's accuracy, which was run at one learning rate.",
        Effect(min(costs), "Spearman's rank correlation with a cost, the smaller", n=len(peft)),
    )
