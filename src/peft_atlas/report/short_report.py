"""The short report: the advice, the answers and the main figures of the report as a PDF of a few pages."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from peft_atlas.errors import AtlasError
from peft_atlas.files import temporary_folder, write_whole
from peft_atlas.report.answers import answers_section
from peft_atlas.report.content import Answer, Block, Doors, Section
from peft_atlas.report.front_page import front_sections
from peft_atlas.report.material import Material, load_material
from peft_atlas.report.render import render_html
from peft_atlas.report.sections import provenance_facts
from peft_atlas.step import Step
from peft_atlas.studies.study import Study, all_studies

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
# As a container or a restricted machine needs them; a page that loads nothing asks no more of a browser.
_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-pdf-header-footer")
_SECONDS = 120
# Bytes that a browser keeps while it prints.
_PROFILE = 30_000_000
# The section that is of no use on paper.
_PLANNER = "fit"
# Figures of a study that the short report takes, of those that no answer shows.
_FIGURES = 2


def short_sections(material: Material) -> list[Section]:
    """Return what the short report shows: the first page, the answers, the first figures of each study, provenance."""
    studies = all_studies()
    front = [_without_doors(section) for section in front_sections(material, studies) if section.id != _PLANNER]
    answers = answers_section(material, studies)
    figures = [figure for study in studies for figure in _first_figures(study, material, answers)]
    return [
        *front,
        answers,
        *([Section("figures", "Figures", figures)] if figures else []),
        Section("provenance", "Versions and seeds", [provenance_facts(material)]),
    ]


def _without_doors(section: Section) -> Section:
    """Return a section without links into a page that has more sections."""
    return Section(section.id, section.title, [block for block in section.blocks if not isinstance(block, Doors)])


def _first_figures(study: Study, material: Material, answers: Section) -> Sequence[Block]:
    """Return the first figures of a study that was run and is no chapter of its own."""
    shown = {block.figure.name for block in answers.blocks if isinstance(block, Answer) and block.figure}
    if study.chapter or study.name not in material.studies:
        return []
    return [figure for figure in material.figures_of(study=study.name) if figure.name not in shown][:_FIGURES]


def find_browser() -> str:
    """Return the name of the program that prints pages.

    Raises
    ------
    AtlasError
        If there is none.
    """
    found = next((name for name in BROWSERS if shutil.which(name)), None)
    if found is None:
        raise AtlasError(f"no browser to print with: allowed: {', '.join(BROWSERS)} on the PATH (Debian: chromium)")
    return found


def print_pdf(page: str, path: Path, browser: str) -> None:
    """Print a page as a PDF, written whole or not at all.

    Parameters
    ----------
    page
        HTML that loads no other file.
    path
        Where to write.
    browser
        The program that prints it; `find_browser` finds one.

    Raises
    ------
    AtlasError
        If it makes no PDF.
    """
    write_whole(path, partial(_print, browser, page))


def _print(browser: str, page: str, path: Path) -> None:
    with temporary_folder(_PROFILE + len(page)) as folder:
        source, printed = folder / "page.html", folder / "page.pdf"
        source.write_text(page, encoding="utf-8")
        command = [browser, *_FLAGS, f"--user-data-dir={folder}/profile", f"--print-to-pdf={printed}", source.as_uri()]
        try:
            done = subprocess.run(command, text=True, capture_output=True, timeout=_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise AtlasError(f"{browser}: printed nothing within {_SECONDS} s") from None
        if not printed.is_file():
            cause = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise AtlasError(f"{browser}: made no PDF ({cause})")
        shutil.copyfile(printed, path)


def short_report_step(step: Step) -> None:
    """Print the short report."""
    params = step.params
    tables = {name: step.path(name) for name in params["tables"]}
    material = load_material(tables, map(Path, params["figures"]), params["config"], Path(params["root"]))
    print_pdf(render_html(short_sections(material), material.tables), step.output("pdf"), params["browser"])
