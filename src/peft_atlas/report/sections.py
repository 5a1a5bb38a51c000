"""The report's sections, built only from the result tables and the figures' cards."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from peft_atlas.analysis.finding import ATLAS
from peft_atlas.report.answers import answers_section
from peft_atlas.report.content import Block, Code, Paragraph, Section, table
from peft_atlas.report.explorer import explorer
from peft_atlas.report.material import Material
from peft_atlas.report.memory_section import memory_section
from peft_atlas.report.planner_panel import planner_section
from peft_atlas.report.tables import memory_table, parameters_table
from peft_atlas.rng import ROLES
from peft_atlas.studies.study import Study, all_studies


def build_sections(material: Material) -> list[Section]:
    """Build all sections, answers first."""
    studies = all_studies()
    return [
        *_missing(material),
        answers_section(material, studies),
        planner_section(material),
        _explore(material, studies),
        *(_study(study, material) for study in studies),
        _recomputed(material),
        memory_section(material),
        _conflicts(material),
        _claims(material),
        _errata(material),
        _checks(material),
        _failures(material),
        _cost(material),
        _provenance(material),
        _rerun(),
    ]


def _missing(material: Material) -> list[Section]:
    """List what a failed run could not produce, as a section of its own if there is anything."""
    if not material.missing:
        return []
    text = "This report is incomplete: some jobs failed, and the following could not be produced: "
    return [Section("missing", "Missing", [Paragraph(f"{text}{', '.join(material.missing)}.", "the run's logs")])]


def _explore(material: Material, studies: Sequence[Study]) -> Section:
    """Introduce and embed the explorer."""
    intro = Paragraph(
        "Plot any two metrics against each other, in two panels with the same axes. A Pareto front connects the points "
        "that no other point of the same task and model beats on one metric without losing on the other. Accuracies "
        "on different tasks or models are not comparable.",
        "comparison; costs",
    )
    return Section("explore", "Explore", [intro, explorer(material, studies)])


def _study(study: Study, material: Material) -> Section:
    """Build a study's section or, if it was not run, say what it would measure."""
    if study.name in material.studies:
        return Section(study.name, study.title, study.part("section").blocks(material))
    absent = Paragraph(
        f"Not part of this run. {study.about} To run it, add {study.name} to studies in the configuration."
    )
    return Section(study.name, f"{study.title} (not run)", [absent])


def _findings_table(caption: str, rows: pd.DataFrame) -> Block:
    """Tabulate findings."""
    shown = rows[["statement", "source", "verdict", "detail", "evidence"]]
    return table(caption, shown)


def _errata(material: Material) -> Section:
    errata = material.findings("erratum")
    fixed = int((errata["verdict"] == "fixed").sum())
    intro = Paragraph(
        f"{len(errata)} errors in the seed notebook and in what it quotes; {fixed} are fixed, and the effect of the "
        "fix is measured. Errors marked open are kept on purpose or belong to a study that was not run.",
        "findings: kind=erratum",
    )
    return Section("errata", "Errata: what fixing them changes", [intro, _findings_table("Errata.", errata)])


def _recomputed(material: Material) -> Section:
    shown = [parameters_table(material.tables["parameters"]), memory_table(material.tables["memory"])]
    return Section("recomputed", "Recomputed", [*material.figures_of(section="recomputed"), *shown])


def _conflicts(material: Material) -> Section:
    conflicts = material.tables["conflicts"]
    if conflicts.empty:
        return Section("conflicts", "Conflicts", [Paragraph("No value is printed in two different ways.", "conflicts")])
    counts = ", ".join(f"{n} {verdict}" for verdict, n in conflicts["verdict"].value_counts().items())
    intro = Paragraph(
        f"{len(conflicts)} values are printed in more than one way: {counts}. Explained: rounding, padding zeros "
        "or the order of rounding accounts for the difference. Settled: recomputation reproduces some of the readings "
        "but not the others. Open: nothing we have seen decides between them, and all readings are kept.",
        "conflicts: verdict",
    )
    order = conflicts["verdict"].map({"open": 0, "settled": 1, "explained": 2})
    rows = conflicts.assign(order=order, metric=conflicts["metric"].str.replace("_", " "))
    rows = rows.sort_values("order", kind="stable")
    columns = ["base_model", "method", "task", "metric", "readings", "difference", "verdict", "resolution", "places"]
    caption = "Conflicts: what each source prints, and where that is recorded in data/published."
    return Section("conflicts", "Conflicts", [intro, table(caption, rows[columns], {"difference": ".3g"})])


def _claims(material: Material) -> Section:
    claims = material.findings("claim")
    if claims.empty:
        return Section("claims", "Claims", [Paragraph("No claim has been judged in this run.")])
    counts = ", ".join(
        f"{n} {verdict}" for verdict, n in claims["verdict"].str.replace("_", " ").value_counts().items()
    )
    intro = Paragraph(f"{len(claims)} testable statements: {counts}.", "findings: kind=claim")
    return Section("claims", "Claims", [intro, _findings_table("Claims.", claims)])


def _checks(material: Material) -> Section:
    checks = material.findings("check")
    own, others = (checks[checks["source"].eq(ATLAS) == ours] for ours in (True, False))
    passed, failed = int((own["verdict"] == "pass").sum()), int((others["verdict"] == "fail").sum())
    intro = Paragraph(
        f"{'All' if passed == len(own) else f'{passed} of'} {len(own)} checks of our own code and data pass. Of the "
        f"{len(others)} checks of what the seed notebook and publications say, {failed} fail; these faults are the "
        "sources' and are listed under errata.",
        "findings: kind=check",
    )
    ours_first = checks.sort_values(["verdict", "id"], kind="stable")
    return Section("checks", "Checks", [intro, _findings_table("Checks, failures first.", ours_first)])


def _failures(material: Material) -> Section:
    runs = material.tables["runs"]
    # A rate that a search left early is no failure.
    bad = runs[~runs["status"].isin(["ok", "stopped"])]
    summary = ", ".join(f"{n} {status}" for status, n in runs["status"].value_counts().items())
    blocks: list[Block] = [Paragraph(f"{len(runs):,} runs: {summary}.", "runs: status")]
    if len(bad):
        blocks.append(table("Runs that did not complete.", bad[["run_id", "status", "reason"]]))
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
        f"Training took {total:.0f} s of job time for {len(runs):,} runs, or {1000 * total / len(runs):.0f} ms per "
        "run. This includes learning-rate searches, pretraining, and starting Python and torch in every job.",
        "costs; runs",
    )
    caption = (
        "Elapsed time and memory by rule, from Snakemake's benchmark files. Memory is sampled every half second for "
        "the first 15 s and every 30 s after that, so short peaks can be missed; a dash means too short to sample."
    )
    return Section("cost", "Cost", [intro, table(caption, shown.rename(columns=names), formats)])


def _provenance(material: Material) -> Section:
    versions = pd.DataFrame({"package": material.versions.keys(), "version": material.versions.values()})
    roles = pd.DataFrame({"role": ROLES.keys(), "what is drawn": ROLES.values()})
    runs = material.tables["runs"]
    devices, torches = sorted(runs["device"].unique()), sorted(runs["torch_version"].unique())
    seeds = _seed_text(material.seeds)
    facts = Paragraph(
        f"Code: {material.code}. Machine: {material.machine}; trained on {', '.join(devices)} with torch "
        f"{', '.join(torches)}. Seeds: {seeds}. On the same machine with the same build of torch, data files are "
        "identical bit for bit, whatever the number of cores or seeds per job and whether or not Slurm ran the jobs. "
        "Other processors round differently, so results agree only within a tolerance (see the checks repeatability "
        "and rounding).",
        "runs: device, torch_version",
    )
    drawn = "Random streams of a run. Each has its own generator, seeded with the SHA-256 of role and seed."
    return Section(
        "provenance",
        "Versions, seeds and configuration",
        [facts, table("Package versions.", versions), table(drawn, roles), Code(material.config)],
    )


def _seed_text(seeds: tuple[int, ...]) -> str:
    """Format consecutive seeds as a range, others as a list."""
    if seeds == tuple(range(seeds[0], seeds[0] + len(seeds))) and len(seeds) > 2:
        return f"{seeds[0]} to {seeds[-1]} ({len(seeds)})"
    return ", ".join(map(str, seeds))


def _rerun() -> Section:
    commands = "make                          # set up .venv and run everything\n"
    commands += "snakemake --cores 2           # the same, with the environment active\n"
    commands += "snakemake --cores 2 figures   # only the figures, from the combined tables\n"
    commands += "snakemake --cores 2 --configfile my.yaml"
    return Section("rerun", "How to rerun this", [Code(commands)])
