"""Printed percentages of parameters next to those recomputed from documented configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import MODELS, REFERENCE_COLOUR, label_panels, method_mark
from peft_atlas.studies.literature.figures.printed import in_order, percent_limits

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="printed_recomputed",
    title="Printed against recomputed percentages of parameters",
    section="recomputed",
    study="literature",
    order=1,
    tables=("published", "parameters"),
    height=0.78,
    panels=(2, 1),
    narrow_height=1.4,
)
_NOTHING = "nothing"
# Columns at the right of a panel: points from its edge, and what each holds.
_COLUMNS = (10, 90, 218)
_HEADS = ("printed %", "recomputed %", "parameters")


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return every printed percentage with the configuration that gives it, or else with the nearest one."""
    from peft_atlas.studies.literature.recomputation import PERCENT, base_method, match_printed

    matched = match_printed(tables["published"], tables["parameters"])
    matched = matched[(matched["metric"] == PERCENT) & matched["base_model"].isin(MODELS)]
    matched = matched.assign(method=matched["method"].map(base_method), fits=matched["fit"] != _NOTHING)
    # Digits of a log beyond the table's are one more reading of the same number.
    matched = matched.assign(reading=[f"{float(text):.3f}" if len(text) > 6 else text for text in matched["printed"]])
    keys = ["base_model", "method", "fits", "setting", "trainable_params", "percent", "reading", "value"]
    rows = matched.groupby(keys, sort=False)["source"].agg(lambda names: ", ".join(dict.fromkeys(names))).reset_index()
    return in_order(rows).assign(unit="percent")


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw a panel per model and a row per configuration: printed filled, recomputed as a ring, digits at the right."""
    for axis, model in zip(axes, MODELS, strict=True):
        rows = plotted[plotted["base_model"] == model]
        groups = [group for _, group in rows.groupby(["method", "fits", "setting"], sort=False)]
        for place, group in enumerate(groups):
            _draw_row(axis, place, group, style)
            if not style.narrow:
                _write_row(axis, place, group, style)
        axis.set_yticks(range(len(groups)), [_label(group.iloc[0], rows) for group in groups])
        axis.set_ylim(len(groups) - 0.4, -0.6)
        axis.set_xscale("log")
        axis.set_xlim(*percent_limits(plotted["value"], 0.016, 7))
        axis.set_xticks([0.03, 0.1, 0.3, 1, 3], ["0.03", "0.1", "0.3", "1", "3"])
        axis.minorticks_off()
        axis.grid(visible=False, axis="y")
        axis.set_title(model)
    axes[-1].set_xlabel("Trainable parameters (%, log scale)")
    _add_legend(axes, style)
    label_panels(axes)


def _label(first: pd.Series[Any], rows: pd.DataFrame) -> str:
    """Return a row's name: its method, with the configuration where the method has several."""
    if not first["fits"]:
        return f"{first['method']}, none fits"
    settings = set(rows.loc[(rows["method"] == first["method"]), "setting"])
    return f"{first['method']}, {_short(first['setting'])}" if len(settings) > 1 else str(first["method"])


def _short(setting: str) -> str:
    """Return the first words of a configuration: ``10 tokens`` or ``once a layer``."""
    return setting.split(":")[0].split(",")[0].replace("virtual ", "")


def _draw_row(axis: Axes, place: int, group: pd.DataFrame, style: FigureStyle) -> None:
    """Draw a configuration as a ring, and the readings that it gives, or that are nearest to it."""
    first = group.iloc[0]
    colour = method_mark(first["method"], style).colour if first["fits"] else REFERENCE_COLOUR
    marker = "o" if first["fits"] else "X"
    axis.plot([first["percent"], group["value"].iloc[0]], [place, place], color=colour, linewidth=1)
    axis.plot(first["percent"], place, "o", color="none", markeredgecolor="0.15", markersize=8.5)
    axis.plot(group["value"], [place] * len(group), marker, color=colour, markersize=5, linestyle="none")


def _write_row(axis: Axes, place: int, group: pd.DataFrame, style: FigureStyle) -> None:
    """Write at the right what is printed, what is recomputed and the count behind it."""
    first = group.iloc[0]
    recomputed = f"{first['percent']:.4f}" + ("" if first["fits"] else f" ({_short(first['setting'])})")
    texts = (", ".join(dict.fromkeys(group["reading"])), recomputed, f"{first['trainable_params']:,}")
    for offset, text, side in zip(_COLUMNS, texts, ("left", "left", "right"), strict=True):
        axis.annotate(
            text,
            (1, place),
            (offset, 0),
            xycoords=axis.get_yaxis_transform(),
            textcoords="offset points",
            ha=side,
            va="center",
            color="0.1" if first["fits"] else REFERENCE_COLOUR,
            fontsize=style.font_size - 1,
        )


def _add_legend(axes: Sequence[Axes], style: FigureStyle) -> None:
    """Write what marks mean, and the heads of the three columns at the right."""
    grey: dict[str, Any] = {"linestyle": "none"}
    axes[1].plot([], [], "o", color="0.3", markersize=5, label="printed", **grey)
    axes[1].plot([], [], "X", color=REFERENCE_COLOUR, markersize=5, label="printed, fits no configuration", **grey)
    axes[1].plot([], [], "o", color="none", markeredgecolor="0.15", markersize=8.5, label="recomputed", **grey)
    axes[0].figure.legend(
        *axes[1].get_legend_handles_labels(), loc="outside lower center", ncols=1 if style.narrow else 3
    )
    for axis in [] if style.narrow else axes:
        for offset, head, side in zip(_COLUMNS, _HEADS, ("left", "left", "right"), strict=True):
            place: dict[str, Any] = {
                "xycoords": "axes fraction",
                "textcoords": "offset points",
                "ha": side,
                "va": "bottom",
            }
            axis.annotate(head, (1, 1), (offset, 4), **place)


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    lost = plotted[~plotted["fits"]]
    wrong = "; ".join(
        f"{row.reading} for {row.method} on {row.base_model} ({row.source})"
        for row in lost.drop_duplicates(["base_model", "method", "reading"]).itertuples()
    )
    finding = (
        f"Documented configurations give {plotted['fits'].sum()} of the {len(plotted)} different printed percentages; "
        f"they do not give {wrong}."
    )
    caption = (
        "Ring: percentage of base and adapter that a documented configuration trains. Filled: percentages that sources "
        "print and that this configuration gives at the printed decimals, zeros at the end being padding. Cross: a "
        "percentage that no configuration gives, joined to the nearest. Counts are exact, so there is no interval."
    )
    return Description(caption, finding)
