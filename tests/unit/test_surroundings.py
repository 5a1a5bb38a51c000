"""What is around a run changes nothing in it: the user's matplotlibrc, another repository, names of tasks, YAML."""

import re
import subprocess

import matplotlib as mpl
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from peft_atlas.analysis.finding import ATLAS, Effect, Finding, as_rows
from peft_atlas.config import FigureStyle, load_config
from peft_atlas.errors import AtlasError
from peft_atlas.figures.render import render
from peft_atlas.figures.spec import load_figure
from peft_atlas.latex import booktabs, escape
from peft_atlas.report.paper import numbers
from peft_atlas.snakemake_support.provenance import code_version
from peft_atlas.studies.literature.data import load_published

USERS = {
    "axes.facecolor": "yellow",
    "font.family": "monospace",
    "text.usetex": True,
    "axes.spines.left": False,
    "savefig.bbox": "tight",
    "lines.linestyle": "--",
    "axes.prop_cycle": mpl.cycler(color=["red"]),
    "patch.edgecolor": "red",
    "svg.fonttype": "none",
}


def test_a_users_matplotlibrc_changes_no_byte_of_a_figure(root, tmp_path):
    module, published = load_figure("commonsense_average"), load_published(root / "data/published")
    style = FigureStyle(dpi=60)
    render(module, {"published": published}, style, tmp_path / "plain")
    with mpl.rc_context(USERS):
        render(module, {"published": published}, style, tmp_path / "users")
        assert mpl.rcParams["axes.facecolor"] == "yellow"
    for ending in ("pdf", "png", "svg"):
        plain, users = ((tmp_path / f"{name}.{ending}").read_bytes() for name in ("plain", "users"))
        assert plain == users, ending


def test_the_version_is_not_that_of_a_surrounding_repository(tmp_path):
    def git(*words):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True, capture_output=True)

    git("init")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--allow-empty", "-m", "the paper's")
    (tmp_path / "atlas").mkdir()
    assert code_version(tmp_path / "atlas").startswith("unknown")
    assert len(version := code_version(tmp_path)) == 12
    link = tmp_path.with_name(f"{tmp_path.name}_link")
    link.symlink_to(tmp_path)
    assert code_version(link) == version


def findings(*names):
    """Return the findings that tasks of these names have, as their table."""
    words = ("encoder", "S", ATLAS, "open", "e", "d")
    effect = Effect(1.0, "percent_of %", 0.5, 1.5, "t", 3)
    rows = [Finding("answer", f"encoder_gain_{name}", *words, effect) for name in names]
    return pd.DataFrame(as_rows(rows)).assign(position=range(len(rows)))


NAMES = st.lists(st.from_regex(r"\A[A-Za-z0-9_-]{1,12}\Z"), min_size=1, max_size=8, unique=True)


ALIKE = st.lists(st.sampled_from(["a-b", "a_b", "ab", "aB", "m", "m_low", "m_high", "m_n", "m_low_no2"]), unique=True)


@given(NAMES | ALIKE)
def test_latex_commands_are_unique_for_any_names_of_tasks(names):
    text = numbers(findings(*names)) if names else ""
    commands = re.findall(r"\\newcommand\{(\\[^}]*)\}", text)
    assert len(commands) == len(set(commands)) == 5 * len(names)
    assert all(re.fullmatch(r"\\[A-Za-z]+", command) for command in commands)


def test_the_first_finding_of_a_name_keeps_it():
    text = numbers(findings("a-b", "a_b"))
    assert r"\newcommand{\atlasEncoderGainAB}{$1$}" in text
    assert r"\newcommand{\atlasEncoderGainABNoTwo}{$1$}" in text
    assert r"{percent\_of \%}" in text


def test_cells_of_a_table_cannot_leave_it():
    table = booktabs(["a"], [["[x]"], ["*y"], ["b\n\nc\x1b"]], [False])
    assert "\n{}[x] \\\\" in table
    assert "\n{}*y \\\\" in table
    assert escape("b\n\nc\x1b") == "b  c "


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("encoder: {rates: {full: [1e-4, 3e-4]}}", "encoder.rates.full", (1e-4, 3e-4)),
        ('statistics: {confidence: "0.9"}', "statistics.confidence", 0.9),
        ("encoder: {train_examples: 1e2}", "encoder.train_examples", 100),
        ('encoder: {primary: {seeds: ["3", "1"]}}', "encoder.primary.seeds", (1, 3)),
        ('encoder: {primary: {seeds: "2"}}', "encoder.primary.seeds", (0, 1)),
    ],
)
def test_numbers_may_be_text(text, path, value):
    found = load_config(yaml.safe_load(text))
    for key in path.split("."):
        found = getattr(found, key)
    assert found == value


@pytest.mark.parametrize("text", ["notebook: {alphas: [1, 1.0]}", "encoder: {rates: {full: [1e-3, 0.001]}}"])
def test_a_number_in_two_spellings_is_given_twice(text):
    with pytest.raises(AtlasError, match="each value may be given only once"):
        load_config(yaml.safe_load(text))


@pytest.mark.parametrize("value", ["x", "1_0", "\uff11", "nan", "1e999", "0x1"])
def test_a_text_that_is_no_number_is_refused(value):
    with pytest.raises(AtlasError, match=r"statistics\.confidence"):
        load_config({"statistics": {"confidence": value}})
