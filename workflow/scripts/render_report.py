"""Write the report from the result tables and the figures."""

from pathlib import Path

import yaml

from peft_atlas.config import StudyConfig
from peft_atlas.files import write_text
from peft_atlas.job import job
from peft_atlas.provenance import code_version, machine, package_versions
from peft_atlas.records import CONTRACTS, read_table
from peft_atlas.report.answers import headlines
from peft_atlas.report.material import Material
from peft_atlas.report.render import read_figures, write_report
from peft_atlas.report.sections import build_sections
from peft_atlas.report.studies.spec import all_studies

with job(snakemake.log[0]):
    params = snakemake.params
    study = StudyConfig.model_validate(params.config)
    material = Material(
        tables={name: read_table(CONTRACTS[name], snakemake.input[name]) for name in params.tables},
        figures=read_figures(map(Path, params.figures)),
        studies=tuple(params.studies),
        config=yaml.safe_dump(params.config, sort_keys=False),
        seeds=tuple(study.seeds),
        confidence=study.statistics.confidence,
        versions=package_versions(),
        code=code_version(Path(params.root)),
        machine=machine(),
    )
    output = snakemake.output
    write_report(build_sections(material), material.tables, Path(output.html), Path(output.markdown))
    specs = [module.SPEC for module in all_studies() if module.SPEC.name in material.studies]
    lines = headlines(material.tables["findings"], specs)
    write_text(Path(output.headlines), "\n".join([f"Report: {output.html}", *lines]) + "\n")
