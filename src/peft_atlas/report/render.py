"""Write the report as HTML and as Markdown from the same sections."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from peft_atlas.files import write_text
from peft_atlas.report.content import FigureBlock, Section

TITLE = "PEFT Atlas"


def read_figures(stems: Iterable[Path]) -> list[FigureBlock]:
    """Return each figure from its card and its SVG file."""
    return [_read_figure(stem) for stem in stems]


def _read_figure(stem: Path) -> FigureBlock:
    card = json.loads(stem.with_suffix(".json").read_text(encoding="utf-8"))
    picture = base64.b64encode(stem.with_suffix(".svg").read_bytes()).decode("ascii")
    texts = {key: card[key] for key in ("title", "section", "study", "caption", "finding")}
    source = f"data:image/svg+xml;base64,{picture}"
    return FigureBlock(name=stem.name, svg=source, formats=tuple(card["formats"]), **texts)


def render_html(sections: Sequence[Section]) -> str:
    """Return the report as one HTML page that loads nothing; every text is escaped."""
    return _environment(escape=True).get_template("report.html.j2").render(title=TITLE, sections=sections)


def render_markdown(sections: Sequence[Section]) -> str:
    """Return the report as Markdown, its figures as links to the PNG files."""
    environment = _environment(escape=False)
    environment.filters["cell"] = _markdown_cell
    return environment.get_template("report.md.j2").render(title=TITLE, sections=sections)


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
    """Return text that cannot break a table row or become markup."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace("\\", "\\\\").replace("|", "\\|")
    return " ".join(escaped.split())


def write_report(sections: Sequence[Section], html: Path, markdown: Path) -> None:
    """Write both forms of the report, each whole or not at all."""
    write_text(html, render_html(sections))
    write_text(markdown, render_markdown(sections))
