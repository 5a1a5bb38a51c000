"""Percentage of parameters that each method trains on LLaMA-7B and 13B."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import (
    LABEL_BOX,
    MODEL_MARKERS,
    MODELS,
    REFERENCE_COLOUR,
    label_panels,
    method_mark,
)
from peft_atlas.studies.literature.figures.printed import (
    CORRECTED,
    NO_INTERVAL,
    SEED,
    added_percentages,
    in_order,
    methods_of,
    percent_limits,
    percentages,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="method_parameters",
    title="Trainable parameters of each method on LLaMA-7B and LLaMA-13B",
    section="published",
    study="literature",
    order=2,
    tables=("published",),
    height=0.4,
    panels=(1, 2),
    appendix=True,
)


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the percentages of the seed notebook next to those of ReFT v3, by model and method."""
    import pandas as pd

    seed, corrected = (percentages(tables["published"], source) for source in (SEED, CORRECTED))
    new = added_percentages(tables["published"])
    corrected = pd.concat([corrected, new], ignore_index=True)
    # A method of another source has no number in the seed notebook.
    seed = pd.concat([seed, new[["base_model", "method"]]], ignore_index=True)
    both = seed.merge(corrected, on=["base_model", "method"], how="left", suffixes=("_seed", "_corrected"))
    both["source"] = both["source_corrected"]
    columns = ["source", "base_model", "method", "printed_seed", "value_seed", "printed_corrected", "value_corrected"]
    return in_order(both[columns]).assign(unit="percent")


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw one panel per model: the seed's number filled, ReFT v3's as a ring, on a log axis."""
    methods = methods_of(plotted["method"])
    for axis, model in zip(axes, MODELS, strict=True):
        rows = plotted[plotted["base_model"] == model]
        places = rows["method"].map(methods.index)
        axis.hlines(places, rows["value_seed"], rows["value_corrected"], color="0.6", linewidth=1)
        for place, row in zip(places, rows.itertuples(), strict=True):
            mark = method_mark(row.method, style)
            axis.plot(row.value_seed, place, MODEL_MARKERS[model], color=mark.colour, markersize=5)
            axis.plot(row.value_corrected, place, "o", color="none", markeredgecolor="0.15", markersize=8.5)
            # Beside the seed's own mark, on the side away from the ring.
            side = 1 if row.value_seed > 1.05 * row.value_corrected else -1
            quoted = row.source == CORRECTED
            axis.annotate(
                row.printed_seed if quoted else row.printed_corrected,
                (row.value_seed if quoted else row.value_corrected, place),
                (8 * side, 0),
                textcoords="offset points",
                ha="left" if side > 0 else "right",
                va="center",
                bbox=LABEL_BOX,
            )
        axis.axvline(1, color=REFERENCE_COLOUR, linestyle="--", linewidth=1)
        axis.set_xscale("log")
        axis.set_xlim(*percent_limits(plotted["value_seed"].fillna(plotted["value_corrected"]), 0.008, 8))
        axis.set_xticks([0.03, 0.1, 0.3, 1, 3], ["0.03", "0.1", "0.3", "1", "3"])
        axis.minorticks_off()
        axis.set_yticks(range(len(methods)), methods)
        axis.set_ylim(len(methods) - 0.5, -0.8)
        axis.set(title=model, xlabel="Trainable parameters (%, log scale)")
        axis.grid(visible=False, axis="y")
    if not style.narrow:
        axes[1].set_yticklabels([])
    axes[0].plot([], [], "o", color="0.3", markersize=5, linestyle="none", label="seed notebook")
    axes[0].plot([], [], "o", color="none", markeredgecolor="0.15", markersize=8.5, label="ReFT v3, corrected")
    axes[0].figure.legend(loc="outside lower center", ncols=2)
    label_panels(axes)


def _others(plotted: pd.DataFrame) -> str:
    """Return which other sources there are rings of, empty where there is none."""
    others = [source for source in dict.fromkeys(plotted["source"].dropna()) if source != CORRECTED]
    return f" or, for a method that neither prints, of {', '.join(others)}" if others else ""


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    off = plotted[(plotted["value_seed"] / plotted["value_corrected"] - 1).abs() > 0.05]
    listed = "; ".join(
        f"{row.method} {row.base_model.removeprefix('LLaMA-')} {row.printed_seed} against {row.printed_corrected}"
        for row in off.itertuples()
    )
    quoted = plotted["value_seed"].notna().sum()
    finding = f"{len(off)} of {quoted} percentages differ from ReFT v3 by more than a twentieth: {listed}."
    caption = (
        "Filled: the number that the seed notebook quotes from the survey. Ring: the later, corrected number of ReFT "
        f"v3{_others(plotted)}. Dashed: 1 %. {NO_INTERVAL}"
    )
    return Description(caption, finding)
