"""The best learning rate at each rank of 35 models, and what one rate for all ranks costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from peft_atlas.figures.spec import Description, FigureSpec
from peft_atlas.figures.style import label_panels
from peft_atlas.studies.record.jobs import NAME

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from peft_atlas.config import FigureStyle

SPEC = FigureSpec(
    name="best_rate_by_rank",
    title="The best learning rate against the rank, 35 models",
    section="published",
    study=NAME,
    order=23,
    tables=("rate_runs",),
    height=0.46,
    panels=(1, 2),
)
_COLOUR, _OTHER = "#0072b2", "#767676"
# Area of a circle per model, in points squared.
_AREA = 12.0
# A circle of more models holds its number; that of fewer has it at its side.
_INSIDE = 4


def select(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the best rate of each model and rank, how it moves, and what one rate for all ranks costs the model."""
    from peft_atlas.studies.record.sweep import best_rates, cells, directions, one_rate_cost

    grid = cells(tables["rate_runs"])
    best = best_rates(grid)
    moves, costs = directions(best), one_rate_cost(grid)
    return best.assign(
        direction=best["model"].map(moves), one_rate_cost_percent=best["model"].map(costs), unit="learning rate"
    )


def draw(plotted: pd.DataFrame, axes: Sequence[Axes], style: FigureStyle) -> None:
    """Draw circles by the number of models, joined from rank to rank, and the cost of one rate by model."""
    left, right = axes
    for (first, second), n in _steps(plotted).items():
        left.plot(*zip(first, second, strict=True), color=_COLOUR, linewidth=0.35 * n, alpha=0.35, zorder=1)
    counts = plotted.groupby(["rank", "learning_rate"]).size()
    for (rank, rate), n in counts.items():
        left.scatter([rank], [rate], s=_AREA * n, color=_COLOUR, zorder=2, linewidths=0)
        inside = n > _INSIDE
        left.annotate(
            f"{n}", (rank, rate), (0 if inside else 4, 0), textcoords="offset points", va="center",
            ha="center" if inside else "left", fontsize=style.font_size - 2, color="white" if inside else "0.2",
            zorder=3,
        )  # fmt: skip
    left.set_xscale("log", base=2)
    left.set_yscale("log")
    ranks = sorted(plotted["rank"].unique())
    left.set_xticks(ranks, [str(rank) for rank in ranks])
    left.minorticks_off()
    left.margins(0.12)
    left.set(xlabel="Rank (log scale)", ylabel="Best learning rate (log scale)", title="Models by best rate")
    costs = plotted.drop_duplicates("model").dropna(subset=["one_rate_cost_percent"])
    costs = costs.sort_values("one_rate_cost_percent")["one_rate_cost_percent"]
    right.plot(costs, range(len(costs)), "o", color=_COLOUR, markersize=3.5)
    right.axvline(costs.median(), color=_OTHER, linestyle="--", linewidth=0.9, label=f"median {costs.median():.2f} %")
    right.set_yticks([])
    right.set(xlabel="Loss added by one rate for all ranks (%)", ylabel="Models, sorted", title="What one rate costs")
    right.legend(loc="lower right")
    label_panels(axes)


def _steps(plotted: pd.DataFrame) -> dict[tuple[tuple[int, float], tuple[int, float]], int]:
    """Return how many models go from one rank and best rate to the next."""
    found: dict[tuple[tuple[int, float], tuple[int, float]], int] = {}
    for _, line in plotted.sort_values("rank").groupby("model"):
        places = [(int(rank), float(rate)) for rank, rate in zip(line["rank"], line["learning_rate"], strict=True)]
        for step in pairwise(places):
            found[step] = found.get(step, 0) + 1
    return found


def describe(plotted: pd.DataFrame) -> Description:
    """Return caption and finding."""
    models = plotted.drop_duplicates("model")
    counts = models["direction"].value_counts()
    words = ", ".join(f"{name} in {n}" for name, n in counts.items())
    falling = int(counts.get("falling with rank", 0))
    finding = (
        f"Over {len(models)} models the best rate is {words}; it falls in {falling or 'none'}. One rate for all ranks "
        f"costs {models['one_rate_cost_percent'].max():.1f} % of the loss at most."
    )
    caption = (
        "tinker-cookbook's sweep, LoRA at a fixed alpha, tulu3, batch 128, 780 steps; numbers in circles count models. "
        "Rates are about a factor of 3 apart, and most cells are one run, so there is no interval."
    )
    return Description(caption, finding)
