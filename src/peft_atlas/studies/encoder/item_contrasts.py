"""The encoder study's comparisons that rest on which test texts a run gets right.

The prespecified question compares one setting with full fine-tuning, seed by seed and item by item, over all tasks that
train both. All other comparisons are exploratory: settings, ranks and choices of modules on the main task in one
two-way model with one error variance, on the test texts that all of them have read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from peft_atlas.analysis.contrasts import EXPLORATORY, METRIC, UNIT, Levels, Role
from peft_atlas.analysis.contrasts import PRIMARY as PRIMARY_ROLE
from peft_atlas.analysis.pooled import Difference, TwoWay, bootstrap_interval, mean_difference
from peft_atlas.analysis.power import possible_difference
from peft_atlas.analysis.statistics import cut_interval
from peft_atlas.methods.names import setting_name
from peft_atlas.studies.encoder.contrasts import (
    AGAINST_FULL,
    ALL_TASKS,
    BOOTSTRAP,
    BUDGET,
    BUDGET_CHANGE,
    CROSS_FIT,
    FULL,
    GROUP,
    MODULES,
    PRIMARY,
    RANK_STEPS,
    chosen_runs,
    main_task,
    rank_runs,
)
from peft_atlas.studies.encoder.jobs import CONTROLS_PART, METHODS, NAME, RANKS

Row = dict[str, Any]
Items = Mapping[str, NDArray[np.float64]]
_FULL = "full"
_HEAD = "head only"
# What the settings of LoRA on more modules are compared with.
_FEWEST_MODULES = "LoRA (query, value)"


@dataclass(frozen=True)
class Basis:
    """The encoder study's runs, which test texts each gets right, the levels, and the prespecified setting."""

    runs: pd.DataFrame
    items: Items
    levels: Levels
    compared: str


def contrasts(runs: pd.DataFrame, items: pd.DataFrame, confidence: float, question: Mapping[str, Any]) -> list[Row]:
    """Return the comparisons of the encoder study that need items, as rows of the contract ``contrasts``.

    Parameters
    ----------
    runs, items
        Tables of those contracts, of the encoder study alone.
    confidence
        Confidence level of the intervals.
    question
        The prespecified question: the ``method`` that is compared with full fine-tuning, and the ``margin``.
    """
    right = {str(name): part.to_numpy(dtype=float) for name, part in items.groupby("run_id", sort=False)["correct"]}
    basis = Basis(runs, right, Levels(confidence, question["margin"]), question["method"])
    return [*_primary(basis), *_budgets(basis), *_pooled(basis)]


def _names(runs: pd.DataFrame) -> pd.Series[Any]:
    """Return the name of each run's method with its setting."""
    settings = runs["setting"].astype(object).where(runs["setting"].notna(), None)
    names = [setting_name(method, setting) for method, setting in zip(runs["method"], settings, strict=True)]
    return pd.Series(names, index=runs.index, dtype=object)


def _by_seed(basis: Basis, runs: pd.DataFrame) -> dict[int, NDArray[np.float64]]:
    """Return which items each seed's run got right; a diverged run has none."""
    return {
        int(seed): basis.items[run]
        for seed, run in zip(runs["seed"], runs["run_id"], strict=True)
        if run in basis.items
    }


def _paired(
    basis: Basis, left: pd.DataFrame, right: pd.DataFrame, without: Collection[int] = ()
) -> NDArray[np.float64]:
    """Return the differences of two cells, shape ``(seeds, items)``, over the seeds that both have, some left out."""
    one, other = _by_seed(basis, left), _by_seed(basis, right)
    seeds = sorted(set(one) & set(other) - set(without))
    count = min((len(one[seed]) for seed in seeds), default=0)
    count = min([count, *(len(other[seed]) for seed in seeds)])
    return np.array([one[seed][:count] - other[seed][:count] for seed in seeds])


def _primary(basis: Basis) -> list[Row]:
    """Return the prespecified question: over all tasks, then task by task, and what checks it.

    The checks are a bootstrap, and the same over the seeds whose validation did not choose a rate (cross-fitting).
    """
    chosen = chosen_runs(basis.runs).assign(name=_names(chosen_runs(basis.runs)))
    searched = _search_seeds(basis)
    tables, cells, others = {}, {}, []
    for task in sorted(set(chosen.loc[chosen["name"] == basis.compared, "task"])):
        own = chosen[chosen["task"] == task]
        left, right = (own[own["name"] == name] for name in (basis.compared, _FULL))
        table = _paired(basis, left, right)
        if len(table) >= 2:
            tables[task], cells[task] = table, left.iloc[0]
            others.append(_paired(basis, left, right, without=searched))
    if not tables:
        return []
    first = next(iter(cells.values()))
    whole = mean_difference(list(tables.values()), basis.levels.confidence)
    rows = [_of_items(basis, PRIMARY, ALL_TASKS, first, whole, PRIMARY_ROLE)]
    rows.append(_bootstrap(basis, first, list(tables.values()), whole))
    if searched and all(len(table) >= 2 for table in others):
        found = mean_difference(others, basis.levels.confidence)
        rows.append(_of_items(basis, CROSS_FIT, ALL_TASKS, first, found, EXPLORATORY))
    for task, table in tables.items():
        found = mean_difference([table], basis.levels.confidence)
        rows.append(_of_items(basis, PRIMARY, task, cells[task], found, EXPLORATORY))
    return rows


def _search_seeds(basis: Basis) -> set[int]:
    """Return the seeds with which rates of the two compared settings were chosen: those that ran at other rates too."""
    runs = basis.runs[basis.runs["experiment"] == METHODS]
    left_out = runs["selected"].notna() & ~runs["selected"].fillna(value=False)
    return set(runs.loc[left_out & _names(runs).isin([basis.compared, _FULL]), "seed"].astype(int))


def _of_items(basis: Basis, question: str, task: str, cell: pd.Series[Any], found: Difference, role: Role) -> Row:
    """Return a comparison with full fine-tuning over seeds and items, tested against the margin as well."""
    adjustment = "none, prespecified" if role == PRIMARY_ROLE else "none"
    interval = f"{100 * basis.levels.confidence:g} % t over seeds and items"
    row = _row(question, role, task, cell, FULL, found, interval, adjustment, basis.levels.confidence)
    margin = basis.levels.margin
    return {**row, "margin": margin, "p_equivalence": found.equivalence_p(margin) if found.se else None}


def _bootstrap(basis: Basis, cell: pd.Series[Any], tables: Sequence[NDArray[np.float64]], model: Difference) -> Row:
    """Return the same mean with an interval that assumes no distribution."""
    low, high = bootstrap_interval(tables, basis.levels.confidence)
    interval = f"{100 * basis.levels.confidence:g} % bootstrap over seeds and items"
    row = _row(BOOTSTRAP, EXPLORATORY, ALL_TASKS, cell, FULL, model, interval, "none", basis.levels.confidence)
    unknown = dict.fromkeys(("p_value", "p_adjusted", "detectable", "indistinguishable"))
    return {**row, **unknown, "low": low, "high": high}


def _budgets(basis: Basis) -> list[Row]:
    """Return the same comparison at each larger budget, and how far the budget changes the difference."""
    rows: list[Row] = []
    small = _budget_pair(basis, METHODS)
    for experiment in sorted(set(basis.runs["experiment"]) - {METHODS, RANKS, CONTROLS_PART}):
        cell, large = _budget_pair(basis, experiment)
        if cell is None or len(large) < 2:
            continue
        task = str(cell["task"])
        found = mean_difference([_stacked(large)], basis.levels.confidence)
        rows.append(_of_items(basis, BUDGET, task, cell, found, EXPLORATORY))
        both = sorted(set(large) & set(small[1]))
        change = _stacked({seed: large[seed] - small[1][seed] for seed in both})
        if len(change) >= 2:
            found = mean_difference([change], basis.levels.confidence)
            reference = f"the same difference with {int(small[0]['train_examples'])} examples"
            interval = f"{100 * basis.levels.confidence:g} % t over seeds and items"
            rows.append(
                _row(
                    BUDGET_CHANGE, EXPLORATORY, task, cell, reference, found, interval, "none", basis.levels.confidence
                )
            )
    return rows


def _budget_pair(basis: Basis, experiment: str) -> tuple[Any, dict[int, NDArray[np.float64]]]:
    """Return the compared cell of a budget on the main task, and its differences to full fine-tuning by seed."""
    chosen = chosen_runs(basis.runs, experiment)
    chosen = chosen[chosen["task"] == main_task(basis.runs)]
    left, right = (chosen[_names(chosen) == name] for name in (basis.compared, _FULL))
    one, other = _by_seed(basis, left), _by_seed(basis, right)
    seeds = sorted(set(one) & set(other))
    return (left.iloc[0] if len(left) else None), {seed: one[seed] - other[seed] for seed in seeds}


def _stacked(by_seed: Mapping[int, NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.array([by_seed[seed] for seed in sorted(by_seed)])


@dataclass(frozen=True)
class _Family:
    """The cells of the main task in one two-way model: a run of each, its name with the rank, and the outcomes."""

    cells: list[pd.Series[Any]]
    names: list[str]
    model: TwoWay

    def place(self, name: str) -> int | None:
        return self.names.index(name) if name in self.names else None


def _family(basis: Basis) -> _Family | None:
    """Return the two-way model of all settings and ranks on the main task, over the seeds and items all have read."""
    task = main_task(basis.runs)
    chosen = pd.concat([chosen_runs(basis.runs), chosen_runs(basis.runs, RANKS)])
    chosen = chosen[chosen["task"] == task]
    chosen = chosen.assign(name=_names(chosen))
    # The rank of the usual setting stays out of its name, which so is the same for methods without a rank.
    varied = chosen["experiment"] == RANKS
    chosen.loc[varied, "name"] += " rank " + chosen.loc[varied, "rank"].astype(str)
    parts = dict(list(chosen.groupby("name", sort=True)))
    right = {name: _by_seed(basis, part) for name, part in parts.items()}
    right = {name: by_seed for name, by_seed in right.items() if by_seed}
    seeds = sorted(set.intersection(*(set(by_seed) for by_seed in right.values()))) if right else []
    if len(seeds) < 2 or len(right) < 2:
        return None
    count = min(len(by_seed[seed]) for by_seed in right.values() for seed in seeds)
    outcomes = np.array([[by_seed[seed][:count].mean() for seed in seeds] for by_seed in right.values()])
    return _Family([parts[name].iloc[0] for name in right], list(right), TwoWay(outcomes))


def _pooled(basis: Basis) -> list[Row]:
    """Return the exploratory comparisons: settings against full, ranks, and modules."""
    family = _family(basis)
    if family is None or (full := family.place(_FULL)) is None:
        return []
    usual = [place for place, cell in enumerate(family.cells) if cell["experiment"] == METHODS and place != full]
    explored = [place for place in usual if family.names[place] != basis.compared]
    adapted = [place for place in usual if family.names[place] != _HEAD]
    return [
        *_against_full(basis, family, explored, full),
        *_group(basis, family, adapted, full),
        *_modules(basis, family),
        *_rank_steps(basis, family),
    ]


def _against_full(basis: Basis, family: _Family, places: Sequence[int], full: int) -> list[Row]:
    """Return every exploratory setting against full fine-tuning, with Dunnett's simultaneous intervals."""
    if not places:
        return []
    confidence = basis.levels.confidence
    interval = f"{100 * confidence:g} % simultaneous (Dunnett), pooled error"
    adjustment = f"Dunnett, {len(places)} comparisons"
    found = family.model.against(places, full, confidence)
    return [
        _pooled_row(family, AGAINST_FULL, place, FULL, each, interval, adjustment, confidence)
        for place, each in zip(places, found, strict=True)
    ]


def _group(basis: Basis, family: _Family, places: Sequence[int], full: int) -> list[Row]:
    """Return the mean of all settings that train a small part, against full fine-tuning."""
    if len(places) < 2:
        return []
    found = family.model.group(places, full, basis.levels.confidence)
    row = _alone(basis, family, GROUP, places[0], FULL, found)
    nothing = dict.fromkeys(("setting", "rank", "alpha"))
    return [{**row, **nothing, "method": f"mean of {len(places)} settings"}]


def _modules(basis: Basis, family: _Family) -> list[Row]:
    """Return LoRA on more modules against LoRA on query and value."""
    few = family.place(_FEWEST_MODULES)
    more = [place for place, cell in enumerate(family.cells) if _more_modules(cell) and place != few]
    if few is None:
        return []
    reference = _FEWEST_MODULES
    return [
        _alone(basis, family, MODULES, place, reference, family.model.pair(place, few, basis.levels.confidence))
        for place in more
    ]


def _more_modules(cell: pd.Series[Any]) -> bool:
    return bool(cell["method"] == "LoRA" and cell["experiment"] == METHODS)


def _rank_steps(basis: Basis, family: _Family) -> list[Row]:
    """Return the step from each rank to the next, each at the rate that was tuned for it."""
    curve = rank_runs(basis.runs, basis.levels.confidence)
    if curve.empty:
        return []
    name = _names(curve).iloc[0]
    at = {int(cell["rank"]): place for place, cell in enumerate(family.cells) if family.names[place].startswith(name)}
    ranks = sorted(at)
    return [
        _alone(
            basis,
            family,
            RANK_STEPS,
            at[high],
            f"rank {low}",
            family.model.pair(at[high], at[low], basis.levels.confidence),
        )
        for low, high in pairwise(ranks)
    ]


def _alone(basis: Basis, family: _Family, question: str, place: int, reference: str, found: Difference) -> Row:
    """Return a comparison on the pooled error that is not adjusted."""
    interval = f"{100 * basis.levels.confidence:g} % t, pooled error"
    return _pooled_row(family, question, place, reference, found, interval, "none", basis.levels.confidence)


def _pooled_row(
    family: _Family, question: str, place: int, reference: str, found: Difference, interval: str, adjustment: str,
    confidence: float,
) -> Row:  # fmt: skip
    cell = family.cells[place]
    return _row(question, EXPLORATORY, str(cell["task"]), cell, reference, found, interval, adjustment, confidence)


def _row(
    question: str, role: Role, task: str, cell: pd.Series[Any], reference: str, found: Difference, interval: str,
    adjustment: str, confidence: float,
) -> Row:  # fmt: skip
    """Return a row of the contract ``contrasts``."""
    known = {name: None if pd.isna(cell[name]) else cell[name] for name in ("setting", "rank", "alpha")}
    # A change of accuracy is at most 1, and so a change of that change is at most 2.
    most = 2.0 if question == BUDGET_CHANGE else 1.0
    low, high = cut_interval(found.mean, (found.low, found.high), (-most, most))
    return {
        "study": NAME,
        "question": question,
        "role": role,
        "task": task,
        "method": cell["method"],
        **known,
        "shift_rank": None,
        "train_examples": int(cell["train_examples"]),
        "metric": METRIC,
        "unit": UNIT,
        "reference": reference,
        "difference": found.mean,
        "low": low,
        "high": high,
        "interval": interval,
        "n": found.n,
        "p_value": found.p_value,
        "p_adjusted": found.p_adjusted,
        "adjustment": adjustment,
        "detectable": possible_difference(found.detectable),
        "margin": None,
        "p_equivalence": None,
        "indistinguishable": found.p_adjusted >= 1 - confidence,
    }
