"""The published tables in the report: figures as printed, and the sources."""

from __future__ import annotations

from peft_atlas.report.content import Block, Paragraph, table
from peft_atlas.report.material import Material
from peft_atlas.report.method_rows import ComparedTask, MethodRow
from peft_atlas.studies.literature.families import COMMONSENSE
from peft_atlas.studies.literature.jobs import NAME
from peft_atlas.studies.literature.scores import scores


def blocks(material: Material) -> list[Block]:
    """Return what was transcribed, the figures of it, and the sources."""
    published = material.tables["published"]
    intro = Paragraph(
        f"{len(published)} cells transcribed from {published['source'].nunique()} sources, as printed. None of the "
        "sources names an interval. The body of the survey itself (arXiv:2404.13506) was not seen: what is shown here "
        "are the primary sources it copies from, and the seed notebook's quotations.",
        "published",
    )
    sources = published.groupby(["source", "source_title", "source_version"], dropna=False, sort=True)
    listed = sources.size().rename("cells").reset_index()
    figures = material.figures_of(section="published", study=NAME)
    return [intro, *figures, table("Sources, and how many cells each gives.", listed)]


def compared(material: Material) -> list[ComparedTask]:
    """Return the published average of each method, by base model and family of tasks."""
    found = []
    rows = scores(material.tables["published"])
    rows = rows.sort_values("family", key=lambda names: names != COMMONSENSE, kind="stable")
    for (model, family), group in rows.groupby(["base_model", "family"], sort=False):
        methods = tuple(
            MethodRow(str(row.method), str(row.method), accuracy=float(row.accuracy), percent=float(row.percent))
            for row in group.itertuples()
        )
        about = f"Published: {family} of {model}, average accuracy and trained weights as printed; no interval."
        found.append(ComparedTask(f"Published: {model}, {family.lower()}", about, methods))
    return found
