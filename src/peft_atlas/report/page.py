"""The step that writes the report from the result tables and figures."""

from __future__ import annotations

from pathlib import Path

from peft_atlas.files import write_text
from peft_atlas.report.front_page import headlines
from peft_atlas.report.material import load_material
from peft_atlas.report.render import write_report
from peft_atlas.report.sections import build_sections
from peft_atlas.step import Step
from peft_atlas.studies.study import studies_of


def report_step(step: Step) -> None:
    """Write the report, the configuration it was made with, and the summary lines printed when a run ends."""
    params, html = step.params, step.output("html")
    tables = {name: step.path(name) for name in params["tables"]}
    material = load_material(tables, map(Path, params["figures"]), params["config"], Path(params["root"]))
    write_report(build_sections(material), html, step.output("markdown"), material.tables)
    write_text(step.output("config"), material.config)
    lines = headlines(material.tables["findings"], studies_of(material.studies))
    running = f" (still running: {', '.join(material.pending)})" if material.pending else ""
    write_text(step.output("headlines"), "\n".join([f"Report: {html}{running}", *lines]) + "\n")
