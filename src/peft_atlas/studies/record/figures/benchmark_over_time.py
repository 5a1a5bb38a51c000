"""Accuracy of each experiment of peft's benchmark over its passes, with the noise of reruns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import method_mark
from peft_atlas.studies.record.jobs import NAME

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="benchmark_over_time",
    title="One benchmark, rerun: accuracy by pass",
    section="published",
    study=NAME,
    order=20,
    tables=("benchmark_runs",),
    height=0.52,
    narrow_height=1.15,
)
# What is drawn in colour: the experiment's label, the method whose mark it has, and its line.
_SHOWN = {
    "full-finetuning/llama-3.2-3B-lr_0.00001": ("full", "full", "-"),
    "lora/llama-3.2-3B-rank32": ("LoRA, query and value", "LoRA", "-"),
    "lora/llama-3.2-3B-rank10-target-mlp": ("LoRA, MLP", "LoRA", "--"),
    "lora/llama-3.2-3B-rank32-dora": ("DoRA", "DoRA", "-"),
}
_LEAST = 30.0
_OTHER = "0.72"


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the accuracy of every experiment in every pass, with the interval that reruns give one run."""
    import pandas as pd

    from peft_atlas.studies.record.audit import drifts, largest_noise
    from peft_atlas.studies.record.passes import math_runs, passes

    rows = math_runs(tables["benchmark_runs"])
    found, noise = passes(rows), largest_noise(rows)
    parts = [
        passed.reset_index()[["experiment", "points"]].assign(pass_name=name, place=place)
        for place, (name, passed) in enumerate(found.items())
    ]
    whole = pd.concat(parts, ignore_index=True)
    half = noise.half_width() / 2**0.5
    whole = whole.assign(low=whole["points"] - half, high=whole["points"] + half, noise_sd=noise.sd, unit="percent")
    drift = drifts(found).sort_values("p_value").iloc[0]
    for name in ("earlier", "later", "n", "down", "mean"):
        whole[f"drift_{name}"] = drift[name]
    return whole[whole["points"] >= _LEAST].sort_values(["experiment", "place"], ignore_index=True)


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw a line per experiment, four of them in colour with a band."""
    axis = axes[0]
    for experiment, line in plotted.groupby("experiment"):
        if experiment not in _SHOWN:
            alone = "." if len(line) == 1 else ""
            axis.plot(
                line["place"], line["points"], color=_OTHER, linewidth=0.6, marker=alone, markersize=2.5, zorder=1
            )
    for experiment, (label, method, dashes) in _SHOWN.items():
        line = plotted[plotted["experiment"] == experiment]
        if len(line):
            mark = method_mark(method, style)
            axis.fill_between(line["place"], line["low"], line["high"], color=mark.colour, alpha=0.1, linewidth=0)
            face = "white" if dashes == "--" else mark.colour
            axis.plot(
                line["place"], line["points"], color=mark.colour, marker=mark.marker, linestyle=dashes,
                markerfacecolor=face, label=label, zorder=3,
            )  # fmt: skip
    axis.plot([], [], color=_OTHER, linewidth=0.8, label="other experiments")
    names = plotted.drop_duplicates("place").sort_values("place")["pass_name"]
    axis.set_xticks(sorted(plotted["place"].unique()), [_short(name) for name in names])
    axis.set_ylabel("GSM8K accuracy (%)")
    axis.set_ylim(_LEAST, None)
    columns = 2 if style.narrow else 5
    axis.figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=columns)


def _short(name: str) -> str:
    """Return a pass's name on up to three lines."""
    month, year, *request = name.split(" ", 2)
    text = f"{month[:3]}\n{year}"
    return text + (f"\n(PR {request[0].strip('()').split()[-1]})" if request else "")


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    wide = plotted.pivot_table(index="experiment", columns="place", values="points")
    full, lora = (wide.loc[name] for name in list(_SHOWN)[:2])
    leads, drift = (full - lora).dropna(), plotted.iloc[0]
    finding = (
        f"From {drift['drift_earlier']} to {drift['drift_later']} {drift['drift_down']} of {drift['drift_n']} "
        f"experiments fell, by {abs(drift['drift_mean']):.1f} points on average; full fine-tuning less LoRA lies "
        f"between {leads.min():+.1f} and {leads.max():+.1f} points from pass to pass."
    )
    caption = (
        "peft's method comparison, Llama-3.2-3B trained on MetaMathQA, seed 0; a line is one experiment, rerun with "
        f"equal settings. Band: 95 % interval of one run from the noise of reruns in the noisiest month (standard "
        f"deviation {plotted['noise_sd'].iloc[0]:.2f} points). Runs below {_LEAST:g} % are not drawn."
    )
    return Description(caption, finding)
