"""Render the same sections as HTML and as Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from peft_atlas.errors import AtlasError
from peft_atlas.files import write_text
from peft_atlas.report.content import FigureBlock, Section
from peft_atlas.report.evidence import SHOWN, Evidence

TITLE = "PEFT Atlas"
QUESTION = "Which PEFT method, rank and learning rate?"


def read_figures(stems: Iterable[Path]) -> list[FigureBlock]:
    """Load each figure from its card and SVG file."""
    return [_read_figure(stem) for stem in stems]


def _read_figure(stem: Path) -> FigureBlock:
    card = json.loads(stem.with_suffix(".json").read_text(encoding="utf-8"))
    svg = stem.with_suffix(".svg").read_text(encoding="utf-8")
    texts = {key: card[key] for key in ("title", "section", "study", "caption", "finding")}
    flags = {key: card[key] for key in ("appendix", "empty")}
    return FigureBlock(
        name=stem.name, svg=_data_address(svg), size=_size(svg), formats=tuple(card["formats"]), **texts, **flags
    )


# Matplotlib writes lengths in points; a CSS pixel is 3/4 of one.
_PIXELS_PER_POINT = 4 / 3
_VIEW_BOX = re.compile(r'viewBox="[-\d.]+ [-\d.]+ ([\d.]+) ([\d.]+)"')


def _size(svg: str) -> tuple[int, int]:
    """Read the width and height of an SVG from its viewBox, converted from points to whole CSS pixels."""
    found = _VIEW_BOX.search(svg)
    if found is None:
        raise AtlasError("figure: its SVG has no viewBox; delete it and run again")
    width, height = (round(_PIXELS_PER_POINT * float(length)) for length in found.groups())
    return width, height


def _data_address(svg: str) -> str:
    """Encode an SVG as a percent-encoded data URL, a quarter shorter than base64."""
    lean = _without_what_is_not_drawn(svg[svg.index("<svg") :])
    # Matplotlib draws texts as outlines, so that blanks between elements mean nothing.
    return "data:image/svg+xml," + quote(" ".join(lean.split()).replace("> <", "><"), safe=" ~()*!.,;:/?@&=+$-_'")


_REMARKS = re.compile(r"<!--.*?-->|<metadata>.*?</metadata>", flags=re.DOTALL)
_NAME = re.compile(r' id="([^"]+)"')
_REFERENCE = re.compile(r'(?:href="#|url\(#)([^")]+)')


# Outlines and places, in points; not those of transformations, where a hundredth is much.
_PLACES = re.compile(r' (?:d|x|y)="[^"]*"')
_LONG_DECIMAL = re.compile(r"-?\d+\.\d{3,}")


def _without_what_is_not_drawn(svg: str) -> str:
    """Leave out comments, metadata, names that nothing refers to, and digits beyond a hundredth of a point."""
    drawn = _PLACES.sub(lambda place: _LONG_DECIMAL.sub(_rounded, place[0]), _REMARKS.sub("", svg))
    used = set(_REFERENCE.findall(drawn))
    return _NAME.sub(lambda name: name[0] if name[1] in used else "", drawn)


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def render_html(sections: Sequence[Section], tables: Mapping[str, pd.DataFrame]) -> str:
    """Render the report as a single HTML page that loads no other file; all text is escaped.

    Parameters
    ----------
    sections
        Sections of the report.
    tables
        The result tables that evidence links refer to.
    """
    environment = _environment(escape=True)
    environment.filters["json"] = _json
    # The planner comes first: it shows an answer before the explorer, which takes longer, draws its points.
    program, style = (
        "".join(map(_template, names)) for names in (("planner.js", "report.js"), ("report.css", "planner.css"))
    )
    return environment.get_template("report.html.j2").render(
        title=QUESTION, sections=sections, evidence=Evidence(tables), shown=SHOWN, script=program, style=style
    )


def _template(name: str) -> str:
    return (files("peft_atlas.report") / "templates" / name).read_text(encoding="utf-8")


def _json(data: Any) -> Markup:
    """Serialise data as JSON that cannot close the script element around it."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def render_markdown(sections: Sequence[Section]) -> str:
    """Render the report as Markdown, with figures linked as files."""
    environment = _environment(escape=False)
    environment.filters["cell"] = _markdown_cell
    return environment.get_template("report.md.j2").render(title=QUESTION, sections=sections)


def _environment(*, escape: bool) -> Environment:
    return Environment(
        loader=PackageLoader("peft_atlas.report"),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _markdown_cell(text: str) -> str:
    """Escape text so that it cannot break a table row or be read as markup."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace("\\", "\\\\").replace("|", "\\|")
    return " ".join(escaped.split())


def render_gallery(figures: Sequence[FigureBlock]) -> str:
    """Render a page that shows all figures by section, each loaded from its SVG file."""
    names = dict.fromkeys(figure.section for figure in figures)
    sections = [(name, [figure for figure in figures if figure.section == name]) for name in names]
    template = _environment(escape=True).get_template("gallery.html.j2")
    return template.render(title=TITLE, sections=sections, style=_template("report.css"))


def write_report(
    sections: Sequence[Section], html: Path, markdown: Path, tables: Mapping[str, pd.DataFrame] | None = None
) -> None:
    """Write both forms of the report, each atomically; evidence links point to rows of ``tables``."""
    write_text(html, render_html(sections, tables or {}))
    write_text(markdown, render_markdown(sections))
