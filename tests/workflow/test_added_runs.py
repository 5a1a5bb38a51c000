"""Runs that a user adds reach tables, figure, report and the table of methods, and leave when they are taken away."""

import json
import os
import re
import shutil
import subprocess
import sys

import pandas as pd
import pytest

pytestmark = pytest.mark.slow
ROWS = "task,model,method,seed,metric,split,score\n" + "".join(
    f"reviews,MiniLM,{method},{seed},accuracy,test,{score}\n"
    for method, scores in (("full", (0.9, 0.91)), ("LoRA", (0.7, 0.72)))
    for seed, score in enumerate(scores)
)


def test_added_runs_are_a_study_of_the_report(project):
    (project.folder / "mine.csv").write_text(ROWS, encoding="utf-8")
    add = [sys.executable, "-m", "peft_atlas.cli", "add", "mine.csv", "--name", "mine"]
    here = {**os.environ, "PYTHONPATH": str(project.folder / "src")}
    subprocess.run(add, cwd=project.folder, env=here, check=True)
    done = project.snakemake("results/report.html")
    assert done.returncode == 0, done.stdout
    findings = pd.read_parquet(project.folder / "results/findings.parquet")
    own = findings[findings["study"] == "added"]
    assert own["effect"].tolist() == pytest.approx([-19.5])
    page = (project.folder / "results/report.html").read_text(encoding="utf-8")
    assert "Your runs: reviews, MiniLM" in page
    assert 'id="added"' in page
    points = json.loads(re.search(r'id="explorer-data"[^>]*>(.*?)</script>', page, flags=re.DOTALL)[1])["points"]
    assert {(point["method"], point["task"]) for point in points if point["study"] == "added"} == {
        ("full", "reviews"),
        ("LoRA", "reviews"),
    }
    assert (project.folder / "figures/added_runs.svg").is_file()
    shutil.rmtree(project.folder / "data/added")
    done = project.snakemake("results/report.html")
    assert done.returncode == 0, done.stdout
    assert "Your runs" not in (project.folder / "results/report.html").read_text(encoding="utf-8")
