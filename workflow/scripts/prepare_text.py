"""Clean, split, check and tokenise the texts of one task."""

from pathlib import Path

import peft_atlas.without_gc  # noqa: F401
from peft_atlas.findings.finding import as_rows
from peft_atlas.job import job
from peft_atlas.records import FINDINGS, write_table
from peft_atlas.tasks.example_records import EXAMPLES
from peft_atlas.tasks.prepare import prepare
from peft_atlas.tasks.sources import Source
from peft_atlas.tasks.text import SplitSizes

with job(snakemake.log[0]):
    params, packaged = snakemake.params, Path(snakemake.input.packaged[0]).parent
    task = dict(params.task)
    file = task.pop("file")
    source = Source(packaged=packaged, file=None if file is None else Path(file), **task)
    tokenizer = Path(snakemake.input.model[0]).parent / "tokenizer.json"
    rows, findings = prepare(source, SplitSizes(**params.sizes), params.drift, packaged, tokenizer, params.max_length)
    write_table(EXAMPLES, rows, Path(snakemake.output.examples))
    write_table(FINDINGS, as_rows(findings), Path(snakemake.output.findings))
