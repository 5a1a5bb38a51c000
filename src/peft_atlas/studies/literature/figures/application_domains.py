"""LoRA's percentage of parameters by application domain, with the standing of each number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import LABEL_BOX, REFERENCE_COLOUR, add_legend
from peft_atlas.studies.literature.figures.printed import NO_INTERVAL

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="application_domains",
    title="LoRA's parameter percentage by application domain, as the seed notebook has it",
    section="published",
    study="literature",
    order=1,
    tables=("published", "application_verdicts"),
    height=0.38,
    narrow_height=0.9,
    appendix=True,
)
_STATUS = {
    "supported": ("o", "#2a7f62", "supported by a source, for LLaMA-7B only"),
    "bound": ("<", "#c57b00", "the source gives a bound, not a value"),
    "unsupported": ("X", "#8a8a8a", "no source seen supports it"),
}


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the seed's percentage of each domain with its status and the reason, in the seed's order."""
    published, verdicts = tables["published"], tables["application_verdicts"]
    seed = published[(published["table"] == "applications") & (published["source"] == "seed_notebook")]
    return seed[["task", "printed", "value", "unit"]].merge(verdicts, on="task", how="left", validate="one_to_one")


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw one row per domain, the marker by status, and the 1 % line."""
    axis = axes[0]
    places = range(len(plotted))
    axis.hlines(places, 0, plotted["value"], color="0.8", linewidth=1)
    for status, (marker, colour, label) in _STATUS.items():
        rows = plotted[plotted["status"] == status]
        axis.plot(rows["value"], rows.index, marker, color=colour, markersize=6, label=label, linestyle="none")
    for place, row in zip(places, plotted.itertuples(), strict=True):
        axis.annotate(
            f"{row.printed} %",
            (row.value, place),
            (-8, 0),
            textcoords="offset points",
            va="center",
            ha="right",
            bbox=LABEL_BOX,
        )
    axis.axvline(1, color=REFERENCE_COLOUR, linestyle="--", linewidth=1, label="1 %")
    axis.set_yticks(places, plotted["task"])
    axis.invert_yaxis()
    axis.set_xlim(0, max(1.9, 1.2 * plotted["value"].max()))
    axis.set_xlabel("Trainable parameters (%), as printed")
    axis.grid(visible=False, axis="y")
    add_legend(axis, style, "center right")


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    counts = plotted["status"].value_counts()
    repeated = plotted["printed"].value_counts()
    finding = (
        f"Of {len(plotted)} numbers {counts.get('supported', 0)} are supported, {counts.get('bound', 0)} is a bound "
        f"drawn as a value, and {counts.get('unsupported', 0)} have no source; {repeated.index[0]} appears "
        f"{repeated.iloc[0]} times, in unrelated domains."
    )
    return Description(
        f"The seven numbers of the seed notebook's section 6, which come from different base models. {NO_INTERVAL} "
        "Reasons and sources: data/published/application_verdicts.csv.",
        finding,
    )
