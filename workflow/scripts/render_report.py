"""Write the report from the result tables and the figures."""

from pathlib import Path

from peft_atlas.files import write_text
from peft_atlas.job import job
from peft_atlas.report.material import load_material
from peft_atlas.report.render import write_report
from peft_atlas.report.sections import HEADLINES, build_sections, headlines

with job(snakemake.log[0]):
    params, output = snakemake.params, snakemake.output
    tables = {name: snakemake.input[name] for name in params.tables}
    material = load_material(tables, map(Path, params.figures), params.config, Path(params.root))
    write_report(build_sections(material), Path(output.html), Path(output.markdown))
    lines = headlines(material.tables["findings"], HEADLINES)
    write_text(Path(output.headlines), "\n".join([f"Report: {output.html}", *lines]) + "\n")
