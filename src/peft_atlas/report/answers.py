"""The questions that the report opens with, answered by the studies that were run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import filter as matching
from typing import Any

import pandas as pd

from peft_atlas.report.content import Answer, AnswerText, Block, FigureBlock, Paragraph, Section
from peft_atlas.report.material import Material
from peft_atlas.studies.study import QUESTIONS, AnswerPart, QuestionId, Study

HEADLINES = 3


def answers_section(material: Material, studies: Sequence[Study]) -> Section:
    """Return one paragraph and one figure per question, then the answers that belong to no question."""
    answers = material.findings("answer").set_index("id")
    specs = [study for study in studies if study.name in material.studies]
    figures = {figure.name: figure for figure in material.figures}
    blocks: list[Block] = [_answer(question, specs, answers, figures) for question in QUESTIONS]
    asked = {name for spec in specs for part in spec.answers for name in matching(answers.index, part.finding)}
    others = [row for row in answers.itertuples() if row.Index not in asked]
    for row in others:
        blocks.append(Answer(f"answer-{row.Index}", row.statement, (AnswerText("", row.detail, row.evidence),)))
    return Section("answers", "Answers", blocks)


def _answer(
    question: QuestionId, specs: Sequence[Study], answers: pd.DataFrame, figures: dict[str, FigureBlock]
) -> Block:
    """Return what the studies answer to a question; a study's findings make one text."""
    texts, shown = [], list[AnswerPart]()
    for spec in specs:
        parts = [part for part in spec.answers if part.question == question and matching(answers.index, part.finding)]
        if parts:
            rows = [answers.loc[name] for part in parts for name in matching(answers.index, part.finding)]
            text = " ".join(_text(part, answers) for part in parts)
            evidence = "; ".join(dict.fromkeys(row["evidence"] for row in rows))
            texts.append(AnswerText(spec.label, text, evidence))
        shown += [part for part in parts if part.figure in figures]
    if not texts:
        return Paragraph(f"{QUESTIONS[question]} No study of this run answers it.")
    best = max(shown, key=lambda part: part.weight, default=None)
    return Answer(f"answer-{question}", QUESTIONS[question], tuple(texts), figures[best.figure] if best else None)


def _text(part: AnswerPart, answers: pd.DataFrame) -> str:
    """Return what a part's findings say; of several, each with its own question."""
    rows = [answers.loc[name] for name in matching(answers.index, part.finding)]
    return " ".join(row["detail"] if len(rows) == 1 else f"{row['statement']} {row['detail']}" for row in rows)


def headlines(findings: pd.DataFrame, specs: Iterable[Study]) -> list[str]:
    """Return the findings that a run ends with: the strongest of each study, then the next of each, three in all.

    The strongest has the most evidence. Only what a study names among its ``headlines``, its primary answers, is
    considered, one finding per pattern; of equal evidence what comes first in the report goes first.
    """
    answers = findings[findings["kind"] == "answer"].set_index("id")
    ranked = []
    for place, spec in enumerate(specs):
        found = [names for pattern in spec.headlines if (names := matching(answers.index, pattern))]
        named = [max(names, key=lambda name: weight_of_evidence(answers.loc[name])) for names in found]
        weighed = sorted(dict.fromkeys(named), key=lambda name: -weight_of_evidence(answers.loc[name]))
        ranked += [
            (turn, -weight_of_evidence(answers.loc[name]), place, answers.loc[name, "detail"])
            for turn, name in enumerate(weighed)
        ]
    return [detail for *_, detail in sorted(ranked)][:HEADLINES]


def weight_of_evidence(finding: pd.Series[Any]) -> float:
    """Return how many half-widths of its interval an effect is from 0; 0 where it has no interval.

    The wider half counts, since an interval may end at the last value that is possible.
    """
    known = finding.reindex(["effect", "low", "high"])
    if known.isna().any():
        return 0.0
    half = max(known["effect"] - known["low"], known["high"] - known["effect"])
    return float("inf") if half == 0 else float(abs(known["effect"]) / half)
