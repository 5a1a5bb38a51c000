"""The first page: advice chosen by rule from the findings, what it does not show, and where to go from there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatch

import pandas as pd

from peft_atlas.analysis.finding import ATLAS
from peft_atlas.report.content import Block, Card, Cards, Door, Doors, Limits, Paragraph, Section
from peft_atlas.report.glossary import words
from peft_atlas.report.limits import limits
from peft_atlas.report.material import Material
from peft_atlas.report.method_table import method_table
from peft_atlas.report.planner_panel import planner_section
from peft_atlas.studies.study import TOPICS, Study

# Findings that a run ends with on the terminal.
HEADLINES = 3
# More are not read; the advice that is left is in the section of its study.
_MOST_CARDS = 5
DOORS = Doors(
    (
        Door("methods", "Choose", "all methods on one task, with rates and costs"),
        Door("fit", "Will it fit?", "memory of your model on your card"),
        Door("paper", "For a paper", "figures, tables and numbers for LaTeX"),
        Door("own", "My model and data", "the same study on a file of yours"),
        Door("answer-literature", "What the literature gets wrong", "claims, conflicts and checks"),
    )
)


def front_sections(material: Material, studies: Sequence[Study]) -> list[Section]:
    """Return the first page: advice, the table of methods, and the place of the planner."""
    advice = Cards(tuple(cards(material.tables["findings"], studies)))
    front: list[Block] = [_lead(material), DOORS, advice, Limits(limits(material))]
    shown = method_table(material, studies)
    sections = [Section("answers", "In short", front)]
    if shown is not None:
        blocks: list[Block] = [shown, words(shown)]
        sections.append(Section("methods", "Methods compared", blocks))
    return [*sections, planner_section(material)]


def cards(findings: pd.DataFrame, studies: Iterable[Study]) -> list[Card]:
    """Return one card per topic, at most five in the order of the topics: of all advice on it the weightiest.

    Parameters
    ----------
    findings
        The table of that contract.
    studies
        The studies in the order of the report; of equal weights the first decides.
    """
    advice = findings[findings["kind"] == "advice"].set_index("id")
    found: dict[str, tuple[int, Card]] = {}
    for study in studies:
        for part in study.advice:
            for name in [name for name in advice.index if fnmatch(name, part.finding)]:
                row = advice.loc[name]
                card = Card(row["statement"], row["detail"], row["evidence"], study.label)
                if part.topic not in found or part.weight > found[part.topic][0]:
                    found[part.topic] = (part.weight, card)
    return [found[topic][1] for topic in TOPICS if topic in found][:_MOST_CARDS]


def headlines(findings: pd.DataFrame, studies: Iterable[Study]) -> list[str]:
    """Return what a run ends with on the terminal: the first cards of the page."""
    return [f"{card.statement} {card.detail}" for card in cards(findings, studies)[:HEADLINES]]


def _lead(material: Material) -> Paragraph:
    """Return what the page rests on, in one line."""
    runs, published = material.tables["runs"], material.tables["published"]
    # A rate that a search left early is no failure, nor is a method that cannot be trained, of which nothing ran.
    failed = int((~runs["status"].isin(["ok", "stopped", "collapsed", "refused"])).sum())
    checks = material.findings("check")
    own = checks[checks["source"] == ATLAS]
    passed = int((own["verdict"] == "pass").sum())
    kept = f"all {len(own)} of our own checks pass" if passed == len(own) else f"{passed} of {len(own)} own checks pass"
    return Paragraph(
        f"{len(runs):,} runs, {failed if failed else 'none'} failed; {len(published):,} published numbers with their "
        f"sources; {kept}. Every number names the rows behind it. Code {material.code}.",
        "runs: status; published; findings: kind=check",
    )
