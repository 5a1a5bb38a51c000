"""A setting tuned and trained: its rate chosen on validation, then all its seeds trained and tested.

Every study whose runs can pause on disk does it this way; what a run is and which rows it leaves are the study's.
"""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import numpy as np

from peft_atlas.errors import AtlasError
from peft_atlas.training.epochs import EpochTraining
from peft_atlas.training.history import History
from peft_atlas.training.resource_usage import peak_megabytes
from peft_atlas.training.rows import Row
from peft_atlas.training.search import LOST, Choice, Score, SearchPlan, choose_rate


@dataclass(frozen=True)
class Tables:
    """Rows of runs, curves, costs and items."""

    runs: list[Row] = field(default_factory=list)
    curves: list[Row] = field(default_factory=list)
    costs: list[Row] = field(default_factory=list)
    items: list[Row] = field(default_factory=list)

    def add(self, other: Tables) -> None:
        """Take in the rows of another run."""
        self.runs.extend(other.runs)
        self.curves.extend(other.curves)
        self.costs.extend(other.costs)
        self.items.extend(other.items)


@dataclass(frozen=True)
class Selected:
    """Whether validation chose a run's rate, and whether that is at an end of those tried; None: no choice."""

    chosen: bool | None = None
    edge: bool | None = None


class TunedRun(ABC):
    """A run; a new object of the same run goes on from what an earlier one left on disk.

    No two should be alive at once, since each would count in the other's memory. A study's run sets ``_training``.
    """

    _training: EpochTraining[Any, Any]

    @abstractmethod
    def _validation(self) -> Any:
        """Return the rows that validation is read on, as its training takes them."""

    @abstractmethod
    def read_test(self) -> Self:
        """Read the test split, once, and return itself; of a diverged run nothing is read."""

    @property
    def history(self) -> History:
        """Return what was measured."""
        return self._training.history

    @property
    def epochs(self) -> int:
        """Return the epochs that the run has had."""
        return len(self.history.train_loss)

    def train(self, until: int | None = None, validated: Collection[int] = ()) -> Self:
        """Train until after an epoch, the last where none is given, and return itself.

        Validation is read after the epochs ``validated``, from 1.
        """
        self._training.train(self._validation() if validated else None, until, validated)
        self.history.peak_megabytes = max(self.history.peak_megabytes, peak_megabytes())
        return self

    def pause(self) -> Self:
        """Leave the state on disk and return itself."""
        self._training.pause()
        return self

    def forget(self) -> Self:
        """Delete the state on disk and return itself."""
        self._training.checkpoint.remove()
        return self


R = TypeVar("R", bound=TunedRun)


@dataclass(frozen=True)
class Tuning(Generic[R]):
    """How a setting is tuned and trained.

    Parameters
    ----------
    label
        The setting's method, for messages.
    search
        How its rate is chosen.
    search_seeds
        Seeds that the rate is chosen with.
    seeds
        Seeds whose runs at the chosen rate are tested.
    start
        Returns the run of a rate and a seed, where it was left.
    rows
        Returns the rows that a run leaves.
    score
        Returns what validation says of a run that has not diverged; higher is better.
    """

    label: str
    search: SearchPlan
    search_seeds: tuple[int, ...]
    seeds: tuple[int, ...]
    start: Callable[[float, int], R]
    rows: Callable[[R, Selected], Tables]
    score: Callable[[History], Score]


def tuned_runs(tuning: Tuning[R]) -> Tables:
    """Return the rows of all runs of a setting: those of the search, and those at the chosen rate, which are tested.

    Test is read after the choice. One run is alive at a time; the others are states on disk.

    Raises
    ------
    AtlasError
        If every rate diverged.
    """
    search = _Search(tuning)
    choice = choose_rate(tuning.search, search)
    if search.scores[choice.rate] == LOST:
        raise AtlasError(f"rates of {tuning.label}: every one diverged; allowed: a grid with lower rates")
    tables = search.losers(choice)
    for seed in tuning.seeds:
        # Where a search is made of one rate nothing was chosen, but the rate is the setting's.
        run = tuning.start(choice.rate, seed).train().read_test().forget()
        tables.add(tuning.rows(run, Selected(chosen=True, edge=choice.edge)))
        del run
    return tables


class _Search(Generic[R]):
    """Trains the rates of a search with each of its seeds; see `peft_atlas.training.search.Trainer`."""

    def __init__(self, tuning: Tuning[R]) -> None:
        self._tuning = tuning
        self.scores: dict[float, Score] = {}

    def __call__(self, rate: float, until: int) -> Score:
        """Train a rate until after an epoch; the states stay on disk."""
        scores = [self._of_seed(rate, seed, until) for seed in self._tuning.search_seeds]
        first, second = (float(np.mean(values)) for values in zip(*scores, strict=True))
        self.scores[rate] = LOST if LOST in scores else (first, second)
        return self.scores[rate]

    def _of_seed(self, rate: float, seed: int, until: int) -> Score:
        history = self._tuning.start(rate, seed).train(until, validated=(until,)).pause().history
        return LOST if history.diverged else self._tuning.score(history)

    def losers(self, choice: Choice) -> Tables:
        """Return the rows of the rates that were not chosen, and delete their states."""
        tables = Tables()
        for rate in choice.tried:
            for seed in self._tuning.search_seeds if rate != choice.rate else ():
                run = self._tuning.start(rate, seed).forget()
                tables.add(self._tuning.rows(run, Selected(chosen=False)))
                del run
        return tables


def validated(history: History) -> Score:
    """Return accuracy and negative loss of the last validation, `LOST` where it was not read."""
    values = (history.validation_accuracy, history.validation_loss)
    accuracy, loss = (each[-1] if each else None for each in values)
    return LOST if accuracy is None or loss is None else (accuracy, -loss)


@contextmanager
def state_folder(kept: Path | None) -> Iterator[Path]:
    """Give the folder of the states of runs under way; where none is kept, one that is deleted afterwards."""
    if kept is not None:
        yield kept
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
