"""What predicted and measured peaks of training memory say: how far apart they are, and which cannot hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from peft_atlas.analysis.finding import ATLAS, Effect, Finding
from peft_atlas.planning.verdict import FITS
from peft_atlas.studies.literature.check_finding import check, slug
from peft_atlas.studies.literature.published_tables import LORA, both

# What the planner aims at: the largest median error, and the share of runs within an error, all fractions.
LARGEST_MEDIAN, FAR, LEAST_SHARE = 0.08, 0.2, 0.9


@dataclass(frozen=True)
class Saving:
    """Measured peaks of full fine-tuning over those of LoRA, a ratio for each setting of each source."""

    rows: pd.DataFrame

    @classmethod
    def of(cls, predictions: pd.DataFrame) -> Saving:
        """Return the ratios of all settings; runs that repeat a setting count once, by their medians."""
        paired = predictions[predictions["full_gb"].notna()]
        peaks = paired.groupby(["source", "model", "setting"], sort=False)[["full_gb", "measured_gb"]].median()
        return cls(peaks.assign(ratio=peaks["full_gb"] / peaks["measured_gb"]).reset_index())

    @property
    def effect(self) -> Effect:
        """Return the median ratio; the range of single results is no interval."""
        ratio = self.rows["ratio"]
        return Effect(
            float(ratio.median()), "times as much by full fine-tuning, median of the measured pairs", n=len(ratio)
        )

    @property
    def always(self) -> bool:
        """Return whether LoRA took less in every setting."""
        return bool((self.rows["ratio"] > 1).all())

    @property
    def in_words(self) -> str:
        """Return the range over all, that of each source, and the settings in which LoRA took more."""
        ratio = self.rows["ratio"]
        by_source = [
            f"{_range(rows['ratio'])} ({source}, {len(rows)} setting{'s' if len(rows) > 1 else ''})"
            for source, rows in self.rows.groupby("source", sort=False)
        ]
        more = [
            f"{row['measured_gb']:.1f} GB against {row['full_gb']:.1f} on {row['model']} ({row['setting']})"
            for _, row in self.rows[ratio <= 1].iterrows()
        ]
        less = f"{len(ratio) - len(more)} of {len(ratio)} settings"
        exception = f" It took as much or more where little is trained over many tokens: {both(more)}." if more else ""
        return (
            f"Measured with both methods on one GPU, all else equal: LoRA took less in {less}; "
            f"full fine-tuning took {_range(ratio)} times as much, {ratio.median():.2f} in the median: "
            f"{both(by_source)}.{exception}"
        )


def _range(ratio: pd.Series[float]) -> str:
    return f"{ratio.min():.2f} to {ratio.max():.2f}"


def predicted_saving(memory: pd.DataFrame) -> list[str]:
    """Return, for each base model, what full fine-tuning and LoRA peak at by the planner, in words."""
    rows = memory[memory["peak_bytes"].notna()]
    full, lora = (rows[rows["method"] == method].set_index("base_model") for method in ("full", LORA))
    return [
        f"{peak_in_words(full.loc[model])} against {peak_in_words(lora.loc[model])} on {model}, "
        f"{full.loc[model, 'peak_bytes'] / lora.loc[model, 'peak_bytes']:.1f} times less"
        for model in lora.index
        if model in full.index
    ]


def step_in_words(memory: pd.DataFrame) -> str:
    """Return the setting of the predicted peaks: ``4 × 1,024 tokens without checkpointing``."""
    first = memory.dropna(subset=["micro_batch"]).iloc[0]
    return f"{first['micro_batch']} × {first['sequence']:,} tokens without checkpointing"


def peak_in_words(row: pd.Series[Any]) -> str:
    """Return the predicted peak of a row of the memory table with its interval."""
    low, high = row["peak_low_bytes"] / 1e9, row["peak_high_bytes"] / 1e9
    return f"{row['peak_bytes'] / 1e9:.1f} GB [{low:.1f}, {high:.1f}]"


def memory_checks(predictions: pd.DataFrame) -> list[Finding]:
    """Return checks of the planner on measured runs, and of each source on what its own settings need at least."""
    return [*_accuracy(comparable(predictions)), _none_fits(predictions), *_floors(predictions)]


def comparable(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the runs whose predicted peak can be compared with a measured one that can hold."""
    return predictions[predictions["relative_error"].notna() & predictions["finding"].isna()]


def _accuracy(rows: pd.DataFrame) -> Iterator[Finding]:
    errors = rows["relative_error"].abs()
    if errors.empty:
        return
    far, median = int((errors > FAR).sum()), float(errors.median())
    about = f"{len(rows)} runs of {rows['source'].nunique()} sources"
    yield check(
        "predicted_peaks_median",
        f"The median error of predicted peaks of training memory is below {100 * LARGEST_MEDIAN:.0f} %",
        ATLAS, int(median >= LARGEST_MEDIAN), len(rows), "medians",
        f"{100 * median:.1f} % over {about}, with an interval and rules that leave each source's own runs out.",
        "predictions: predicted_gb, measured_gb, relative_error",
    )  # fmt: skip
    yield check(
        "predicted_peaks_share",
        f"{100 * LEAST_SHARE:.0f} % of predicted peaks are within {100 * FAR:.0f} % of the measured ones",
        ATLAS, far if far > (1 - LEAST_SHARE) * len(rows) else 0, len(rows), "runs",
        f"{len(rows) - far} of {about} are, {100 * (1 - far / len(rows)):.1f} %.",
        "predictions: predicted_gb, measured_gb, relative_error",
    )  # fmt: skip


def _none_fits(predictions: pd.DataFrame) -> Finding:
    lost = predictions[predictions["out_of_memory"].fillna(value=False) & predictions["verdict"].notna()]
    wrong = lost[lost["verdict"] == FITS]
    listed = f" Wrong: {both(list(wrong['record']))}." if len(wrong) else ""
    return check(
        "predicted_fits",
        "No run that ran out of memory on a known card is predicted to fit it",
        ATLAS, len(wrong), len(lost), "runs",
        f"{len(lost) - len(wrong)} of {len(lost)} are predicted not to fit, or not decided.{listed}",
        "predictions: out_of_memory=True, verdict",
    )  # fmt: skip


def _floors(predictions: pd.DataFrame) -> Iterator[Finding]:
    """Return, for each source but ourselves, whether every printed peak can hold."""
    others = ~predictions["source"].str.startswith(ATLAS)
    printed = predictions[predictions["relative_error"].notna() & others]
    for source, rows in printed.groupby("source", sort=False):
        wrong = rows[rows["finding"].notna()]
        words = [f"{row.method} fine-tuning of {row.model} ({row.record}): {row.finding}" for row in wrong.itertuples()]
        yield check(
            f"printed_peaks_{slug(str(source))}",
            f"Every peak of training memory that {source} prints is at least weights, gradients and moments of the "
            "setting that it states",
            str(source), len(wrong), len(rows), "printed peaks",
            f"{len(rows) - len(wrong)} of {len(rows)} can hold. {'. '.join(words)}{'.' if words else ''}".strip(),
            f"predictions: source={source}, floor_gb, finding",
        )  # fmt: skip
