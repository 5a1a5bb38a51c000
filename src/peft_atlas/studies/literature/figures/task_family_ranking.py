"""How the methods rank on commonsense reasoning and on arithmetic reasoning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peft_atlas.figures.panels import panels_for
from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import label_panels, method_mark
from peft_atlas.studies.literature.families import COMMONSENSE
from peft_atlas.studies.literature.figures.printed import (
    NO_INTERVAL,
    families_of,
    from_others,
    in_order,
    models_of,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

_FAMILIES = (COMMONSENSE, "Arithmetic Reasoning")
SPEC = FigureSpec(
    name="task_family_ranking",
    title="The ranking on commonsense reasoning against that on arithmetic reasoning",
    section="published",
    study="literature",
    order=6,
    tables=("published",),
    height=0.36,
    panels=(1, 2),
)


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return rank and accuracy in both families of the methods that ReFT v3 prints in both, by model."""
    from peft_atlas.studies.literature.scores import scores_of_all

    rows = in_order(scores_of_all(tables["published"]))
    rows = rows[rows["family"].isin(_FAMILIES)]
    shared = rows.groupby(["base_model", "method"])["family"].transform("nunique") == len(_FAMILIES)
    rows = rows[shared].copy()
    ranks = rows.groupby(["base_model", "family"])["accuracy"].rank(ascending=False, method="min")
    rows["place"] = ranks.astype(int)
    columns = ["base_model", "family", "method", "place", "accuracy", "accuracy_printed", "source"]
    return rows[columns].assign(unit="percent").reset_index(drop=True)


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw one panel per model: a line per method between its two places."""
    families, models = families_of(plotted["family"]), models_of(plotted["base_model"])
    axes = panels_for(axes, 1, len(models))
    for axis, model in zip(axes, models, strict=True):
        rows = plotted[plotted["base_model"] == model]
        for method, places in rows.groupby("method", sort=False):
            mark = method_mark(str(method), style)
            ends = places.set_index("family").loc[families]
            axis.plot(range(len(ends)), ends["place"], marker=mark.marker, color=mark.colour, markersize=6)
            _label_ends(axis, str(method), ends)
        axis.set_xticks(range(len(families)), [family.replace(" ", "\n") for family in families])
        axis.set_xlim(-1.15, len(families) - 0.1)
        axis.set_yticks(range(1, rows["method"].nunique() + 1))
        axis.set_ylim(rows["method"].nunique() + 0.5, 0.5)
        axis.set_title(model)
        axis.grid(visible=False)
        axis.tick_params(axis="x", length=0)
        axis.spines["bottom"].set_visible(False)
    axes[0].set_ylabel("Place by average accuracy")
    label_panels(axes)


def _label_ends(axis: Axes, method: str, ends: pd.DataFrame) -> None:
    """Write method and accuracy outside of both ends of its line."""
    for place, side in ((0, -1), (len(ends) - 1, 1)):
        row = ends.iloc[place]
        words = f"{method}  {row['accuracy_printed']}" if side < 0 else f"{row['accuracy_printed']}  {method}"
        axis.annotate(
            words,
            (place, row["place"]),
            (8 * side, 0),
            textcoords="offset points",
            ha="right" if side < 0 else "left",
            va="center",
        )


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    families, sentences = families_of(plotted["family"]), []
    for model in models_of(plotted["base_model"]):
        rows = plotted[plotted["base_model"] == model]
        wide = rows.pivot(index="method", columns="family", values="place")[families]
        best = [wide[family].idxmin() for family in families]
        tau = float(rows.pivot(index="method", columns="family", values="accuracy").corr(method="kendall").iloc[0, 1])
        sentences.append(
            f"On {model} the best on {families[0].lower()}, {best[0]}, is place {wide.loc[best[0], families[1]]} on "
            f"{families[1].lower()}, the best there, {best[1]}, place {wide.loc[best[1], families[0]]} (Kendall's tau "
            f"{tau:+.2f} over {len(wide)} methods)."
        )
    caption = (
        "Place by average accuracy among the methods that ReFT v3 prints for both families; next to the ends: average "
        f"accuracy in percent. DoRA is printed for commonsense reasoning alone."
        f"{from_others(plotted)} {NO_INTERVAL}"
    )
    return Description(caption, " ".join(sentences))
