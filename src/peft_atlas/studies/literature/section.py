"""The published tables in the report: figures as printed, and the sources."""

from __future__ import annotations

from peft_atlas.report.content import Block, Paragraph, table
from peft_atlas.report.material import Material
from peft_atlas.studies.literature.jobs import NAME


def blocks(material: Material) -> list[Block]:
    """Return what was transcribed, the figures of it, and the sources."""
    published = material.tables["published"]
    intro = Paragraph(
        f"{len(published)} cells transcribed from {published['source'].nunique()} sources, as printed. None of the "
        "sources names an interval. The body of the survey itself (arXiv:2404.13506) was not seen: what stands here "
        "are the primary sources it copies from, and the seed notebook's quotations.",
        "published",
    )
    sources = published.groupby(["source", "source_title", "source_version"], dropna=False, sort=True)
    listed = sources.size().rename("cells").reset_index()
    figures = material.figures_of(section="published", study=NAME)
    return [intro, *figures, table("Sources, and how many cells each gives.", listed)]
