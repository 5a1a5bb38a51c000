"""How the best learning rate moves with the batch size: means of three runs of five methods, read from a picture."""

from __future__ import annotations

import pandas as pd
import scipy

from peft_atlas.analysis.finding import POINTS, Effect, Finding
from peft_atlas.studies.record.wording import LEE, answer, listed

_STUDY = "lr_matters_batch"
_WELCH = "95 % Welch t over runs, from printed means and standard deviations"


def best_by_batch(means: pd.DataFrame) -> pd.DataFrame:
    """Return the row with the highest mean of each method at each batch size, in the order of both."""
    rows = means.reset_index(drop=True)
    best = rows.loc[rows.groupby(["method", "batch_size"])["mean"].idxmax()]
    return best.sort_values(["method", "batch_size"], ignore_index=True)


def batch_findings(rate_means: pd.DataFrame) -> list[Finding]:
    """Return how the best rate moves with the batch size, and how far tuned methods differ at each.

    Parameters
    ----------
    rate_means
        Table of the contract ``rate_means``.
    """
    means = rate_means[rate_means["study"] == _STUDY]
    if means.empty:
        return []
    best = best_by_batch(means)
    rates = best.pivot_table(index="method", columns="batch_size", values="learning_rate")
    sizes = list(rates.columns)
    times = rates[sizes[-1]] / rates[sizes[0]]
    risen = int((rates.diff(axis=1).iloc[:, 1:] > 0).all(axis=1).sum())
    first = means.iloc[0]
    spreads = {int(size): _spread(part) for size, part in best.groupby("batch_size")}
    widest = max(spreads.values(), key=lambda effect: effect.size or 0.0)
    said = listed([f"{effect.in_words(unit='points')} at {size}" for size, effect in spreads.items()])
    lora = " ".join(f"{rates.loc['LoRA', size]:.2g} at {size}," for size in sizes) if "LoRA" in rates.index else ""
    named = f" LoRA's is {lora.removesuffix(',')}." if lora else ""
    return [
        answer(
            "batch",
            "Does the best learning rate depend on the batch size?",
            LEE,
            f"rate_means: study={_STUDY}, batch_size, learning_rate, mean, sd",
            f"From batch size {sizes[0]} to {sizes[-1]} the best rate rises at every step in {risen} of {len(rates)} "
            f"methods, by a factor of {times.min():.1f} to {times.max():.1f} ({first['model']}, {first['data']}, rank "
            f"{first['rank']}; means of {first['runs']} runs, {means['learning_rate'].nunique()} rates).{named} "
            f"Each at its best rate, best and worst method differ by {said}; the rate is chosen on the scores, "
            "which flatters the best. The numbers were read from a picture, twice at two sizes.",
            widest,
        )
    ]


def _spread(best: pd.DataFrame) -> Effect:
    """Return the best method less the worst at one batch size, with Welch's interval."""
    ordered = best.sort_values("mean")
    low, high = ordered.iloc[0], ordered.iloc[-1]
    parts = [row["sd"] ** 2 / row["runs"] for row in (high, low)]
    # Welch and Satterthwaite's degrees of freedom.
    df = sum(parts) ** 2 / sum(part**2 / (row["runs"] - 1) for part, row in zip(parts, (high, low), strict=True))
    size, half = float(high["mean"] - low["mean"]), float(scipy.special.stdtrit(df, 0.975) * sum(parts) ** 0.5)
    return Effect(size, POINTS, size - half, size + half, _WELCH, int(high["runs"] + low["runs"]))
