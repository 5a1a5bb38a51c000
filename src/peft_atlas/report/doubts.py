"""What does not hold: values printed in two ways, claims, and errors of the notebook."""

from __future__ import annotations

import pandas as pd

from peft_atlas.report.content import Block, Paragraph, Section, table
from peft_atlas.report.material import Material


def findings_table(caption: str, rows: pd.DataFrame) -> Block:
    """Return findings as a table."""
    shown = rows[["statement", "source", "verdict", "detail", "evidence"]]
    return table(caption, shown)


def conflicts_section(material: Material) -> Section:
    """Return the section on conflicts."""
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


def claims_section(material: Material) -> Section:
    """Return the section on claims."""
    claims = material.findings("claim")
    if claims.empty:
        return Section("claims", "The notebook's claims", [Paragraph("No claim has been judged in this run.")])
    counts = ", ".join(
        f"{n} {verdict}" for verdict, n in claims["verdict"].str.replace("_", " ").value_counts().items()
    )
    intro = Paragraph(
        f"{len(claims)} testable statements of the notebook and of the survey that it quotes: {counts}.",
        "findings: kind=claim",
    )
    return Section("claims", "The notebook's claims", [intro, findings_table("Claims.", claims)])


def errata_section(material: Material) -> Section:
    """Return the section on errata."""
    errata = material.findings("erratum")
    fixed = int((errata["verdict"] == "fixed").sum())
    intro = Paragraph(
        f"{len(errata)} errors in the notebook and in what it quotes; {fixed} are fixed, and the effect of the "
        "fix is measured. Errors marked open are kept on purpose or belong to a study that was not run.",
        "findings: kind=erratum",
    )
    return Section(
        "errata", "The notebook's errors, and what fixing them changes", [intro, findings_table("Errata.", errata)]
    )
