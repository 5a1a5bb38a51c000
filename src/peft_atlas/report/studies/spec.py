"""What the report knows of a study, the questions that it opens with, and the list of all studies."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, cast, get_args

import peft_atlas.report.studies

if TYPE_CHECKING:
    from peft_atlas.report.content import Block
    from peft_atlas.report.material import Material

QuestionId = Literal["cost", "gain", "rank", "alpha", "choice", "literature"]
QUESTIONS: dict[QuestionId, str] = {
    "cost": "What does LoRA cost?",
    "gain": "What does it give?",
    "rank": "Does rank matter?",
    "alpha": "Does alpha matter?",
    "choice": "Which method would I choose?",
    "literature": "What in the literature does not hold?",
}
assert tuple(QUESTIONS) == get_args(QuestionId)


@dataclass(frozen=True)
class AnswerPart:
    """A finding of kind ``answer`` that answers a question, with the figure that shows it.

    ``finding`` is its id, or a pattern such as ``adaptation_saturation_*`` where a study has one a budget.
    Of the figures of one question the report shows the one with the highest ``weight``, the first of equals.
    """

    question: QuestionId
    finding: str
    figure: str = ""
    weight: int = 0


@dataclass(frozen=True)
class StudySpec:
    """A study's name in the configuration, title, place in the report, and what it answers.

    ``label`` names the study in a few words before its answers; ``about`` says in one sentence what it measures,
    also where it was not run; ``headlines`` are ids, or patterns, of findings worth a line on the
    terminal, best first.
    """

    name: str
    title: str
    label: str
    about: str
    order: int
    answers: tuple[AnswerPart, ...] = ()
    headlines: tuple[str, ...] = ()


class StudyModule(Protocol):
    """What a module of this package defines."""

    SPEC: StudySpec

    def blocks(self, material: Material) -> Sequence[Block]:
        """Return the body of the study's section."""


def all_studies() -> list[StudyModule]:
    """Return every module of this package that has a SPEC, in the report's order."""
    names = [module.name for module in pkgutil.iter_modules(peft_atlas.report.studies.__path__)]
    modules = [importlib.import_module(f"{peft_atlas.report.studies.__name__}.{name}") for name in names]
    found = [cast(StudyModule, module) for module in modules if hasattr(module, "SPEC")]
    return sorted(found, key=lambda module: (module.SPEC.order, module.SPEC.name))
