"""What the atlas knows about a study, and the list of all studies.

A study is a package in `peft_atlas.studies` with the files below. Each is found by name and imported only when needed,
so that listing the studies does not import torch or pandas:

``description``
    ``STUDY``, its `Study`;

``config``
    its section of the configuration, a pydantic model used by `peft_atlas.config`;
``jobs``
    ``NAME``, and ``outputs(config)``: the files its jobs write, as `Outputs`; also the names and slices of the
    configuration used by its rules in ``workflow/rules``;
``data``, ``train``, ``checks``
    what its jobs run;
``contrasts.contrasts(runs, curves, levels)``
    its paired comparisons, as rows of the contract ``contrasts``;
``findings.findings(given)``
    its findings, from a `peft_atlas.studies.findings.Given`;
``section.blocks(material)`` and, optionally, ``section.costs``, ``section.explored`` and ``section.compared``
    its part of the report; the time and memory of its cells for the explorer: the key columns of the table
    ``comparison``, ``seconds`` per run, and ``memory_bytes``; points of the explorer for cells that are not in that
    table, by `peft_atlas.report.explorer.point`; and its methods, task by task, for the table of methods of the first
    page, as `peft_atlas.report.method_rows.ComparedTask`;
``figures``
    its figures, one per module.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args

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
# What the first page advises on, in the order of its cards; each topic has at most one.
TopicId = Literal["method", "rate", "rank", "language_model", "cost", "literature"]
TOPICS: tuple[TopicId, ...] = get_args(TopicId)


@dataclass(frozen=True)
class AnswerPart:
    """A finding of kind ``answer`` that answers a question, with the figure that shows it.

    ``finding`` is its id, or a pattern such as ``adaptation_saturation_*`` if there is one finding per budget. For each
    question the report shows the figure with the highest ``weight``, or the first of several with equal weight.
    """

    question: QuestionId
    finding: str
    figure: str = ""
    weight: int = 0


@dataclass(frozen=True)
class AdvicePart:
    """A finding of kind ``advice`` that can be a card of the first page.

    Of all advice of a run on one topic, the one with the highest ``weight`` becomes the card; of equal weights the
    first in the order of the studies.
    """

    topic: TopicId
    finding: str
    weight: int = 0


@dataclass(frozen=True)
class Study:
    """A study's name, its place in the report, and the questions it answers.

    Parameters
    ----------
    name
        Its name in the configuration, in the tables and as a folder.
    title
        Title of its section in the report.
    label
        A few words that introduce its answers.
    about
        What it measures, in one sentence; the report shows this even if the study was not run.
    order
        Position among the studies.
    answers
        Which of its findings answer which question.
    advice
        Which of its findings advise on which topic.
    first_task
        The task that the explorer opens with, if not the first.
    measured
        Whether it trains anything; a study that does not is part of every run.
    chapter
        Whether it is a chapter of its own at the end of the report, which then holds its answers too.
    opt_in
        Whether a default run leaves it out.
    needs
        Pattern of files, relative to the folder of the run, without which there is no such study.
    released
        Whether a run that leaves it out shows its released tables, from ``data/released/<name>``. Its figures, answers
        and section then rest on tables of its own, and ``section.available(material)`` says whether there are rows.
    """

    name: str
    title: str
    label: str
    about: str
    order: int
    answers: tuple[AnswerPart, ...] = ()
    advice: tuple[AdvicePart, ...] = ()
    first_task: str = ""
    measured: bool = True
    chapter: bool = False
    opt_in: bool = False
    needs: str = ""
    released: bool = False

    def part(self, name: str) -> ModuleType:
        """Import one of the study's modules, for example ``contrasts``."""
        return importlib.import_module(self._module(name))

    def has(self, name: str) -> bool:
        """Check whether the study has a module or package of this name."""
        return importlib.util.find_spec(self._module(name)) is not None

    def _module(self, name: str) -> str:
        return f"peft_atlas.studies.{self.name}.{name}"


@dataclass(frozen=True)
class Outputs:
    """The files that a study's jobs write, relative to the working directory of the workflow.

    Parameters
    ----------
    runs, curves
        Tables of the contracts of the same names.
    checks
        Tables of the contract ``findings``.
    run_costs
        Tables of the contract ``costs``, with a row per run.
    items
        Tables of the contract ``items``.
    benchmarks
        Snakemake's benchmark files, ``results/benchmarks/<rule>/<job>.tsv``.
    tables
        Result tables specific to the study.
    configurations
        What its training jobs have as their parameter ``config``; a part made with another one is refused. A study
        that names none is not checked.
    """

    runs: tuple[str, ...] = ()
    curves: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    run_costs: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    benchmarks: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    configurations: tuple[Mapping[str, Any], ...] = ()

    @property
    def target(self) -> tuple[str, ...]:
        """The files to make if the study is the target."""
        return (*self.runs, *self.tables)


@dataclass(frozen=True)
class Job:
    """A job that leaves runs: the patterns of its outputs, without their endings, and of its benchmark file.

    ``wildcards`` are the values of its rule's wildcards, by name.
    """

    outputs: str
    benchmarks: str
    wildcards: Mapping[str, Any]

    @property
    def stem(self) -> str:
        """Return its outputs without their endings."""
        return self.outputs.format(**self.wildcards)

    @property
    def benchmark(self) -> str:
        """Return its benchmark file."""
        return self.benchmarks.format(**self.wildcards)


@cache
def all_studies() -> tuple[Study, ...]:
    """Find all studies, in report order; one that needs files is left out where the current folder has none."""
    folders = sorted(path.parent.name for path in Path(__file__).parent.glob("*/description.py"))
    found = [importlib.import_module(f"peft_atlas.studies.{folder}.description").STUDY for folder in folders]
    here = [study for study in found if not study.needs or any(Path().glob(study.needs))]
    return tuple(sorted(here, key=lambda study: (study.order, study.name)))


def measured_studies() -> tuple[str, ...]:
    """Name the studies that train, sorted; these can be left out of a run."""
    return tuple(sorted(study.name for study in all_studies() if study.measured))


def default_studies() -> tuple[str, ...]:
    """Name the studies that train in a default run, sorted."""
    return tuple(sorted(study.name for study in all_studies() if study.measured and not study.opt_in))


def studies_of(names: tuple[str, ...]) -> tuple[Study, ...]:
    """List the studies of a run, in report order: the named ones and those that are always included."""
    return tuple(study for study in all_studies() if study.name in names or not study.measured)
