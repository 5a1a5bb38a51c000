"""The report's sections, each built from the result tables and the figures' cards alone."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from peft_atlas.analysis.finding import ATLAS
from peft_atlas.report.answers import answers_section
from peft_atlas.report.content import Block, Code, Paragraph, Section, table
from peft_atlas.report.explorer import explorer
from peft_atlas.report.material import Material
from peft_atlas.report.tables import memory_table, parameters_table
from peft_atlas.rng import ROLES
from peft_atlas.studies.study import Study, all_studies


def build_sections(material: Material) -> list[Section]:
    """Return all sections, the answers first."""
    studies = all_studies()
    return [
        *_missing(material),
        answers_section(material, studies),
        _explore(material, studies),
        *(_study(study, material) for study in studies),
        _recomputed(material),
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
    """Return the section that says what a failed run left out, or none."""
    if not material.missing:
        return []
    text = "This report is incomplete: jobs of the run failed, and these could not be made: "
    return [Section("missing", "Missing", [Paragraph(f"{text}{', '.join(material.missing)}.", "the run's logs")])]


def _explore(material: Material, studies: Sequence[Study]) -> Section:
    """Return the explorer."""
    intro = Paragraph(
        "Two metrics against each other, in two panels with common axes. A Pareto front joins the points that no "
        "other point of the same task and model beats in one metric without losing in the other. Accuracies of "
        "different tasks or models do not compare.",
        "comparison; costs",
    )
    return Section("explore", "Explore", [intro, explorer(material, studies)])


def _study(study: Study, material: Material) -> Section:
    """Return the section of a study, or what it would measure where it was not run."""
    if study.name in material.studies:
        return Section(study.name, study.title, study.part("section").blocks(material))
    absent = Paragraph(
        f"Not part of this run. {study.about} To run it, name {study.name} under studies in the configuration."
    )
    return Section(study.name, f"{study.title} (not run)", [absent])


def _findings_table(caption: str, rows: pd.DataFrame) -> Block:
    """Return findings as a table."""
    shown = rows[["statement", "source", "verdict", "detail", "evidence"]]
    return table(caption, shown)


def _errata(material: Material) -> Section:
    errata = material.findings("erratum")
    fixed = int((errata["verdict"] == "fixed").sum())
    intro = Paragraph(
        f"{len(errata)} errors of the seed notebook and of what it quotes; {fixed} are fixed, and the effect "
        "of the fix is measured. The others are kept on purpose, or their study was not run.",
        "findings: kind=erratum",
    )
    return Section("errata", "Errata: what each fix changes", [intro, _findings_table("Errors, one per row.", errata)])


def _recomputed(material: Material) -> Section:
    shown = [parameters_table(material.tables["parameters"]), memory_table(material.tables["memory"])]
    return Section("recomputed", "Recomputed", [*material.figures_of(section="recomputed"), *shown])


def _conflicts(material: Material) -> Section:
    conflicts = material.tables["conflicts"]
    if conflicts.empty:
        return Section("conflicts", "Conflicts", [Paragraph("No cell is printed with two numbers.", "conflicts")])
    counts = ", ".join(f"{n} {verdict}" for verdict, n in conflicts["verdict"].value_counts().items())
    intro = Paragraph(
        f"{len(conflicts)} cells are printed with more than one number: {counts}. Explained: rounding, zeros at the "
        "end or the order of rounding lets all readings be one number. Settled: recomputation gives some readings and "
        "not the others. Open: nothing seen decides, and all readings are kept.",
        "conflicts: verdict",
    )
    order = conflicts["verdict"].map({"open": 0, "settled": 1, "explained": 2})
    rows = conflicts.assign(order=order, metric=conflicts["metric"].str.replace("_", " "))
    rows = rows.sort_values("order", kind="stable")
    columns = ["base_model", "method", "task", "metric", "readings", "difference", "verdict", "resolution", "places"]
    caption = "Conflicts, one cell a row: what each source prints, and where it stands in data/published."
    return Section("conflicts", "Conflicts", [intro, table(caption, rows[columns], {"difference": ".3g"})])


def _claims(material: Material) -> Section:
    claims = material.findings("claim")
    if claims.empty:
        return Section("claims", "Claims", [Paragraph("No claim has been judged in this run.")])
    counts = ", ".join(
        f"{n} {verdict}" for verdict, n in claims["verdict"].str.replace("_", " ").value_counts().items()
    )
    intro = Paragraph(f"{len(claims)} testable statements: {counts}.", "findings: kind=claim")
    return Section("claims", "Claims", [intro, _findings_table("Claims, one per row.", claims)])


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
    bad = runs[runs["status"] != "ok"]
    summary = ", ".join(f"{n} {status}" for status, n in runs["status"].value_counts().items())
    blocks: list[Block] = [Paragraph(f"{len(runs):,} runs: {summary}.", "runs: status")]
    if len(bad):
        blocks.append(table("Runs that did not end well.", bad[["run_id", "status", "reason"]]))
    return Section("failures", "Failures", blocks)


# Every rule that writes runs is named so: tuning and pretraining are training too.
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
        f"Training took {total:.0f} s of job time for {len(runs):,} runs, {1000 * total / len(runs):.0f} ms per run, "
        "searches for a learning rate and pretraining included; every job also starts Python and imports torch.",
        "costs; runs",
    )
    caption = (
        "Elapsed time and memory by rule, from Snakemake's benchmark files. Memory is sampled, each half second at "
        "first and every 30 s after 15 s, so that a short peak can be missed; a dash: too short to sample."
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
        f"{', '.join(torches)}. Seeds: {seeds}. On one machine and one build of torch, data files are equal bit "
        "for bit whatever the number of cores and of seeds in a job, and whether Slurm ran the jobs; on another "
        "processor torch rounds otherwise, and only a tolerance holds (checks repeatability and rounding).",
        "runs: device, torch_version",
    )
    drawn = "Random streams of a run: each has its own generator, seeded by SHA-256 of role and seed."
    return Section(
        "provenance",
        "Versions, seeds and configuration",
        [facts, table("Versions.", versions), table(drawn, roles), Code(material.config)],
    )


def _seed_text(seeds: tuple[int, ...]) -> str:
    """Return seeds as a range where they are one, else as a list."""
    if seeds == tuple(range(seeds[0], seeds[0] + len(seeds))) and len(seeds) > 2:
        return f"{seeds[0]} to {seeds[-1]} ({len(seeds)})"
    return ", ".join(map(str, seeds))


def _rerun() -> Section:
    commands = "make                          # build .venv and run the whole study\n"
    commands += "snakemake --cores 2           # with the environment active\n"
    commands += "snakemake --cores 2 figures   # figures from the combined tables\n"
    commands += "snakemake --cores 2 --configfile my.yaml"
    return Section("rerun", "How to run it again", [Code(commands)])
