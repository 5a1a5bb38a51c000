"""How the best learning rate of LoRA moves with its rank: a sweep of 35 models, and what other sources say."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import scipy

from peft_atlas.analysis.finding import Effect, Finding
from peft_atlas.studies.literature.check_finding import slug
from peft_atlas.studies.record.wording import REGRET, TINKER, answer, check, claim, listed

SWEEP_ROWS = "rate_runs: study=tinker_sft"
_STUDY = "tinker_sft"
_DIRECTIONS = ("the same at every rank", "rising with rank", "falling with rank", "rising and falling")
_EXACT = "95 % Clopper-Pearson over models"


def cells(rate_runs: pd.DataFrame) -> pd.DataFrame:
    """Return the loss of each model, rank and rate; the mean where a cell was run more than once."""
    rows = rate_runs[rate_runs["study"] == _STUDY]
    return rows.groupby(["model", "rank", "learning_rate"], as_index=False).agg(nll=("score", "mean"))


def best_rates(grid: pd.DataFrame) -> pd.DataFrame:
    """Return the rate with the lowest loss for each model and rank: model, rank, learning_rate, nll."""
    best = grid.loc[grid.groupby(["model", "rank"])["nll"].idxmin()]
    return best.sort_values(["model", "rank"], ignore_index=True)


def direction(rates: list[float]) -> str:
    """Return how a series of best rates, in the order of the ranks, moves."""
    steps = {np.sign(after - before) for before, after in pairwise(rates)} - {0.0}
    if not steps:
        return _DIRECTIONS[0]
    return _DIRECTIONS[3] if len(steps) > 1 else _DIRECTIONS[1 if steps == {1.0} else 2]


def directions(best: pd.DataFrame) -> pd.Series[str]:
    """Return how each model's best rate moves with rank, by model."""
    return best.groupby("model")["learning_rate"].agg(lambda rates: direction(list(rates)))


def one_rate_cost(grid: pd.DataFrame) -> pd.Series[float]:
    """Return, by model, what the best shared rate costs the rank that it suits least, in percent of its loss.

    A model without a rate that every rank printed is left out.
    """
    wide = grid.pivot_table(index=["model", "learning_rate"], columns="rank", values="nll")
    costs = {}
    for model, table in wide.groupby(level="model"):
        ranks = table.dropna(axis=1, how="all")
        shared = ranks.dropna()
        if len(shared):
            costs[str(model)] = float((100 * (shared / ranks.min() - 1)).max(axis=1).min())
    return pd.Series(costs)


def sweep_findings(rate_runs: pd.DataFrame, sweeps: pd.DataFrame, statements: pd.DataFrame) -> list[Finding]:
    """Return what the sweep says of rank and rate, and of what other sources say.

    Parameters
    ----------
    rate_runs, sweeps, statements
        Tables of the contracts ``rate_runs``, ``rate_sweeps`` and ``rate_statements``.
    """
    grid = cells(rate_runs)
    if grid.empty or sweeps.empty:
        return scaling(statements)
    best = best_rates(grid)
    moves = directions(best)
    others = [] if statements.empty else [_independent(moves, grid), _falls(moves)]
    return [
        _moves(rate_runs, grid, moves),
        *others,
        _higher_rank(rate_runs, best),
        _diverged(sweeps),
        *scaling(statements),
    ]


def _count(moves: pd.Series[str]) -> dict[str, int]:
    return {name: int((moves == name).sum()) for name in _DIRECTIONS}


def _moves(rate_runs: pd.DataFrame, grid: pd.DataFrame, moves: pd.Series[str]) -> Finding:
    counts = _count(moves)
    costs, again = one_rate_cost(grid), len(repeats(rate_runs))
    words = listed([f"{name} in {count}" for name, count in counts.items()])
    return answer(
        "rate_with_rank",
        "Does the best learning rate depend on the rank?",
        TINKER,
        f"{SWEEP_ROWS}, rank, learning_rate, score",
        f"At a fixed alpha, over {len(moves)} models and a grid of rates about a factor of 3 apart, the best rate is "
        f"{words}. One rate for all ranks costs {costs.median():.2f} % of the loss at the median and "
        f"{costs.max():.1f} % at most ({len(costs)} models with a rate that all their ranks share). {again} of "
        f"{len(grid)} cells were run twice, the others once.",
        Effect(float(counts[_DIRECTIONS[1]]), "models whose best rate rises with rank", n=len(moves)),
    )


def _independent(moves: pd.Series[str], grid: pd.DataFrame) -> Finding:
    """Return whether the best rate is independent of rank at a fixed alpha, as the sweep's guide says."""
    counts = _count(moves)
    up, down = counts[_DIRECTIONS[1]], counts[_DIRECTIONS[2]]
    p = float(scipy.stats.binomtest(up, up + down).pvalue) if up + down else 1.0
    low, high = _share(up, len(moves))
    return claim(
        "rate_independent_of_rank",
        "At a fixed alpha LoRA's best learning rate is independent of its rank",
        f"{REGRET}, and the guide of tinker-cookbook",
        "contradicted" if p < 0.05 else "undecided",
        f"{SWEEP_ROWS}, rank, learning_rate; rate_statements: source_id=lora-without-regret and tinker-guide",
        f"Of {up + down} models whose best rate moves in one direction {up} have a higher one at higher ranks and "
        f"{down} a lower one (sign test p = {p:.1g}); in {counts[_DIRECTIONS[0]]} of {len(moves)} it does not leave "
        f"its place in the grid. For use the statement is close: the loss from one shared rate is "
        f"{one_rate_cost(grid).median():.2f} % at the median.",
        Effect(100 * up / len(moves), "percent of models whose best rate rises", low, high, _EXACT, len(moves)),
    )


def _share(count: int, n: int) -> tuple[float, float]:
    interval = scipy.stats.binomtest(count, n).proportion_ci(0.95)
    return 100 * float(interval.low), 100 * float(interval.high)


def _falls(moves: pd.Series[str]) -> Finding:
    """Return whether the best rate falls with rank where alpha is fixed; the source that says so sets alpha = r."""
    count = _count(moves)[_DIRECTIONS[2]]
    low, high = _share(count, len(moves))
    return claim(
        "rate_falls_with_rank",
        "LoRA's best learning rate falls with its rank, also at a fixed alpha",
        "Lee et al. (arXiv:2602.04998), who set alpha = r",
        "contradicted" if high < 50 else "undecided",
        f"{SWEEP_ROWS}, rank, learning_rate; rate_statements: source_id=lee-2602.04998, scaling_rule",
        f"It falls in {count} of {len(moves)} models. What differs is the scaling: with alpha = r the update is not "
        "divided by the rank, so that a rate that suits a low rank is too high for a high one.",
        Effect(100 * count / len(moves), "percent of models whose best rate falls", low, high, _EXACT, len(moves)),
    )


def repeats(rate_runs: pd.DataFrame) -> pd.Series[float]:
    """Return the difference of the loss between two runs of one cell, for each cell that was run twice."""
    rows = rate_runs[rate_runs["study"] == _STUDY]
    wide = rows.pivot_table(index=["model", "rank", "learning_rate"], columns="run", values="score")
    return (wide[2] - wide[1]).dropna() if 2 in wide.columns else pd.Series(dtype=float)


def _higher_rank(rate_runs: pd.DataFrame, best: pd.DataFrame) -> Finding:
    """Return whether a higher rank has a lower loss, each at its best rate, beyond what a repeated run shows."""
    steps = best.groupby("model")["nll"].diff().dropna()
    again = repeats(rate_runs)
    noise = float(np.sqrt((again**2).mean() / 2)) if len(again) else float("nan")
    lower, beyond = int((steps < 0).sum()), int((steps < -1.96 * 2**0.5 * noise).sum())
    low, high = _share(lower, len(steps))
    return claim(
        "higher_rank_lower_loss",
        "A higher rank has a lower loss, each rank at its best rate (35 models, tulu3, 780 steps)",
        TINKER,
        "supported" if low > 50 else "undecided",
        f"{SWEEP_ROWS}, rank, learning_rate, score",
        f"{lower} of {len(steps)} steps to the next rank lower the test loss, {beyond} of them by more than two runs "
        f"of one cell differ (standard deviation {noise:.4f} nats, from {len(again)} cells that were run twice).",
        Effect(100 * lower / len(steps), "percent of steps", low, high, "95 % Clopper-Pearson over steps", len(steps)),
    )


def _diverged(sweeps: pd.DataFrame) -> Finding:
    """Return how many runs the tables of the sweep leave out because they diverged."""
    count, planned = int(sweeps["runs_diverged"].sum()), int(sweeps["runs_planned"].sum())
    whole = sweeps["runs_planned"] - sweeps["rows_printed"] - sweeps["runs_diverged"]
    unexplained = int((whole > 0).sum())
    top = sweeps["rates_diverged"].dropna().str.split("|").explode().value_counts()
    rates = listed([f"{rate} ({n})" for rate, n in top.items()])
    return check(
        "diverged",
        "The tables of the sweep hold every run of its grid",
        TINKER,
        count == 0,
        "rate_sweeps: runs_planned, rows_printed, runs_diverged",
        f"{count} of {planned} planned runs diverged and are left out; rates at which that happened, with the number "
        f"of models: {rates}. {unexplained} of {len(sweeps)} models lack further rows.",
        Effect(float(count), "runs left out", n=planned),
    )


def rate_trends(statements: pd.DataFrame) -> pd.DataFrame:
    """Return how the best rate moves with rank in every source that prints it for several ranks.

    Returns
    -------
    pandas.DataFrame
        source_id, base_model, method, scaling_rule, metric, ``ranks`` and ``rates`` as text, ``statement`` that
        the source adds, ``direction``.
    """
    rows = statements[statements["claim_kind"].str.startswith("best rate per rank")]
    whole = rows["rank"].str.fullmatch(r"\d+") & rows["modules"].fillna("all").ne("attention")
    rows = rows[whole.fillna(value=False).astype(bool) & rows["modules"].fillna("all").ne("mlp")]
    rows = rows.assign(order=rows["rank"].astype(int), rate=rows["best_learning_rate"].astype(float))
    keys = ["source_id", "base_model", "method", "scaling_rule", "metric"]
    found = []
    for key, group in rows.sort_values("order", kind="stable").groupby(keys, sort=False, dropna=False):
        if len(set(group["order"])) > 1:
            texts = {
                "ranks": ", ".join(group["rank"]),
                "rates": ", ".join(f"{rate:.3g}" for rate in group["rate"]),
                "statement": group["statement"].iloc[0],
            }
            found.append({**dict(zip(keys, key, strict=True)), **texts, "direction": direction(list(group["rate"]))})
    return pd.DataFrame(found, columns=[*keys, "ranks", "rates", "statement", "direction"])


def scaling(statements: pd.DataFrame) -> list[Finding]:
    """Return how the best rate moves with rank by the rule that alpha follows, over the other sources."""
    trends = rate_trends(statements)
    rule = trends["scaling_rule"].fillna("").map(lambda text: "alpha fixed" if "fixed" in text else text.split(" (")[0])
    return [_scaling(str(name), group) for name, group in trends.groupby(rule, sort=False) if name]


def _scaling(rule: str, trends: pd.DataFrame) -> Finding:
    counts = trends["direction"].value_counts()
    words = listed([f"{name} in {n}" for name, n in counts.items()])
    each = "; ".join(
        f"{row.source_id}, {row.base_model}, {row.method}, {row.metric}: {row.rates} at ranks {row.ranks}"
        f"{f' ({row.statement})' if pd.notna(row.statement) else ''}"
        for row in trends.itertuples()
    )
    return check(
        f"scaling_{slug(rule)}",
        f"Sources agree on how the best rate moves with rank where {rule if 'fixed' not in rule else 'alpha is fixed'}",
        listed(list(dict.fromkeys(trends["source_id"]))),
        len(counts) == 1,
        f"rate_statements: source_id={' and '.join(dict.fromkeys(trends['source_id']))}, scaling_rule",
        f"Of {len(trends)} series the best rate is {words}. {each}.",
        Effect(float(counts.max()), "series that agree", n=len(trends)),
    )
