"""Methods are told apart in every figure: by colour to every eye, and where colours are alike by the marker."""

from itertools import combinations

import pytest
from colour_vision import ciede2000, contrast_with_white, lab, linear, seen_distance
from matplotlib.colors import to_rgb

from peft_atlas.config import FigureStyle
from peft_atlas.figures.more_marks import PEFT_METHODS
from peft_atlas.figures.style import CONTROLS, METHODS, method_mark

# Well above what is just noticeable side by side, about 1, since marks stand apart.
APART = 10
# Markers that are mistaken for each other at five points.
ALIKE = [{"o", "8", "h", "H", "p"}, {"s", "D", "d"}, {"P", "X"}, {"1", "2", "3", "4"}]
STYLE = FigureStyle()


@pytest.mark.parametrize(
    ("left", "right", "difference"),
    [
        # Pairs 1, 7, 14, 17, 20 and 34 of the test data of Sharma, Wu and Dalal (2005).
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((50, -0.001, 2.49), (50, 0.0012, -2.49), 4.7461),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((50, 2.5, 0), (58, 24, 15), 19.4535),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_the_measure_agrees_with_its_published_test_data(left, right, difference):
    assert ciede2000(left, right) == pytest.approx(difference, abs=1e-4)


def test_white_and_black_are_where_cielab_has_them():
    assert lab(linear((1, 1, 1))) == pytest.approx((100, 0, 0), abs=1e-3)
    assert contrast_with_white((0, 0, 0)) == pytest.approx(21)


@pytest.mark.parametrize(("one", "other"), list(combinations(METHODS, 2)))
def test_every_eye_distinguishes_the_colours_of_two_methods(one, other):
    left, right = (to_rgb(method_mark(method, STYLE).colour) for method in (one, other))
    assert seen_distance(left, right) >= APART


def test_where_colours_are_alike_markers_are_not():
    marks = {name: method_mark(name, STYLE) for name in (*METHODS, *CONTROLS)}
    by_marker = []
    for one, other in combinations(marks, 2):
        if seen_distance(to_rgb(marks[one].colour), to_rgb(marks[other].colour)) < APART:
            pair = {marks[one].marker, marks[other].marker}
            assert len(pair) == 2
            assert not any(pair <= alike for alike in ALIKE)
            by_marker.append((one, other))
    # What colour does not tell: the controls, all of one grey, and a control beside the grey of "head only".
    assert all(set(pair) & set(CONTROLS) for pair in by_marker)
    assert len(by_marker) >= len(CONTROLS)


@pytest.mark.parametrize("palette", ["colorblind", "grey"])
def test_no_two_methods_share_a_marker(palette):
    style = FigureStyle(palette=palette)
    names = (*METHODS, *CONTROLS)
    assert len({method_mark(name, style).marker for name in names}) == len(names)


@pytest.mark.parametrize("name", [*METHODS, *CONTROLS])
def test_marks_stand_out_from_the_paper(name):
    assert contrast_with_white(to_rgb(method_mark(name, STYLE).colour)) >= 2.7


def test_a_method_that_nobody_has_named_always_looks_the_same():
    assert method_mark("a method of tomorrow", STYLE) == method_mark("a method of tomorrow", STYLE)


@pytest.mark.parametrize(
    "names", [PEFT_METHODS, [f"method {place}" for place in range(40)]], ids=["peft", "unheard of"]
)
def test_forty_methods_more_have_forty_marks_more(names):
    assert len(names) >= 40
    every = [*METHODS, *CONTROLS, *names]
    marks = {name: method_mark(name, STYLE) for name in every}
    assert len({(mark.colour, mark.marker) for mark in marks.values()}) == len(every)
    # By its name alone: what else is drawn, and in what order, changes nothing.
    assert {name: method_mark(name, STYLE) for name in reversed(every)} == marks
    assert all(contrast_with_white(to_rgb(method_mark(name, STYLE).colour)) >= 2.7 for name in names)


def test_methods_of_peft_of_one_colour_have_markers_that_are_told_apart():
    marks = [method_mark(name, STYLE) for name in (*METHODS, *PEFT_METHODS)]
    for one, other in combinations(marks, 2):
        if one.colour == other.colour:
            assert one.marker != other.marker
            assert not any({one.marker, other.marker} <= alike for alike in ALIKE)


@pytest.mark.parametrize(
    ("one", "other"), [("VeRA", "vera"), ("VB-LoRA", "VBLoRA"), ("prompt tuning", "Prompt-Tuning")]
)
def test_spellings_of_a_name_share_a_mark(one, other):
    assert method_mark(one, STYLE) == method_mark(other, STYLE)
