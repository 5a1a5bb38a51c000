"""Sources in the figure of predicted and measured peaks."""

from peft_atlas.config import FigureStyle
from peft_atlas.studies.literature.figures.predicted_measured import marks_of


def test_no_two_sources_look_alike():
    marks = marks_of([f"source {number}" for number in range(40)], FigureStyle())
    assert len(set(marks.values())) == 40
