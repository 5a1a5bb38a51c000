"""The report's sections, built only from the result tables and the figures' cards."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from peft_atlas.analysis.finding import ATLAS
from peft_atlas.report.answers import answers_section, own_answers
from peft_atlas.report.content import Block, Code, Paragraph, Section, table
from peft_atlas.report.doubts import claims_section, conflicts_section, errata_section, findings_table
from peft_atlas.report.explorer import explorer
from peft_atlas.report.front_page import cards, front_sections
from peft_atlas.report.material import Material
from peft_atlas.report.memory_section import memory_section
from peft_atlas.report.tables import memory_table, parameters_table
from peft_atlas.report.uses import use_sections
from peft_atlas.rng import ROLES
from peft_atlas.studies.study import Study, all_studies
from peft_atlas.version import __version__


def build_sections(material: Material) -> list[Section]:
    """Build all sections, answers first."""
    studies = all_studies()
    chapters = [study for study in studies if study.chapter]
    return [
        *_missing(material),
        *front_sections(material, studies),
        answers_section(material, studies),
        _explore(material, studies),
        *(_study(study, material) for study in studies if not study.chapter),
        _recomputed(material),
        memory_section(material),
        conflicts_section(material),
        _checks(material),
        _failures(material),
        _cost(material),
        *use_sections(material),
        _provenance(material),
        *(_study(study, material) for study in chapters),
        claims_section(material),
        errata_section(material),
        *_appendix(material),
    ]


def _appendix(material: Material) -> list[Section]:
    """Return the figures that repeat what others show, for those who look for them."""
    intro = Paragraph("Figures that show the numbers of others once more, in another form.")
    return [Section("appendix", "Further figures", [intro, *material.appendix])] if material.appendix else []


def _missing(material: Material) -> list[Section]:
    """List what a failed run could not produce, as a section of its own if there is anything."""
    if not material.missing:
        return []
    text = "This report is incomplete: some jobs failed, and the following could not be produced: "
    return [Section("missing", "Missing", [Paragraph(f"{text}{', '.join(material.missing)}.", "the run's logs")])]


def _explore(material: Material, studies: Sequence[Study]) -> Section:
    """Introduce and embed the explorer."""
    intro = Paragraph(
        "Plot any two metrics against each other, in two panels with the same axes. The front starts at the cheapest "
        "setting of a task and goes on only to those that are shown to be more accurate: the difference from every "
        "cheaper one on it is above 0 with its whole interval, paired by way of the differences from full fine-tuning. "
        "Published numbers have no interval, so that their front is by the numbers alone. Accuracies on different "
        "tasks or models are not comparable.",
        "comparison; contrasts; costs",
    )
    return Section("explore", "Explore", [intro, explorer(material, studies)])


def _study(study: Study, material: Material) -> Section:
    """Build a study's section or, if it was not run, say what it would measure."""
    if study.name in material.studies:
        own: list[Block] = [*study.part("section").blocks(material), *_advice_left(study, material)]
        return Section(study.name, study.title, [*own, *own_answers(material, study)])
    if study.released and study.part("section").available(material):
        shown = [*study.part("section").blocks(material), *own_answers(material, study)]
        return Section(study.name, f"{study.title} (released run)", shown)
    if study.name in material.pending:
        running = Paragraph(f"Still running. {study.about} This page is rewritten when it ends.")
        return Section(study.name, f"{study.title} (still running)", [running])
    absent = Paragraph(
        f"Not part of this run. {study.about} To run it, add {study.name} to studies in the configuration."
    )
    return Section(study.name, f"{study.title} (not run)", [absent])


def _advice_left(study: Study, material: Material) -> list[Block]:
    """Return the advice of a study for which the first page has a better card."""
    shown = {card.statement + card.detail for card in cards(material.tables["findings"], all_studies())}
    rows = material.findings("advice", study=study.name).itertuples()
    return [
        Paragraph(f"{row.statement} {row.detail}", row.evidence)
        for row in rows
        if row.statement + row.detail not in shown
    ]


def _recomputed(material: Material) -> Section:
    shown = [parameters_table(material.tables["parameters"]), memory_table(material.tables["memory"])]
    return Section("recomputed", "Recomputed", [*material.figures_of(section="recomputed"), *shown])


def _checks(material: Material) -> Section:
    checks = material.findings("check")
    own, others = (checks[checks["source"].eq(ATLAS) == ours] for ours in (True, False))
    passed, failed = int((own["verdict"] == "pass").sum()), int((others["verdict"] == "fail").sum())
    intro = Paragraph(
        f"{'All' if passed == len(own) else f'{passed} of'} {len(own)} checks of our own code and data pass. Of the "
        f"{len(others)} checks of what the seed notebook and publications say, {failed} fail; these faults are the "
        "sources'.",
        "findings: kind=check",
    )
    ours_first = checks.sort_values(["verdict", "id"], kind="stable")
    return Section("checks", "Checks", [intro, findings_table("Checks, failures first.", ours_first)])


# What the statuses other than "ok" mean.
_STATUSES = {
    "stopped": "a rate that the search left after the first epoch, since others were better",
    "collapsed": "trained to the end, but learnt no more than the shares of the classes",
    "diverged": "the loss was no longer a number",
    "refused": "the method cannot be trained on this model",
}


def _failures(material: Material) -> Section:
    runs = material.tables["runs"]
    # A rate that a search left early is no failure.
    bad = runs[~runs["status"].isin(["ok", "stopped"])]
    counts = runs["status"].value_counts()
    summary = ", ".join(f"{n:,} {status}" for status, n in counts.items())
    meant = "".join(f" {status.capitalize()}: {_STATUSES[status]}." for status in counts.index if status in _STATUSES)
    blocks: list[Block] = [Paragraph(f"{len(runs):,} runs: {summary}.{meant}", "runs: status")]
    if len(bad):
        blocks.append(table("Runs that failed, or learnt nothing.", bad[["run_id", "status", "reason"]]))
    return Section("failures", "Failures", blocks)


# Every rule that writes runs starts with one of these; tuning and pretraining count as training.
TRAINING_RULES = ("train_", "tune_", "pretrain_")


def _cost(material: Material) -> Section:
    costs, runs = material.tables["costs"], material.tables["runs"]
    costs = costs[costs["run_id"].isna()]
    by_rule = costs.groupby("rule", sort=False)
    shown = by_rule.agg(
        jobs=("job", "size"),
        wall=("wall_seconds", "sum"),
        peak=("peak_memory_mb", "max"),
    ).reset_index()
    total = shown.loc[shown["rule"].str.startswith(TRAINING_RULES), "wall"].sum()
    names = {"wall": "seconds", "peak": "largest job (MB)"}
    formats = {"seconds": ".1f", "largest job (MB)": ".0f"}
    intro = Paragraph(
        f"Training took {total:,.0f} s of job time for {len(runs):,} runs, or {1000 * total / len(runs):.0f} ms per "
        "run. This includes learning-rate searches, pretraining, and starting Python and torch in every job.",
        "costs; runs",
    )
    caption = (
        "Elapsed time and memory by rule, from Snakemake's benchmark files. Memory is sampled every half second for "
        "the first 15 s and every 30 s after that, so short peaks can be missed; a dash means too short to sample."
    )
    return Section("cost", "Cost", [intro, table(caption, shown.rename(columns=names), formats)])


def provenance_facts(material: Material) -> Paragraph:
    """Say with which code, machine, devices, torch and seeds the results were made."""
    runs = material.tables["runs"]
    devices, torches = sorted(runs["device"].unique()), sorted(runs["torch_version"].unique())
    seeds = _seed_text(material.seeds)
    precisions = [
        f"{precision} ({', '.join(sorted(part['study'].unique()))})"
        for precision, part in runs.groupby("precision", sort=True)
    ]
    return Paragraph(
        f"PEFT Atlas {__version__}, code {material.code}. Machine: {material.machine}; trained on {', '.join(devices)} "
        f"in {' and '.join(precisions)} with torch {', '.join(torches)}. Seeds: {seeds}. On the same machine with the "
        "same build of torch, data files are identical bit for bit, whatever the number of cores or seeds per job and "
        "whether or not Slurm ran the jobs. Other processors round differently, and take float32 where they have no "
        "instructions for bfloat16, so results agree only within a tolerance (see the checks repeatability and "
        "rounding).",
        "runs: device, precision, torch_version",
    )


def _provenance(material: Material) -> Section:
    versions = pd.DataFrame({"package": material.versions.keys(), "version": material.versions.values()})
    roles = pd.DataFrame({"role": ROLES.keys(), "what is drawn": ROLES.values()})
    drawn = "Random streams of a run. Each has its own generator, seeded with the SHA-256 of role and seed."
    return Section(
        "provenance",
        "Versions, seeds and configuration",
        [provenance_facts(material), table("Package versions.", versions), table(drawn, roles), Code(material.config)],
    )


def _seed_text(seeds: tuple[int, ...]) -> str:
    """Format consecutive seeds as a range, others as a list."""
    if seeds == tuple(range(seeds[0], seeds[0] + len(seeds))) and len(seeds) > 2:
        return f"{seeds[0]} to {seeds[-1]} ({len(seeds)})"
    return ", ".join(map(str, seeds))
