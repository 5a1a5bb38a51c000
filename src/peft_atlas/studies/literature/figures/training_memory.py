"""Bytes that training takes by method, without activations and with them, against sizes of GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from typing import TYPE_CHECKING, Any

from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import METHODS, MODELS, label_panels, method_mark

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="training_memory",
    title="Memory that training takes, against one GPU",
    section="recomputed",
    study="literature",
    order=2,
    tables=("memory",),
    height=0.44,
    panels=(1, 2),
)
_FULL = "full"
_PRECISION = "bf16_mixed"
# What is drawn of a row: its name, and the points from a panel's right edge at which its numbers end.
_MARKS = {"states": ("weights, gradients and moments", 30), "peak": ("predicted peak, with its interval", 58)}
_HEADS = {"states": "states", "peak": "peak"}
_GPU = "0.55"


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return gigabytes (10^9 bytes) by model and configuration in bf16 mixed precision, full fine-tuning first."""
    memory = tables["memory"]
    rows = memory[memory["base_model"].isin(MODELS) & (memory["precision"] == _PRECISION)]
    # A method without a colour of its own comes last, by name, and is drawn all the same.
    known = [_FULL, *METHODS]
    others = sorted(set(rows["method"]) - set(known))
    order = {method: place for place, method in enumerate([*known, *others])}
    sizes = {"states": "total_bytes", "peak": "peak_bytes", "low": "peak_low_bytes", "high": "peak_high_bytes"}
    rows = rows.assign(order=rows["method"].map(order))
    rows = rows.assign(**{to: rows[name].astype("float64") / 1e9 for to, name in sizes.items()})
    rows = rows.sort_values(["order", "setting", "base_model"], kind="stable", ignore_index=True)
    rows["label"] = [_label(row, rows) for row in rows.itertuples()]
    columns = ["base_model", "method", "setting", "label", "precision", "trainable_params", *sizes]
    columns += ["micro_batch", "sequence", *(name for name in rows.columns if name.startswith("fits_"))]
    return rows[columns].assign(unit="10^9 bytes")


def _label(row: Any, rows: pd.DataFrame) -> str:
    """Return a configuration's name: its method, and the setting where a method has several."""
    if row.method == _FULL:
        return "full fine-tuning"
    several = len(set(rows.loc[rows["method"] == row.method, "setting"])) > 1
    short = row.setting.split(",")[0].split(":")[0].replace("virtual ", "")
    return f"{row.method}, {short}" if several else row.method


def _sizes(plotted: pd.DataFrame) -> list[int]:
    """Return the sizes of GPU that the memory table judges, in GB."""
    names = [name for name in plotted.columns if name.startswith("fits_")]
    return sorted(int(name.removeprefix("fits_").removesuffix("gb")) for name in names)


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw one panel per model, one row per configuration, a mark without activations and one with them."""
    labels, sizes = list(dict.fromkeys(plotted["label"])), _sizes(plotted)
    for axis, model in zip(axes, MODELS, strict=True):
        rows = plotted[plotted["base_model"] == model]
        for size in sizes:
            axis.axvline(size, color=_GPU, linestyle="--", linewidth=0.9, zorder=0)
        for row in rows.itertuples():
            _draw_row(axis, labels.index(row.label), row, style)
        axis.set_xscale("log")
        axis.set_xlim(10, 330)
        axis.set_xticks([10, *sizes, 200], ["10", *map(str, sizes), "200"])
        axis.minorticks_off()
        axis.set_yticks(range(len(labels)), labels)
        axis.set_ylim(len(labels) - 0.4, -0.7)
        axis.set(title=model, xlabel="Memory (GB, log scale)")
        axis.grid(visible=False)
    if not style.narrow:
        axes[1].set_yticklabels([])
    _add_legend(axes, sizes, style)
    label_panels(axes)


def _draw_row(axis: Axes, place: int, row: Any, style: FigureStyle) -> None:
    """Draw what one configuration keeps, open, and its peak with the interval, filled; write both at the right."""
    mark = method_mark(row.method, style)
    known = not isnan(row.peak)
    if known:
        axis.plot([row.states, row.peak], [place, place], color=mark.colour, linewidth=0.6, linestyle=":")
        axis.plot([row.low, row.high], [place, place], color=mark.colour, linewidth=2.2, solid_capstyle="butt")
        axis.plot(row.peak, place, mark.marker, color=mark.colour, markersize=5.5)
    axis.plot(row.states, place, mark.marker, color=mark.colour, markerfacecolor="white", markersize=5.5)
    for name, (_, offset) in _MARKS.items():
        text = "–" if name == "peak" and not known else f"{getattr(row, name):.1f}"
        _write(axis, text, (1, place), (offset, 0), axis.get_yaxis_transform(), style.font_size - 1)


def _write(
    axis: Axes, text: str, where: tuple[float, float], offset: tuple[float, float], transform: Any, size: float
) -> None:
    """Write a text flush right, so many points from a place at the panel's right edge."""
    axis.annotate(
        text, where, offset, xycoords=transform, textcoords="offset points", ha="right", va="center", fontsize=size
    )


def _add_legend(axes: Sequence[Axes], sizes: list[int], style: FigureStyle) -> None:
    """Write what markers and lines mean, and the heads of the columns at the right of each panel."""
    for kind, (name, offset) in _MARKS.items():
        face = "0.3" if kind == "peak" else "white"
        axes[0].plot([], [], "o", color="0.3", markerfacecolor=face, linestyle="none", label=name)
        for axis in axes:
            _write(axis, _HEADS[kind], (1, 1), (offset, 6), "axes fraction", style.font_size - 1)
    label = f"GPUs of {', '.join(map(str, sizes))} GB"
    axes[0].plot([], [], color=_GPU, linestyle="--", linewidth=0.9, label=label)
    axes[0].figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=1 if style.narrow else 3
    )


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    step = plotted.dropna(subset=["peak"]).iloc[0]
    setting = f"{step['micro_batch']} × {step['sequence']:,} tokens"
    sentences = []
    for model in MODELS:
        rows = plotted[plotted["base_model"] == model].set_index("method")
        full, lora = rows.loc[_FULL], rows.loc["LoRA"]
        sentences.append(
            f"On {model} at {setting} full fine-tuning peaks at {_interval(full)} GB and LoRA at {_interval(lora)} GB, "
            f"{full['peak'] / lora['peak']:.1f} times less; activations left out, it would be "
            f"{full['states'] / lora['states']:.1f} times."
        )
    caption = (
        "bf16 mixed precision with AdamW. Open: weights, gradients, both moments and fp32 copies, exact, from counts. "
        f"Filled: predicted peak of a step of {setting} without checkpointing, activations included, with the 90 % "
        "interval of errors on measured runs; a dash: the method is not modelled. GB: 10^9 bytes. Training fits no GPU "
        "whose line is left of the open mark, without offloading."
    )
    return Description(caption, " ".join(sentences))


def _interval(row: pd.Series[Any]) -> str:
    """Return a peak with its interval in GB."""
    return f"{row['peak']:.0f} [{row['low']:.0f}, {row['high']:.0f}]"
