"""The encoder study's questions, answered from the combined tables, each in a sentence with its scope."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from peft_atlas.analysis.finding import ATLAS, POINTS, Effect, Finding
from peft_atlas.analysis.pooled import TwoWay
from peft_atlas.analysis.statistics import interval_name, mean_interval, paired_difference
from peft_atlas.methods.names import setting_name
from peft_atlas.studies.encoder.contrasts import (
    AGAINST_FULL,
    ALL_TASKS,
    BOOTSTRAP,
    BUDGET,
    BUDGET_CHANGE,
    CONTROLS_AGAINST_FULL,
    CROSS_FIT,
    GROUP,
    MODULES,
    PRIMARY,
    RANK_STEPS,
    cells,
    chosen_runs,
    main_task,
    rank_runs,
)
from peft_atlas.studies.encoder.jobs import NAME, RANDOM_WEIGHTS
from peft_atlas.studies.encoder.packaged import task_in_short

# What the prespecified comparison is to detect with 80 % power, in points: on the mean over tasks, and on one task.
AIM, AIM_PER_TASK = 1.2, 1.7
# Reliability of the measured order of settings from which an order would be reported.
RELIABLE = 0.8


def encoder_answers(runs: pd.DataFrame, contrasts: pd.DataFrame, confidence: float) -> list[Finding]:
    """Return what the encoder study says of methods, budget, modules, ranks, rates, pretraining and forgetting.

    Parameters
    ----------
    runs, contrasts
        Tables of those contracts, of the encoder study alone.
    confidence
        Confidence level of the intervals.
    """
    level = 1 - confidence
    return [
        *_primary(runs, contrasts, level),
        *_budgets(runs, contrasts),
        *_group(runs, contrasts),
        *_modules(runs, contrasts),
        *_ranks(runs, contrasts, confidence),
        *_order(runs),
        *_rates(runs),
        *_pretraining(runs, contrasts),
        *_forgetting(runs, contrasts, confidence),
        *_refused(runs),
    ]


def _answer(name: str, question: str, evidence: str, detail: str, effect: Effect) -> Finding:
    return Finding("answer", name, NAME, question, ATLAS, "measured", evidence, detail, effect=effect)


def named(row: pd.Series[Any]) -> str:
    """Return the name of a row's method with its setting."""
    return setting_name(row["method"], None if pd.isna(row["setting"]) else row["setting"])


def _scope(runs: pd.DataFrame, examples: int) -> str:
    """Return the model and the budget that an answer is about."""
    own = runs[(runs["train_examples"] == examples) & (runs["method"] == "full")].iloc[0]
    epochs = f"{own['epochs']} epoch{'s' if own['epochs'] > 1 else ''}"
    return f"On {own['model']} with {examples} training examples and {epochs}"


def in_short(effect: Effect) -> str:
    """Return an effect with its interval, in points."""
    if effect.size is None:
        return "?"
    # The unit follows the interval, or precedes the words used instead of one.
    return effect.in_words(unit="points") if effect.low == effect.high else f"{effect.in_words(unit='')} points"


def outcome(effect: Effect, reference: str) -> str:
    """Return what an interval says: better, worse, or indistinguishable, with what would have been detected."""
    if effect.low is not None and effect.low > 0:
        return f"better than {reference}"
    if effect.high is not None and effect.high < 0:
        return f"worse than {reference}"
    return f"statistically indistinguishable from {reference} ({effect.detectable_in_words()})"


def against_margin(effect: Effect, margin: float, p_equivalence: float | None, level: float) -> str:
    """Return whether a setting is equivalent within a margin, not worse by it, or neither is shown."""
    points = f"{100 * margin:g} points"
    if p_equivalence is not None and p_equivalence < level:
        return f"equivalent within the margin of {points} set beforehand"
    if effect.low is not None and effect.low > -100 * margin:
        return f"not worse by the margin of {points} set beforehand"
    if effect.high is not None and effect.high < -100 * margin:
        return f"worse by more than the margin of {points} set beforehand"
    return f"neither equivalence within {points}, the margin set beforehand, nor non-inferiority is shown"


def _primary(runs: pd.DataFrame, contrasts: pd.DataFrame, level: float) -> Iterator[Finding]:
    """Return the prespecified question: the mean over tasks, each task, and what checks it."""
    rows = contrasts[contrasts["question"] == PRIMARY]
    whole = rows[rows["task"] == ALL_TASKS]
    if whole.empty:
        return
    row, tasks = whole.iloc[0], rows[rows["task"] != ALL_TASKS]
    effect = Effect.of_contrast(row)
    margin = against_margin(effect, float(row["margin"]), _known(row["p_equivalence"]), level)
    each = ", ".join(
        f"{task_in_short(part['task'])} {Effect.of_contrast(part).in_words(unit='')}" for _, part in tasks.iterrows()
    )
    names = " and ".join(map(task_in_short, tasks["task"]))
    several = len(tasks) > 1
    by_task = f" By task, not adjusted: {each}." if several else ""
    used = [name for name in (PRIMARY, BOOTSTRAP, CROSS_FIT) if contrasts["question"].eq(name).any()]
    tested = int(runs.loc[runs["method"] == "full", "test_examples"].max())
    yield _answer(
        "encoder_gain_primary",
        f"Is {named(row)} as good as full fine-tuning?",
        "; ".join(f"contrasts: question={name}" for name in used),
        f"{_scope(runs, int(row['train_examples']))}, the test accuracy of {named(row)} less that of full fine-tuning "
        f"is {in_short(effect)} {'in the mean over' if several else 'on'} {names} ({int(row['n'])} seeds, {tested:,} "
        f"test texts): {outcome(effect, 'full fine-tuning')}; {margin}.{by_task} "
        f"{_checked(contrasts)}{_power(row, tasks)}More examples, another model or other tasks could change it.",
        effect,
    )


def _checked(contrasts: pd.DataFrame) -> str:
    """Return the interval of the bootstrap, and the same difference over the seeds that chose no rate, where any."""
    bootstrap = contrasts[contrasts["question"] == BOOTSTRAP].iloc[0]
    said = f"A bootstrap gives [{100 * bootstrap['low']:+.1f}, {100 * bootstrap['high']:+.1f}]"
    for _, row in contrasts[contrasts["question"] == CROSS_FIT].iterrows():
        effect = Effect.of_contrast(row)
        said += f"; over the {effect.n} seeds that chose no rate it is {effect.in_words(unit='')}"
    return f"{said}. "


def _power(row: pd.Series[Any], tasks: pd.DataFrame) -> str:
    """Return what is detectable and, where that is more than the aim, how many seeds the aim would take."""
    known = [_known(value) for value in (row["detectable"], tasks["detectable"].max())]
    if None in known:
        return ""
    whole, single = (100 * value for value in known if value is not None)
    several = len(tasks) > 1
    found = (
        [(whole, AIM, "in the mean over tasks"), (single, AIM_PER_TASK, "on one task")]
        if several
        else [(single, AIM_PER_TASK, "here")]
    )
    said = " and ".join(f"{size:.1f} points {where}" for size, _, where in found)
    needed = max(seeds_for(aim, size, int(row["n"])) for size, aim, _ in found)
    if needed <= row["n"]:
        return f"Detectable with 80 % power are {said}. "
    aims = " and ".join(f"{aim:g} points {where}" for _, aim, where in found)
    return f"Detectable with 80 % power are {said}; to detect {aims} would take about {needed} seeds. "


def seeds_for(aim: float, detectable: float, seeds: int) -> int:
    """Return how many seeds detect an aim, given what some seeds detect: the error falls with their root."""
    return math.ceil(seeds * (detectable / aim) ** 2)


def _known(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


def _budgets(runs: pd.DataFrame, contrasts: pd.DataFrame) -> Iterator[Finding]:
    """Return the same comparison with more training examples, and how far they change it."""
    changes = contrasts[contrasts["question"] == BUDGET_CHANGE].set_index("train_examples")
    for _, row in contrasts[contrasts["question"] == BUDGET].iterrows():
        examples, effect = int(row["train_examples"]), Effect.of_contrast(row)
        detail = (
            f"{_scope(runs, examples)}, rates tuned again, {named(row)} less full fine-tuning is {in_short(effect)} on "
            f"{task_in_short(row['task'])} ({effect.n} seeds): {outcome(effect, 'full fine-tuning')}."
        )
        if examples in changes.index:
            change = Effect.of_contrast(changes.loc[examples])
            words = "a change" if change.excludes_zero else "no change that is detected"
            detail += (
                f" Less {changes.loc[examples, 'reference']}, same seeds, that is {in_short(change)}: {words} "
                f"({change.detectable_in_words()})."
            )
        yield _answer(
            f"encoder_gain_{examples}_examples",
            "Does more data change the difference?",
            f"contrasts: question={BUDGET} and {BUDGET_CHANGE}, train_examples={examples}",
            f"{detail} More seeds would narrow it.",
            effect,
        )


def _group(runs: pd.DataFrame, contrasts: pd.DataFrame) -> Iterator[Finding]:
    """Return the exploratory settings against full fine-tuning: as a group, and those that stand out."""
    rows = contrasts[(contrasts["question"] == AGAINST_FULL) & (contrasts["method"] != "head only")]
    groups = contrasts[contrasts["question"] == GROUP]
    if rows.empty or groups.empty:
        return
    group = groups.iloc[0]
    effect = Effect.of_contrast(group)
    apart = rows[~rows["indistinguishable"].astype(bool)]
    listed = ", ".join(f"{named(row)} {Effect.of_contrast(row).in_words(unit='')}" for _, row in apart.iterrows())
    detectable = f"detectable with 80 % power: {100 * rows['detectable'].max():.1f} points"
    alone = (
        f"By themselves {len(rows) - len(apart)} of {len(rows)} exploratory ones are statistically indistinguishable "
        f"from it (simultaneous intervals; {detectable})"
    )
    yield _answer(
        "encoder_group",
        "How do methods that train a small part compare with full fine-tuning?",
        f"contrasts: question={GROUP}; contrasts: question={AGAINST_FULL}",
        f"{_scope(runs, int(group['train_examples']))}, the {group['method']} that train a small part, less full "
        f"fine-tuning, is {in_short(effect)} on {task_in_short(group['task'])} ({effect.n} seeds, pooled error, "
        f"exploratory). {alone}"
        f"{f'; apart from it: {listed}' if listed else ''}.",
        effect,
    )


def _modules(runs: pd.DataFrame, contrasts: pd.DataFrame) -> Iterator[Finding]:
    """Return LoRA on more modules against LoRA on fewer."""
    rows = contrasts[contrasts["question"] == MODULES]
    if rows.empty:
        return
    effects = [Effect.of_contrast(row) for _, row in rows.iterrows()]
    words = "; ".join(
        f"{row['setting']} less {row['reference']} is {in_short(effect)}, {outcome(effect, 'it')}"
        for effect, (_, row) in zip(effects, rows.iterrows(), strict=True)
    )
    yield _answer(
        "encoder_modules",
        "Does it matter which modules LoRA adapts?",
        f"contrasts: question={MODULES}",
        f"{_scope(runs, int(rows['train_examples'].iloc[0]))} on {task_in_short(rows['task'].iloc[0])}, each at its "
        f"own rate ({effects[0].n} seeds, pooled error, exploratory): {words}. More seeds or other tasks could change "
        "it.",
        max(effects, key=lambda effect: abs(effect.size or 0.0)),
    )


def _ranks(runs: pd.DataFrame, contrasts: pd.DataFrame, confidence: float) -> Iterator[Finding]:
    """Return the steps between ranks, each at the rate tuned for it; a curve at rates tuned elsewhere is refused."""
    curve = rank_runs(runs, confidence)
    rows = contrasts[contrasts["question"] == RANK_STEPS].sort_values("rank")
    if curve.empty or rows.empty:
        return
    effects = [Effect.of_contrast(row) for _, row in rows.iterrows()]
    named_steps = [
        (f"from {row['reference']} to {int(row['rank'])}", effect)
        for effect, (_, row) in zip(effects, rows.iterrows(), strict=True)
    ]
    sizes = " and ".join(f"{in_short(effect)} {step}" for step, effect in named_steps)
    verdicts = "; ".join(f"{step}: {_step_in_words(effect)}" for step, effect in named_steps)
    chosen = curve[curve["selected"].fillna(value=False)].drop_duplicates("rank").sort_values("rank")
    rates = ", ".join(f"{r.learning_rate:g}{' (edge)' if r.edge else ''} at r = {r.rank}" for r in chosen.itertuples())
    yield _answer(
        "encoder_rank",
        "Do higher ranks of LoRA help on a pretrained transformer?",
        f"contrasts: question={RANK_STEPS}; runs: study=encoder, method={rows['method'].iloc[0]}, rank, learning_rate",
        f"{_scope(runs, int(rows['train_examples'].iloc[0]))} on {task_in_short(rows['task'].iloc[0])}, the rank of "
        f"{named(rows.iloc[0])}, with a rate tuned at each and alpha twice the rank, changes test accuracy by {sizes} "
        f"({effects[0].n} seeds, pooled error, exploratory). By step, {verdicts}. Chosen rates: {rates}.",
        effects[-1],
    )


def _step_in_words(effect: Effect) -> str:
    """Return whether a step between ranks is a rise, a fall, or none that was detected."""
    said = outcome(effect, "no step")
    return {"better than no step": "a rise", "worse than no step": "a fall"}.get(said, said)


def _order(runs: pd.DataFrame) -> Iterator[Finding]:
    """Return how reliable the measured order of the settings is, in place of an order that is one of chance."""
    chosen = chosen_runs(runs)
    chosen = chosen[(chosen["task"] == main_task(runs)) & ~chosen["method"].isin(["full", "head only"])]
    chosen = chosen[chosen["test_examples"] == chosen["test_examples"].min()]
    names = [named(row) for _, row in chosen.iterrows()]
    wide = chosen.assign(name=names).pivot(index="name", columns="seed", values="test_accuracy").astype(float)
    wide = wide.dropna(axis=1, thresh=len(wide)).dropna()
    if wide.shape[0] < 3 or wide.shape[1] < 2:
        return
    reliability = TwoWay(wide.to_numpy()).reliability(range(len(wide)))
    spread = 100 * float(wide.mean(axis=1).max() - wide.mean(axis=1).min())
    low = "too low to rank them or to compare the order with a published one"
    verdict = low if reliability < RELIABLE else "high enough to rank them here, on this task and budget"
    yield _answer(
        "encoder_order",
        "Which method is best on a pretrained transformer?",
        f"runs: study=encoder, experiment=methods, selected=True, task={main_task(runs)}, test_accuracy",
        f"The means of {len(wide)} settings on the same texts of {task_in_short(main_task(runs))} lie within "
        f"{spread:.1f} points; "
        f"the reliability of their order over {wide.shape[1]} seeds is {reliability:.2f} (0 is chance, 1 certain), "
        f"{verdict}.",
        Effect(reliability, "reliability", n=len(wide)),
    )


def searched_spans(runs: pd.DataFrame) -> pd.Series[float]:
    """Return by how many points validation accuracy differs among the rates of each search trained to the end."""
    searched = runs[runs["selected"].notna() & (runs["status"] != "stopped") & runs["validation_accuracy"].notna()]
    spans = [
        100 * float(means.max() - means.min())
        for _, part in searched.groupby(["experiment", "task", "method", "setting", "rank"], dropna=False)
        if len(means := part.groupby("learning_rate")["validation_accuracy"].mean().astype(float)) > 1
    ]
    return pd.Series(spans, dtype=float)


def _rates(runs: pd.DataFrame) -> Iterator[Finding]:
    """Return how far the learning rate moves accuracy, and which choices lie at an end of the rates tried."""
    spans_of = searched_spans(runs)
    chosen = runs[runs["edge"].notna()].drop_duplicates(["experiment", "task", "method", "setting", "rank"])
    if spans_of.empty or chosen.empty:
        return
    at_end = chosen[chosen["edge"].astype(bool)]
    listed = ", ".join(f"{named(row)} on {task_in_short(row['task'])}" for _, row in at_end.iterrows())
    tested = runs[runs["selected"].fillna(value=False)]
    yield _answer(
        "encoder_rates",
        "How much does the learning rate matter?",
        "runs: study=encoder, learning_rate, selected, edge, status, validation_accuracy",
        f"Among the rates trained to the end, validation accuracy differs by {spans_of.median():.1f} points in the "
        f"median of {len(spans_of)} searches and {spans_of.max():.1f} at the most. Of {len(chosen)} choices "
        f"{len(at_end)} remain at an end of the rates tried, where a better one may lie beyond"
        f"{f': {listed}' if listed else ''}. Runs at chosen rates that collapsed to the shares of the classes: "
        f"{int((tested['status'] == 'collapsed').sum())} of {len(tested)}.",
        Effect(float(spans_of.median()), POINTS, n=len(spans_of)),
    )


def _pretraining(runs: pd.DataFrame, contrasts: pd.DataFrame) -> Iterator[Finding]:
    """Return what random weights in place of the pretrained ones cost."""
    rows = contrasts[(contrasts["question"] == CONTROLS_AGAINST_FULL) & (contrasts["method"] == RANDOM_WEIGHTS)]
    for _, row in rows.iterrows():
        effect = Effect.of_contrast(row)
        yield _answer(
            f"encoder_pretraining_{row['task']}",
            "Is it the pretraining that is fine-tuned?",
            f"contrasts: question={CONTROLS_AGAINST_FULL}, method={RANDOM_WEIGHTS}",
            f"{_scope(runs, int(row['train_examples']))}, the same network from random weights differs from pretrained "
            f"full fine-tuning by {in_short(effect)} on {task_in_short(row['task'])} ({effect.n} seeds); it has the "
            "pretrained network's rate and as few steps, so that this is an upper bound of what pretraining gives.",
            effect,
        )


def _forgetting(runs: pd.DataFrame, contrasts: pd.DataFrame, confidence: float) -> Iterator[Finding]:
    """Return how far the embeddings of other texts move under full fine-tuning and under the primary method."""
    primary = contrasts[contrasts["question"] == PRIMARY]
    task = main_task(runs)
    by_name = {
        setting_name(cell[1], cell[2]): part.set_index("seed")["embedding_similarity"].astype(float)
        for cell, part in cells(chosen_runs(runs))
        if cell[0] == task
    }
    if primary.empty or "full" not in by_name:
        return
    name = named(primary.iloc[0])
    own, full = by_name[name].align(by_name["full"], join="inner")
    means = [mean_interval(values.to_numpy(), confidence).mean for values in (own, full)]
    found = paired_difference(own.to_numpy(), full.to_numpy(), confidence).within(-2, 2)
    if found.mean is None or found.low is None or found.high is None or None in means:
        return
    yield _answer(
        "encoder_forgetting",
        "How far does training move what the encoder says of other texts?",
        f"runs: study=encoder, experiment=methods, task={task}, selected=True, embedding_similarity",
        f"After training on {task_in_short(task)} the mean cosine of other texts' embeddings with those before is "
        f"{means[0]:.3f} for "
        f"{name} and {means[1]:.3f} for full fine-tuning, each at its own rate; the difference is {found.mean:+.3f} "
        f"[{found.low:+.3f}, {found.high:+.3f}] over {found.n} seeds. 1 is unchanged.",
        Effect(found.mean, "cosine", found.low, found.high, f"{interval_name(confidence)}, paired", found.n),
    )


def _refused(runs: pd.DataFrame) -> Iterator[Finding]:
    """Return which methods cannot be trained on the model, each with its reason; nothing where all can."""
    refused = runs[runs["status"] == "refused"].sort_values("method")
    if refused.empty:
        return
    tried = chosen_runs(runs)
    tried = tried[tried["task"].isin(refused["task"])].drop_duplicates(["method", "setting"])
    reasons = "; ".join(f"{row['method']}: {row['reason']}" for _, row in refused.iterrows())
    yield _answer(
        "encoder_refused",
        "Which methods cannot be trained on this encoder?",
        "runs: study=encoder, status=refused",
        f"{len(refused)} of {len(refused) + len(tried)} settings on {task_in_short(refused['task'].iloc[0])} cannot be "
        f"trained on {refused['model'].iloc[0]} by this study and have no runs. {reasons}.",
        Effect(float(len(refused)), "settings", n=len(refused) + len(tried)),
    )
