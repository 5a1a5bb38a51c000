"""Read and check the transcribed tables."""

from pathlib import Path

import peft_atlas.without_gc  # noqa: F401
from peft_atlas.job import job
from peft_atlas.published import load
from peft_atlas.records import APPLICATION_VERDICTS, PUBLISHED, REFERENCES, write_table

with job(snakemake.log[0]):
    folder, output = Path(snakemake.input.tables[0]).parent, snakemake.output
    sources = load.load_sources(folder / load.SOURCES_FILE)
    verdicts = load.load_application_verdicts(folder / load.VERDICTS_FILE, sources)
    references = load.load_references(folder / load.REFERENCES_FILE, sources)
    published = load.load_published(folder)
    load.require_verdicts(published, verdicts, folder / load.VERDICTS_FILE)
    write_table(PUBLISHED, published, Path(output.published))
    write_table(APPLICATION_VERDICTS, verdicts, Path(output.application_verdicts))
    write_table(REFERENCES, references, Path(output.references))
