"""Errors of the seed notebook's sections 6-8 and of the tables it quotes, each with what was made of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from peft_atlas.analysis.finding import POINTS, Effect, Finding
from peft_atlas.studies.literature.check_finding import slug, who
from peft_atlas.studies.literature.conflicts import OPEN, SOURCES, TASKS
from peft_atlas.studies.literature.families import ARITHMETIC, AVERAGE, COMMONSENSE
from peft_atlas.studies.literature.jobs import NAME
from peft_atlas.studies.literature.printed_numbers import place
from peft_atlas.studies.literature.published_tables import LORA, PublishedTables, both
from peft_atlas.studies.literature.recomputation import NOTHING, PERCENT, match_printed
from peft_atlas.studies.literature.scores import SEED, SOURCE, other_schedules


def published_errata(tables: PublishedTables, checks: Sequence[Finding]) -> list[Finding]:
    """Return the errors of the seed notebook's published numbers and of their sources.

    Parameters
    ----------
    tables
        The result tables.
    checks
        The checks of `published_checks`, which some errata repeat with what was made of them.
    """
    return [
        *_references(tables),
        *_impossible_percentages(tables),
        *_two_percentages(tables),
        *_ambiguous_percentages(tables),
        _domains(tables),
        *_from_checks(checks),
        _left_out(tables),
        *_superseded(tables),
        *_schedules(tables),
        _no_intervals(tables),
    ]


def _erratum(
    name: str, statement: str, source: str, verdict: str, evidence: str, detail: str, effect: Effect | None = None
) -> Finding:
    return Finding("erratum", name, NAME, statement, who(source), verdict, evidence, detail, effect=effect)


def _references(tables: PublishedTables) -> Iterator[Finding]:
    """Return the references whose identifier is another work's."""
    for row in tables.references[tables.references["verdict"] != "correct"].itertuples():
        yield _erratum(
            f"reference_{row.number}",
            f"Reference {row.number}, {row.title}, is given as arXiv:{row.claimed_arxiv_id}",
            SEED,
            "fixed",
            f"references: number={row.number}",
            f"It is arXiv:{row.true_arxiv_id}. {row.note or ''}".strip(),
            effect=Effect(None, n=1),
        )


def _impossible_percentages(tables: PublishedTables) -> Iterator[Finding]:
    """Return the percentages quoted by the seed that no documented configuration gives."""
    matched = match_printed(tables.published, tables.parameters)
    for row in matched[(matched["source"] == SEED) & (matched["fit"] == NOTHING)].itertuples():
        later = _cell(tables, row, SOURCE)
        setting = matched[(matched["table"] == later["table"]) & (matched["line"] == later["line"])].iloc[0]
        yield _erratum(
            f"percentage_{slug(row.method)}_{slug(row.base_model)}",
            f"{row.method} on {row.base_model} is said to train {row.printed} % of the parameters",
            SEED,
            "fixed",
            f"published: table={row.table}, line={row.line}; conflicts: method={row.method}, metric={PERCENT}",
            f"No documented configuration gives it. {SOURCE} prints {later['printed']} "
            f"({place(later['table'], [later['line']])}), which is {setting['setting']}: "
            f"{setting['trainable_params']:,} parameters. Figures of cost use the later number.",
            effect=Effect(
                float(row.value - setting["percent"]),
                "percent of the parameters, printed less recomputed",
                n=int(row.tried),
            ),
        )


def _cell(tables: PublishedTables, like: Any, source: str) -> pd.Series[Any]:
    """Return the percentage that a source prints for the same model, method and family of tasks."""
    cells = tables.exact[(tables.exact["source"] == source) & (tables.exact["metric"] == PERCENT)]
    cells = cells[(cells["base_model"] == like.base_model) & (cells["method"] == like.method)]
    return cells[cells["task"] == like.task].iloc[0]


def _two_percentages(tables: PublishedTables) -> Iterator[Finding]:
    """Return the methods for which one source prints two percentages next to two families of tasks."""
    for row in tables.conflicts[tables.conflicts["scope"] == TASKS].itertuples():
        yield _erratum(
            f"two_percentages_{slug(row.method)}_{slug(row.base_model)}_{row.sources}",
            f"{row.method} on {row.base_model} has two percentages: {row.readings}",
            row.sources,
            "open" if row.verdict == OPEN else "fixed",
            f"conflicts: scope={TASKS}, sources={row.sources}; {row.evidence}",
            f"{row.resolution} Remark next to the cell: {row.remarks or 'none'}.",
            effect=Effect(row.highest / row.lowest, "times, higher over lower", n=row.n_cells),
        )


def _quoted_and_open(tables: PublishedTables) -> pd.DataFrame:
    """Return the conflicts that nothing settles and that a number of the seed notebook is part of."""
    found = tables.conflicts[(tables.conflicts["scope"] == SOURCES) & (tables.conflicts["verdict"] == OPEN)]
    return found[np.array([SEED in sources.split(", ") for sources in found["sources"]], dtype=bool)]


def _ambiguous_percentages(tables: PublishedTables) -> Iterator[Finding]:
    """Return the methods whose percentage depends on a configuration that the seed does not name."""
    found = _quoted_and_open(tables)
    for method, rows in found[found["metric"] == PERCENT].groupby("method", sort=False):
        words = [f"{row.base_model}: {row.readings}. {row.resolution}" for row in rows.itertuples()]
        yield _erratum(
            f"ambiguous_percentage_{slug(str(method))}",
            f"{method} is given one percentage per model, where documented configurations give two",
            SEED,
            "open",
            f"conflicts: method={method}, metric={PERCENT}",
            " ".join(words),
            effect=Effect(float((rows["highest"] / rows["lowest"]).max()), "times, higher over lower", n=len(rows)),
        )


def _domains(tables: PublishedTables) -> Finding:
    """Return the percentages of application domains that no source supports."""
    verdicts = tables.application_verdicts
    lost = verdicts[verdicts["status"] == "unsupported"]
    return _erratum(
        "domains_without_source",
        f"Section 6 draws a LoRA percentage for each of {len(verdicts)} domains as if each had one",
        SEED,
        "open",
        "application_verdicts: status=unsupported",
        f"No source seen supports those of {both(list(lost['task']))}. Of the supported ones: "
        f"{' '.join(dict.fromkeys(verdicts.loc[verdicts['status'] == 'supported', 'reason']))}",
        effect=Effect(float(len(lost)), "numbers without a source", n=len(verdicts)),
    )


# Failing checks that are errors of a source: the check, what is wrong with it, and what was made of it here.
_FROM_CHECKS = {
    "repeated_value_": ("One percentage is given for several unrelated domains", "open", "The figure marks it."),
    "bounds_": ("A bound is drawn as a value", "fixed", "The figure shows it as a bound."),
    "printed_peaks_": (
        "A printed peak of training memory is below weights, gradients and moments of its own setting",
        "open",
        "The cause was not found; these peaks are in no error and no interval here.",
    ),
    "row_mean_": ("A printed average is not the rounded mean of its row", "open", "Averages are kept as printed."),
}


def _from_checks(checks: Sequence[Finding]) -> Iterator[Finding]:
    """Return the errors that failing checks have found, with the check's own detail."""
    for check in checks:
        for start, (statement, verdict, made) in _FROM_CHECKS.items():
            if check.verdict == "fail" and check.id.startswith(start):
                yield Finding(
                    "erratum",
                    f"check_{check.id}",
                    NAME,
                    statement,
                    check.source,
                    verdict,
                    f"findings: kind=check, id={check.id}",
                    f"{check.detail} {made}",
                    effect=check.effect,
                )


def _left_out(tables: PublishedTables) -> Finding:
    """Return what section 7 leaves out by showing the accuracies of one family of tasks."""
    commonsense = dict(tables.groups(COMMONSENSE))
    gaps = {
        model: _best_elsewhere(commonsense[model], group)
        for model, group in tables.lora_groups(ARITHMETIC)
        if set(commonsense.get(model, group.head(0)).index) & set(group.index)
    }
    words = both([f"{method} has {gap:+.1f} points against LoRA on {model}" for model, (method, gap) in gaps.items()])
    quoted = tables.exact[(tables.exact["source"] == SEED) & (tables.exact["task"] == AVERAGE)]
    return _erratum(
        "arithmetic_left_out",
        "Section 7 compares methods by their accuracy on commonsense reasoning alone",
        SEED,
        "fixed",
        f"published: source={SEED}, task=Avg; published: source={SOURCE}, table=arithmetic, task=Avg",
        f"It quotes {len(quoted)} averages, none on arithmetic reasoning, where the best of the commonsense tables is "
        f"not the best: {words}. Both families are drawn here.",
        effect=Effect(min((gap for _, gap in gaps.values()), default=None), POINTS, n=len(gaps)),
    )


def _best_elsewhere(elsewhere: pd.DataFrame, group: pd.DataFrame) -> tuple[str, float]:
    """Return the best commonsense method that a model's arithmetic table has, and its lead over LoRA there."""
    best = next(method for method in elsewhere.index if method in group.index)
    return best, float(group.loc[best, "accuracy"] - group.loc[LORA, "accuracy"])


def _superseded(tables: PublishedTables) -> Iterator[Finding]:
    """Return the quoted averages that another source prints otherwise, with nothing to settle it."""
    found = _quoted_and_open(tables)
    for row in found[found["metric"] != PERCENT].itertuples():
        yield _erratum(
            f"another_average_{slug(row.method)}_{slug(row.base_model)}",
            f"{row.method}'s average on {row.base_model} is given as if it were the only one printed",
            SEED,
            "open",
            f"conflicts: method={row.method}, base_model={row.base_model}; {row.evidence}",
            f"{row.readings}. {row.resolution}",
            effect=Effect(float(row.difference), POINTS, n=row.n_cells),
        )


def _schedules(tables: PublishedTables) -> Iterator[Finding]:
    """Return the methods of which the source prints another training length, which section 7 does not show."""
    others = other_schedules(tables.published)
    for method, rows in others.groupby("base_method", sort=False):
        keys = ["base_model", "family"]
        shown = tables.scores[tables.scores["method"] == method]
        pairs = rows.merge(shown[[*keys, "accuracy", "accuracy_printed"]], on=keys, suffixes=("", "_shown"))
        words = both(
            [
                f"{row.accuracy_printed} for {row.accuracy_printed_shown} on {row.base_model}"
                for row in pairs.itertuples()
            ]
        )
        yield _erratum(
            f"schedule_{slug(str(method))}",
            f"{method} is compared after one length of training, where its source prints another too",
            SEED,
            "fixed",
            f"published: source={SOURCE}, method={' and '.join(dict.fromkeys(rows['method']))}",
            f"{both(list(dict.fromkeys(rows['method'])))}: {words}.",
            effect=Effect(float((pairs["accuracy"] - pairs["accuracy_shown"]).min()), POINTS, n=len(pairs)),
        )


def _no_intervals(tables: PublishedTables) -> Finding:
    """Return that the quoted numbers come without intervals or numbers of seeds."""
    quoted = tables.exact[tables.exact["source"] == SEED]
    spread = tables.published[tables.published["spread"].notna()]
    those = (
        f"; {len(spread)}, of {both(sorted(spread['source'].unique()))}, have a ± of unsaid meaning"
        if len(spread)
        else ""
    )
    return _erratum(
        "no_intervals",
        "Methods are ranked by numbers without an interval or a number of seeds",
        SEED,
        "open",
        f"published: source={SEED}; published: spread",
        f"None of the {len(quoted)} quoted numbers has one, nor has any of the {len(tables.published)} cells "
        f"transcribed{those}; none is invented here.",
        effect=Effect(None, n=len(quoted)),
    )
