"""Write the report from the result tables and the figures."""

from pathlib import Path

import peft_atlas.without_gc  # noqa: F401
from peft_atlas.files import write_text
from peft_atlas.job import job
from peft_atlas.report.answers import headlines
from peft_atlas.report.material import load_material
from peft_atlas.report.render import write_report
from peft_atlas.report.sections import build_sections
from peft_atlas.report.studies.spec import all_studies

with job(snakemake.log[0]):
    params, output = snakemake.params, snakemake.output
    tables = {name: snakemake.input[name] for name in params.tables}
    material = load_material(tables, map(Path, params.figures), params.config, Path(params.root))
    write_report(build_sections(material), Path(output.html), Path(output.markdown), material.tables)
    write_text(Path(output.config), material.config)
    specs = [module.SPEC for module in all_studies() if module.SPEC.name in material.studies]
    lines = headlines(material.tables["findings"], specs)
    write_text(Path(output.headlines), "\n".join([f"Report: {output.html}", *lines]) + "\n")
