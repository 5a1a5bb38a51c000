"""Whether the published order of methods is the measured one: Spearman's rank correlation, seed by seed."""

from __future__ import annotations

import pandas as pd
import scipy

from peft_atlas.analysis.statistics import Estimate, mean_interval
from peft_atlas.studies.encoder.contrasts import chosen_runs, main_task
from peft_atlas.studies.literature.scores import COMMONSENSE, scores

BASE_MODEL = "LLaMA-7B"
# Of LoRA's settings the one on the modules that DoRA's stands on.
_SETTINGS = ("query, key, value",)


def common_methods(runs: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of the main task of methods that are published too, with the ``published`` average.

    Parameters
    ----------
    runs
        Runs of the encoder study.
    published
        Table of that contract.
    """
    printed = scores(published)
    printed = printed[(printed["base_model"] == BASE_MODEL) & (printed["family"] == COMMONSENSE)]
    chosen = chosen_runs(runs)
    chosen = chosen[chosen["setting"].isna() | chosen["setting"].isin(_SETTINGS)]
    chosen = chosen[chosen["task"] == main_task(runs)]
    return chosen.merge(
        printed[["method", "accuracy"]].rename(columns={"accuracy": "published"}), on="method", how="inner"
    )


def rank_correlation(common: pd.DataFrame, confidence: float) -> Estimate:
    """Return the mean over seeds of Spearman's correlation of measured with published accuracy, with its interval.

    A seed that lacks a method is left out; with fewer than three methods there is nothing to correlate.
    """
    wide = common.pivot(index="seed", columns="method", values="test_accuracy").astype(float).dropna()
    if wide.shape[1] < 3:
        return Estimate(None, None, None, None, 0)
    printed = common.drop_duplicates("method").set_index("method")["published"].reindex(wide.columns)
    return mean_interval([scipy.stats.spearmanr(row, printed).statistic for row in wide.to_numpy()], confidence)
