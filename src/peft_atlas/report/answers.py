"""The questions that the report opens with, answered by the studies that were run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import filter as matching

import pandas as pd

from peft_atlas.report.content import Answer, AnswerText, Block, FigureBlock, Paragraph, Section
from peft_atlas.report.material import Material
from peft_atlas.studies.study import QUESTIONS, AnswerPart, QuestionId, Study

HEADLINES = 3


def answers_section(material: Material, studies: Sequence[Study]) -> Section:
    """Return one paragraph and one figure a question, and after them the answers that belong to no question."""
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
            told = [answers.loc[name] for part in parts for name in matching(answers.index, part.finding)]
            text = " ".join(_told(part, answers) for part in parts)
            evidence = "; ".join(dict.fromkeys(row["evidence"] for row in told))
            texts.append(AnswerText(spec.label, text, evidence))
        shown += [part for part in parts if part.figure in figures]
    if not texts:
        return Paragraph(f"{QUESTIONS[question]} No study of this run answers it.")
    best = max(shown, key=lambda part: part.weight, default=None)
    return Answer(f"answer-{question}", QUESTIONS[question], tuple(texts), figures[best.figure] if best else None)


def _told(part: AnswerPart, answers: pd.DataFrame) -> str:
    """Return what a part's findings say; of several, each with the question that tells it from the others."""
    rows = [answers.loc[name] for name in matching(answers.index, part.finding)]
    return " ".join(row["detail"] if len(rows) == 1 else f"{row['statement']} {row['detail']}" for row in rows)


def headlines(findings: pd.DataFrame, specs: Iterable[Study]) -> list[str]:
    """Return the findings that a run ends with: the first of each study, then the next of each, three in all."""
    details = findings[findings["kind"] == "answer"].set_index("id")["detail"].to_dict()
    named = [(place, matching(details, pattern)) for spec in specs for place, pattern in enumerate(spec.headlines)]
    ranked = [(place, names[0]) for place, names in named if names]
    return [details[name] for _, name in sorted(ranked, key=lambda pair: pair[0])][:HEADLINES]
