"""The figure of added runs is legible for few and for many settings, and draws an interval where there are seeds."""

import matplotlib as mpl
import pandas as pd
import pytest
from figure_checks import faults_of_text, marks_without_interval

from peft_atlas.config import FigureStyle
from peft_atlas.figures.render import draw_figure, settings
from peft_atlas.studies.added.figures import added_runs
from peft_atlas.tables.added_schemas import ADDED_RUNS


def runs(cells, seeds=2):
    known = {"model": "a/model", "metric": "accuracy", "split": "test", "source": "here"}
    made = [
        {
            **ADDED_RUNS.blank(),
            **known,
            "task": f"a task with a long name {place % 2}",
            "method": "LoRA" if place else "full",
            "setting": f"all the linear layers of it, {place}",
            "rank": None,
            "learning_rate": None,
            "seed": seed,
            "score": 0.5 + 0.01 * place + 0.004 * seed,
        }
        for place in range(cells)
        for seed in range(seeds)
    ]
    return pd.DataFrame(made)


@pytest.mark.parametrize("preset", ["one_column", "two_columns", "slide"])
@pytest.mark.parametrize("cells", [1, 8, 30])
def test_labels_are_legible(cells, preset):
    style = FigureStyle(preset=preset)
    figure = draw_figure(added_runs, added_runs.select({"added_runs": runs(cells)}), style)
    with mpl.rc_context(settings(added_runs.SPEC, style)):
        assert faults_of_text(figure) == []
    assert len(figure.axes[0].get_yticks()) == min(cells, 20)


def test_a_mean_has_an_interval_where_there_are_seeds_and_is_left_out_where_there_are_none():
    drawn = draw_figure(added_runs, added_runs.select({"added_runs": runs(1)}), FigureStyle())
    # The two runs themselves are single values; their mean is covered.
    assert len(marks_without_interval(drawn)) == 2
    single = draw_figure(added_runs, added_runs.select({"added_runs": runs(1, seeds=1)}), FigureStyle())
    assert len(marks_without_interval(single)) == 1
    assert "without intervals" in added_runs.describe(added_runs.select({"added_runs": runs(1, seeds=1)})).caption
    assert "20 highest of 30" in added_runs.describe(added_runs.select({"added_runs": runs(30)})).caption
