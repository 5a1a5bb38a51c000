"""The questions that the report opens with, answered by the studies that were run."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import filter as matching
from fnmatch import fnmatchcase

import pandas as pd

from peft_atlas.report.content import Answer, AnswerText, Block, FigureBlock, Paragraph, Section
from peft_atlas.report.material import Material
from peft_atlas.studies.study import QUESTIONS, AnswerPart, QuestionId, Study


def answers_section(material: Material, studies: Sequence[Study]) -> Section:
    """Return one paragraph and one figure per question; `own_answers` has the answers that belong to none."""
    specs = [study for study in studies if study.name in material.studies and not study.chapter]
    answers = material.findings("answer").set_index("id")
    answers = answers[answers["study"].isin([study.name for study in specs])]
    figures = {figure.name: figure for figure in material.figures}
    blocks: list[Block] = [_answer(question, specs, answers, figures) for question in QUESTIONS]
    return Section("questions", "Questions and answers", blocks)


def own_answers(material: Material, study: Study) -> list[Block]:
    """Return the answers that a study gives in its own section: to no shared question, or all those of a chapter."""
    asked = () if study.chapter else tuple(part.finding for part in study.answers)
    return [
        Answer(f"answer-{row.id}", row.statement, (AnswerText("", row.detail, row.evidence),))
        for row in material.findings("answer", study=study.name).itertuples()
        if not any(fnmatchcase(row.id, pattern) for pattern in asked)
    ]


def _answer(
    question: QuestionId, specs: Sequence[Study], answers: pd.DataFrame, figures: dict[str, FigureBlock]
) -> Block:
    """Return what the studies answer to a question; a study's findings make one text."""
    texts, shown = [], list[AnswerPart]()
    for spec in specs:
        parts = [part for part in spec.answers if part.question == question and matching(answers.index, part.finding)]
        if parts:
            rows = [answers.loc[name] for part in parts for name in matching(answers.index, part.finding)]
            text = "\n".join(_text(part, answers) for part in parts)
            evidence = "; ".join(dict.fromkeys(row["evidence"] for row in rows))
            texts.append(AnswerText(spec.label, text, evidence))
        shown += [part for part in parts if part.figure in figures]
    if not texts:
        return Paragraph(f"{QUESTIONS[question]} No study of this run answers it.")
    best = max(shown, key=lambda part: part.weight, default=None)
    return Answer(f"answer-{question}", QUESTIONS[question], tuple(texts), figures[best.figure] if best else None)


def _text(part: AnswerPart, answers: pd.DataFrame) -> str:
    """Return what a part's findings say, each in a line; of several, each with its own question."""
    rows = [answers.loc[name] for name in matching(answers.index, part.finding)]
    return "\n".join(row["detail"] if len(rows) == 1 else f"{row['statement']} {row['detail']}" for row in rows)
