"""Conclusions of peft's benchmark: the difference in each pass, and its mean with the interval of reruns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import REFERENCE_COLOUR
from peft_atlas.studies.record.jobs import NAME

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="benchmark_conclusions",
    title="Which conclusions of a benchmark survive its own reruns",
    section="published",
    study=NAME,
    order=21,
    tables=("benchmark_runs",),
    height=0.46,
    narrow_height=1.0,
)
_LABELS = {
    "full_above_lora": "full above LoRA",
    "mlp_above_attention": "LoRA: MLP above\nquery and value",
    "rslora": "rsLoRA r = 64\nabove LoRA r = 32",
    "rank_64": "LoRA: r = 64\nabove r = 32",
    "dora": "DoRA above LoRA",
    "lora_above_lorafa": "LoRA above LoRA-FA",
    "ia3_rate": "(IA)3: rate x 10",
    "prompt_tuning_rate": "prompt tuning:\nhigher rate",
}
_COLOURS = {"supported": "#0072b2", "contradicted": REFERENCE_COLOUR, "undecided": "#767676"}


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return each conclusion's difference by pass, with its mean, interval and verdict."""
    import pandas as pd

    from peft_atlas.studies.record.audit import largest_noise
    from peft_atlas.studies.record.conclusions import COMPARISONS, difference, verdict
    from peft_atlas.studies.record.passes import differences, math_runs, passes

    rows = math_runs(tables["benchmark_runs"])
    found, noise = passes(rows), largest_noise(rows)
    parts = []
    for name, statement, left, right in COMPARISONS:
        values = differences(found, left, right)
        if values:
            effect = difference(values, noise)
            part = pd.DataFrame({"pass_name": list(values), "difference": list(values.values())})
            part = part.assign(name=name, statement=statement, mean=effect.size, low=effect.low, high=effect.high)
            judged = verdict(values, effect)
            parts.append(part.assign(interval=effect.interval, verdict=judged, unit="percentage points"))
    whole = pd.concat(parts, ignore_index=True)
    return whole.sort_values(["mean", "name"], kind="stable", ignore_index=True)


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw a row per conclusion: passes hollow, the mean filled with its interval."""
    axis = axes[0]
    names = list(dict.fromkeys(plotted["name"]))
    axis.axvline(0, color="0.4", linewidth=0.8)
    for place, name in enumerate(names):
        rows = plotted[plotted["name"] == name]
        first = rows.iloc[0]
        colour = _COLOURS[first["verdict"]]
        axis.plot(rows["difference"], [place] * len(rows), "o", color=colour, markerfacecolor="white", markersize=4)
        error = [[first["mean"] - first["low"]], [first["high"] - first["mean"]]]
        axis.errorbar([first["mean"]], [place - 0.22], xerr=error, fmt="D", color=colour, markersize=4, linewidth=1.4)
    for word in dict.fromkeys(plotted["verdict"]):
        axis.plot([], [], "D", color=_COLOURS[word], label=f"mean and interval: {word}")
    axis.plot([], [], "o", color="0.3", markerfacecolor="white", label="one pass")
    axis.set_yticks(range(len(names)), [_LABELS.get(name, name.replace("_", " ")) for name in names])
    axis.set_ylim(-0.7, len(names) - 0.4)
    axis.set_xlabel("Difference in accuracy (points)")
    axis.grid(visible=False, axis="y")
    axis.figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=1 if style.narrow else 3)


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    verdicts = plotted.drop_duplicates("name")["verdict"]
    held = int((verdicts == "supported").sum())
    full = plotted[plotted["name"] == "full_above_lora"]
    finding = (
        f"{held} of {len(verdicts)} conclusions have one sign in every pass and exceed what reruns at the same seed "
        f"bring about; that full fine-tuning is above LoRA is {full['verdict'].iloc[0]}, with differences from "
        f"{full['difference'].min():+.1f} to {full['difference'].max():+.1f} points."
    )
    caption = (
        "peft's method comparison, Llama-3.2-3B, MetaMathQA to GSM8K, seed 0. Published as single runs without an "
        f"interval; drawn is {plotted['interval'].iloc[0]}. Supported where it excludes 0 and every pass has the same "
        "sign. Another seed could differ by more."
    )
    return Description(caption, finding)
