"""Bytes that training takes by method and precision, against sizes of GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
# Each precision's name, and the points from a panel's right edge at which its numbers end.
_PRECISIONS = {"bf16_mixed": ("bf16 mixed precision", 26), "fp32": ("fp32", 54)}
_GPU = "0.55"


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return gigabytes (10^9 bytes) by model, configuration and precision, full fine-tuning first."""
    memory = tables["memory"]
    rows = memory[memory["base_model"].isin(MODELS)]
    # A method without a colour of its own comes last, by name, and is drawn all the same.
    known = [_FULL, *METHODS]
    others = sorted(set(rows["method"]) - set(known))
    order = {method: place for place, method in enumerate([*known, *others])}
    rows = rows.assign(gigabytes=rows["total_bytes"] / 1e9, order=rows["method"].map(order))
    rows = rows.sort_values(["order", "setting", "base_model", "precision"], kind="stable", ignore_index=True)
    rows["label"] = [_label(row, rows) for row in rows.itertuples()]
    fits = [name for name in rows.columns if name.startswith("fits_")]
    columns = ["base_model", "method", "setting", "label", "precision", "trainable_params", "gigabytes", *fits]
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
    """Draw one panel a model, one row a configuration, a marker a precision, and a line a size of GPU."""
    labels, sizes = list(dict.fromkeys(plotted["label"])), _sizes(plotted)
    for axis, model in zip(axes, MODELS, strict=True):
        rows = plotted[plotted["base_model"] == model]
        for size in sizes:
            axis.axvline(size, color=_GPU, linestyle="--", linewidth=0.9, zorder=0)
        for label, pair in rows.groupby("label", sort=False):
            _draw_pair(axis, labels.index(label), pair.set_index("precision"), style)
        axis.set_xscale("log")
        axis.set_xlim(10, 280)
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


def _draw_pair(axis: Axes, place: int, pair: pd.DataFrame, style: FigureStyle) -> None:
    """Draw both precisions of one configuration, joined, and write their gigabytes at the right."""
    method = pair["method"].iloc[0]
    mark = method_mark(method, style)
    axis.plot(pair["gigabytes"], [place] * len(pair), color=mark.colour, linewidth=0.8)
    # bf16 last: where both are equal it is the one that shows.
    for (precision, (_, offset)), face in zip(reversed(_PRECISIONS.items()), ("white", mark.colour), strict=True):
        value = pair.loc[precision, "gigabytes"]
        axis.plot(value, place, mark.marker, color=mark.colour, markerfacecolor=face, markersize=5.5)
        _write(axis, f"{value:.1f}", (1, place), (offset, 0), axis.get_yaxis_transform(), style.font_size - 1)


def _write(
    axis: Axes, text: str, where: tuple[float, float], offset: tuple[float, float], transform: Any, size: float
) -> None:
    """Write a text flush right, so many points from a place at the panel's right edge."""
    axis.annotate(
        text, where, offset, xycoords=transform, textcoords="offset points", ha="right", va="center", fontsize=size
    )


def _add_legend(axes: Sequence[Axes], sizes: list[int], style: FigureStyle) -> None:
    """Write what markers and lines mean, and the heads of the columns at the right of each panel."""
    for precision, (name, offset) in _PRECISIONS.items():
        face = "0.3" if precision == "bf16_mixed" else "white"
        axes[0].plot([], [], "o", color="0.3", markerfacecolor=face, linestyle="none", label=name)
        for axis in axes:
            _write(axis, name.split()[0], (1, 1), (offset, 6), "axes fraction", style.font_size - 1)
    label = f"GPUs of {', '.join(map(str, sizes))} GB"
    axes[0].plot([], [], color=_GPU, linestyle="--", linewidth=0.9, label=label)
    axes[0].figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2 if style.narrow else 3
    )


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    half = plotted[plotted["precision"] == "bf16_mixed"]
    sizes, sentences = _sizes(plotted), []
    for model in MODELS:
        rows = half[half["base_model"] == model].set_index("method")
        full, others = rows.loc[_FULL], rows[rows.index != _FULL]
        smallest = min((s for s in sizes if others[f"fits_{s}gb"].all()), default=None)
        beyond = "exceeds" if not full[f"fits_{sizes[-1]}gb"] else "stays within"
        sentences.append(
            f"On {model} full fine-tuning needs {full['gigabytes']:.0f} GB and {beyond} one GPU of {sizes[-1]} GB; in "
            f"bf16 LoRA needs {others.loc['LoRA', 'gigabytes']:.1f} GB, and every other method stays within "
            f"{smallest or 'no size shown'} GB."
        )
    caption = (
        "Weights, gradients and both moments of AdamW, computed from counts; GB: 10^9 bytes. In bf16 mixed precision a "
        "trained weight has an fp32 copy, so full fine-tuning takes the same in both. Activations come on top: right "
        "of a line training with AdamW in these precisions is impossible without offloading, left of it not yet shown "
        "possible. Exact, so without interval."
    )
    return Description(caption, " ".join(sentences))
