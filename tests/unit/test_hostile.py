"""Values made to break out: none reaches a shell, a path or live HTML, and no data runs as code."""

import ast
import math
import re
from html.parser import HTMLParser

import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peft_atlas.config import FigureStyle, StudyConfig, load_config
from peft_atlas.errors import AtlasError
from peft_atlas.figures.render import render
from peft_atlas.figures.spec import load_figure
from peft_atlas.report.content import Answer, AnswerText, Code, FigureBlock, Paragraph, Section, table
from peft_atlas.report.render import render_html
from peft_atlas.studies.literature.data import CELL_COLUMNS, SOURCES_FILE, load_published, load_sources

# Left out of `make fast-test`: together these files take most of the time of the unit tests.
pytestmark = pytest.mark.slow

CASES = 1000
HOSTILE = [
    *("../../x", "/etc/passwd", "~/.ssh", "$(touch pwned)", "`touch pwned`", "a; rm -rf b", "a\nb", "\x1b[31m", "\0"),
    *("<script>alert(1)</script>", "{threads}", "{{ 7 * 7 }}", "!!python/object:os.system", "😀"),
    *(10**9, -(10**30), math.nan, math.inf, [[[[[[[[]]]]]]]], {"a": {"b": {"c": {}}}}, None),
]

LONG = "x" * 1_000_000


def one_clear_line(error):
    """Check that a message is one printable line of a length that fits a screen."""
    message = str(error)
    assert message.isprintable(), message[:200]
    assert len(message) < 2000
    return True


def places(tree, path=()):
    """Return the path of every key of a nested mapping."""
    inner = [(*path, key) for key in tree]
    return inner + [
        deep for key, value in tree.items() if isinstance(value, dict) for deep in places(value, (*path, key))
    ]


DEFAULTS = StudyConfig().model_dump(mode="json")
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.sampled_from(HOSTILE)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=CASES)
@given(st.sampled_from(places(DEFAULTS)), st.none() | st.text(max_size=12), VALUES)
def test_any_value_anywhere_gives_a_study_or_one_line(path, name, value):
    values = StudyConfig().model_dump(mode="json")
    section = values
    for key in path[:-1]:
        section = section[key]
    section[path[-1] if name is None else name] = value
    try:
        assert isinstance(load_config(values), StudyConfig)
    except AtlasError as error:
        one_clear_line(error)


@pytest.mark.parametrize("value", [*HOSTILE, LONG], ids=range(len(HOSTILE) + 1))
@pytest.mark.parametrize("key", ["device", "seeds", "studies", "notebook", "an unknown key\n"])
def test_a_hostile_value_is_refused_in_one_line(key, value):
    with pytest.raises(AtlasError) as caught:
        load_config({key: value})
    one_clear_line(caught.value)


def test_each_of_ten_thousand_faults_gives_one_line():
    with pytest.raises(AtlasError, match="and 9995 more") as caught:
        load_config({"seeds": [f"s{index}" for index in range(10_000)]})
    one_clear_line(caught.value)


def test_an_endless_value_gives_one_line():
    endless = ["x"]
    for _ in range(60):
        endless = [endless, endless]
    with pytest.raises(AtlasError) as caught:
        load_config({"seeds": endless, "notebok": endless})
    one_clear_line(caught.value)


SOURCES = """\
here: {title: T, authors: A, identifier: I, version: v1, date: "2024", kind: paper, what_was_read: All.}
"""
GOOD = "M,LoRA,T,accuracy_percent,68.9,percent,here,Table 1,verbatim,"


@st.composite
def csv_bytes(draw):
    """Return a file of cells: a good one with some of its bytes replaced, or any bytes behind a good header."""
    header = ",".join(CELL_COLUMNS).encode()
    if draw(st.booleans()):
        return header + b"\n" + draw(st.binary(max_size=200))
    data = bytearray(header + b"\n" + GOOD.encode() + b"\n" + GOOD.replace("LoRA", "DoRA").encode() + b"\n")
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data) - 1))
        data[at : at + draw(st.integers(0, 3))] = draw(
            st.binary(max_size=6) | st.sampled_from([b'"', b",", b"\n", b"\0"])
        )
    return bytes(data)


@settings(max_examples=CASES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(csv_bytes())
def test_any_csv_gives_a_table_or_one_line(tmp_path, data):
    (tmp_path / SOURCES_FILE).write_text(SOURCES, encoding="utf-8")
    (tmp_path / "cells.csv").write_bytes(data)
    try:
        table = load_published(tmp_path)
        assert {"printed", "value", "source"} <= set(table.columns)
    except AtlasError as error:
        one_clear_line(error)


@settings(max_examples=CASES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=120) | VALUES.map(lambda value: yaml.safe_dump({"here": value}, allow_unicode=True)))
def test_any_sources_give_entries_or_one_line(tmp_path, text):
    path = tmp_path / SOURCES_FILE
    path.write_bytes(text.encode("utf-8", errors="surrogatepass"))
    try:
        assert load_sources(path)
    except AtlasError as error:
        one_clear_line(error)


def test_sources_build_no_objects(tmp_path):
    path = tmp_path / SOURCES_FILE
    path.write_text(f"here: !!python/object/apply:pathlib.Path.touch [{tmp_path}/pwned]\n", encoding="utf-8")
    with pytest.raises(AtlasError, match="not YAML"):
        load_sources(path)
    assert not (tmp_path / "pwned").exists()


EVIL = """"'><script>alert(1)</script><img src=x onerror=alert(1)> javascript:alert(1) {{ 7*7 }} $\\frac{$ &lt;"""


class Tags(HTMLParser):
    """Collects the tags of a page, and its attributes that run code or load something."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.live = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            loads = name in {"src", "href"} and not re.match(
                r"#|\.\./figures/|data:image/svg\+xml;base64,", value or ""
            )
            self.live += [(name, value)] if name.startswith("on") or loads else []


def a_page(text):
    """Return the tags of a report whose every text is the given one."""
    frame = pd.DataFrame({"verdict": [text], text: [text]})
    figure = FigureBlock("name", text, text, text, text, text, "data:image/svg+xml;base64,AAAA", (4, 3))
    blocks = [
        Paragraph(text, text),
        Answer("a-b", text, (AnswerText(text, text, text),)),
        table(text, frame),
        figure,
        Code(text),
    ]
    return Tags(render_html([Section("a", text, blocks)], {}))


def test_no_text_becomes_live_html():
    plain, evil = a_page("plain"), a_page(EVIL)
    assert evil.tags == plain.tags
    assert evil.live == plain.live


def test_a_hostile_name_is_drawn_as_it_is(root, tmp_path):
    published = load_published(root / "data/published")
    published["method"] = published["method"].replace("LoRA", EVIL)
    module = load_figure("commonsense_average")
    render(module, {"published": published}, FigureStyle(dpi=60), tmp_path / "figure")
    picture = (tmp_path / "figure.svg").read_text(encoding="utf-8")
    assert not {"script", "img"} & set(Tags(picture).tags)
    assert EVIL in pd.read_csv(tmp_path / "figure.csv")["method"].tolist()


def test_what_shell_commands_are_given_is_quoted(root):
    for path in [root / "Snakefile", *(root / "workflow/rules").glob("*.smk")]:
        for command in re.findall(r"\n {4}shell:\n((?: {8}.*\n)+)", path.read_text(encoding="utf-8")):
            given_words = re.findall(r"(?<!\{)\{([^{}]+)\}", command)
            assert given_words
            # Numbers, and paths that the rule itself spells out, need no quotes.
            assert all(word.endswith(":q") or word in {"threads", "log"} for word in given_words), path


def calls(root):
    """Yield each call in the library and the scripts: its file, its dotted name, and its keywords."""
    for path in [*(root / "src").rglob("*.py"), *(root / "workflow/scripts").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                words = {word.arg: ast.unparse(word.value) for word in node.keywords}
                yield path.name, ast.unparse(node.func), words


def test_no_data_runs_as_code(root):
    for path, name, words in calls(root):
        where = f"{path}: {name}"
        assert name not in {"eval", "exec", "compile", "os.system", "pd.read_pickle", "yaml.unsafe_load"}, where
        assert not name.startswith(("pickle.", "joblib.", "dill.", "marshal.", "shelve.")), where
        assert words.get("shell", "False") == "False", where
        assert words.get("allow_pickle", "False") == "False", where
        assert words.get("trust_remote_code", "False") == "False", where
        if name == "torch.load":
            assert words.get("weights_only") == "True", where
        if re.fullmatch(r"(Auto|Bert)Model\w*\.from_pretrained", name):
            assert words.get("use_safetensors") == "True", where
