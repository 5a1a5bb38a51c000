"""The report's sections, each built from the result tables and the figures' cards alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from peft_atlas.report.content import Answer, Block, Code, FigureBlock, Paragraph, Section, table
from peft_atlas.streams import ROLES

# The answers that a run prints when it ends.
HEADLINES = ("notebook_gain", "notebook_choice", "published_best")


@dataclass(frozen=True)
class Material:
    """What a report is built from: result tables, figures in the report's order, and its provenance."""

    tables: Mapping[str, pd.DataFrame]
    figures: Sequence[tuple[str, FigureBlock]]
    config: str
    seeds: tuple[int, ...]
    versions: Mapping[str, str]
    code: str
    machine: str

    def figures_of(self, section: str) -> list[FigureBlock]:
        """Return the figures of one section."""
        return [figure for where, figure in self.figures if where == section]

    def findings(self, *kinds: str) -> pd.DataFrame:
        """Return the findings of some kinds."""
        findings = self.tables["findings"]
        return findings[findings["kind"].isin(kinds)].sort_values("position")


def build_sections(material: Material) -> list[Section]:
    """Return all sections, the answers first."""
    return [
        _answers(material),
        _measured(material),
        _mends(material),
        _published(material),
        _recomputed(material),
        _conflicts(material),
        _claims(material),
        _checks(material),
        _failures(material),
        _cost(material),
        _provenance(material),
        _rerun(),
    ]


def _answers(material: Material) -> Section:
    answers = [
        Answer(row.statement, row.detail, row.evidence) for row in material.findings("answer").itertuples(index=False)
    ]
    return Section("answers", "Answers", answers)


def _measured(material: Material) -> Section:
    comparison = material.tables["comparison"]
    rows = comparison[comparison["source"] == "measured here"]
    shown = rows[["task", "method", "rank", "alpha", "params_percent", "value", "low", "high", "n"]]
    shown = shown.rename(
        columns={"params_percent": "% of parameters", "value": "test accuracy (%)", "n": "seeds", "task": "experiment"}
    )
    formats = {"% of parameters": ".2f", "test accuracy (%)": ".2f", "low": ".2f", "high": ".2f", "alpha": "g"}
    interval = rows["interval"].iloc[0]
    caption = f"Mean test accuracy after the last epoch of every cell; low and high: {interval}."
    intro = Paragraph(
        "Everything here was trained by this workflow. Settings are chosen on validation; the sweep reads test "
        "once, after training, and the baseline's test curve chooses nothing; differences are paired by seed.",
        "runs, curves, summary, contrasts",
    )
    return Section("measured", "Measured", [intro, *material.figures_of("measured"), table(caption, shown, formats)])


def _findings_table(caption: str, rows: pd.DataFrame) -> Block:
    """Return findings as a table."""
    shown = rows[["statement", "source", "verdict", "detail", "evidence"]]
    return table(caption, shown)


def _mends(material: Material) -> Section:
    errata = material.findings("erratum")
    mended = int((errata["verdict"] == "mended").sum())
    intro = Paragraph(
        f"{len(errata)} errors of the seed notebook and of what it quotes; {mended} are mended, and what the mend "
        "changes is measured. An open one is kept on purpose or belongs to a study that is not run yet.",
        "findings: kind=erratum",
    )
    return Section("errata", "Errata: what mending changes", [intro, _findings_table("Errors, one a row.", errata)])


def _published(material: Material) -> Section:
    published = material.tables["published"]
    intro = Paragraph(
        f"{len(published)} cells transcribed from {published['source'].nunique()} sources, as printed. None of the "
        "sources names an interval. The body of the survey itself (arXiv:2404.13506) was not seen: what stands here "
        "are the primary sources it copies from, and the seed notebook's quotations.",
        "published",
    )
    sources = published.groupby(["source", "source_title", "source_version"], dropna=False, sort=True)
    listed = sources.size().rename("cells").reset_index()
    return Section(
        "published",
        "Published",
        [intro, *material.figures_of("published"), table("Sources, and how many cells each gives.", listed)],
    )


def _recomputed(material: Material) -> Section:
    parameters = material.tables["parameters"]
    columns = ["base_model", "method", "setting", "trainable_params", "percent_with_adapter", "percent_without_adapter"]
    keys = ["base_model", "method", "setting"]
    ways = parameters.groupby(keys)["way"].agg(lambda way: ", ".join(sorted(way)).replace("_", " "))
    agree = parameters.groupby(keys)["trainable_params"].nunique().max() == 1
    shown = parameters.drop_duplicates(keys)[columns]
    shown = shown.assign(counted=[ways[key] for key in shown[keys].itertuples(index=False, name=None)])
    caption = (
        "Trainable parameters recomputed from architecture and documented configuration; where two ways are named, "
        f"they {'agree to the last parameter' if agree else 'DISAGREE'}."
    )
    formats = {"trainable_params": ",d", "percent_with_adapter": ".4f", "percent_without_adapter": ".4f"}
    blocks = [*material.figures_of("recomputed"), table(caption, shown, formats), _memory(material)]
    return Section("recomputed", "Recomputed", blocks)


def _memory(material: Material) -> Block:
    """Return the bytes to train as a table in units of 10^9 bytes."""
    memory = material.tables["memory"]
    fits = [name for name in memory.columns if name.startswith("fits_")]
    parts = ["weights_bytes", "master_weights_bytes", "gradients_bytes", "optimizer_bytes", "total_bytes"]
    shown = memory[["base_model", "method", "setting", "precision"]].copy()
    for part in parts:
        shown[part.replace("_bytes", "_(GB)")] = memory[part].astype(float) / 1e9
    for name in fits:
        shown[name.replace("gb", "_GB")] = memory[name].map({True: "yes", False: "no"})
    caption = (
        "Bytes that training takes, in GB of 10^9 bytes, without activations: where it does not fit, training on one "
        "such GPU is impossible without offloading or quantisation; where it fits, that is not yet shown possible."
    )
    return table(caption, shown, {part.replace("_bytes", "_(GB)"): ".2f" for part in parts})


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
    rows = conflicts.assign(order=order).sort_values("order", kind="stable")
    columns = ["base_model", "method", "task", "metric", "readings", "difference", "verdict", "resolution", "places"]
    caption = "Conflicts, one cell a row: what each source prints, and where it stands in data/published."
    return Section("conflicts", "Conflicts", [intro, table(caption, rows[columns], {"difference": ".3g"})])


def _claims(material: Material) -> Section:
    claims = material.findings("claim")
    if claims.empty:
        return Section("claims", "Claims", [Paragraph("No claim has been judged in this run.")])
    counts = ", ".join(f"{n} {verdict}" for verdict, n in claims["verdict"].value_counts().items())
    intro = Paragraph(f"{len(claims)} testable statements: {counts}.", "findings: kind=claim")
    return Section("claims", "Claims", [intro, _findings_table("Claims, one a row.", claims)])


def _checks(material: Material) -> Section:
    checks = material.findings("check")
    passed = int((checks["verdict"] == "pass").sum())
    intro = Paragraph(
        f"{passed} of {len(checks)} checks pass. A check whose source is the seed notebook or a publication tests what "
        "that source says: where it fails, the fault is the source's, and it is listed under errata.",
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


def _cost(material: Material) -> Section:
    costs, runs = material.tables["costs"], material.tables["runs"]
    costs = costs[costs["run_id"].isna()]
    by_rule = costs.groupby("rule", sort=False)
    shown = by_rule.agg(
        jobs=("job", "size"),
        wall=("wall_seconds", "sum"),
        cpu=("cpu_seconds", "sum"),
        peak=("peak_memory_mb", "max"),
    ).reset_index()
    total = shown.loc[shown["rule"].str.startswith("train_"), "wall"].sum()
    names = {"wall": "seconds", "cpu": "CPU seconds", "peak": "largest job (MB)"}
    formats = {"seconds": ".1f", "CPU seconds": ".1f", "largest job (MB)": ".0f"}
    intro = Paragraph(
        f"Training took {total:.0f} s of job time for {len(runs):,} runs, {1000 * total / len(runs):.0f} ms a run, of "
        "which starting Python and importing torch is a part in every job.",
        "costs; runs",
    )
    caption = "Time and memory by rule, from Snakemake's benchmark files; a dash: too short to sample."
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
        "for bit whatever the number of cores and of seeds in a job; on another processor torch may round otherwise.",
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


def headlines(findings: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Return one line for each named answer that the findings hold."""
    details: dict[Any, Any] = findings[findings["kind"] == "answer"].set_index("id")["detail"].to_dict()
    return [details[name] for name in names if name in details]
