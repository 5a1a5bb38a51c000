"""A fourth study takes two folders and three edited files, and reaches the report."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

ADDED = Path(__file__).parent / "added_study"


@pytest.mark.slow
def test_a_study_is_two_folders_and_three_lines(project):
    shutil.copytree(ADDED / "coin", project.folder / "src/peft_atlas/studies/coin")
    shutil.copy2(ADDED / "coin.smk", project.folder / "workflow/rules/coin.smk")
    name = "from peft_atlas.studies.encoder.config import EncoderConfig\n"
    project.edit("src/peft_atlas/config.py", name, f"from peft_atlas.studies.coin.config import CoinConfig\n{name}")
    field = "    encoder: EncoderConfig = EncoderConfig()\n"
    project.edit("src/peft_atlas/config.py", field, f"{field}    coin: CoinConfig = CoinConfig()\n")
    project.edit("config.yaml", "\nfigures:\n", "\ncoin:\n  # Tosses per seed.\n  tosses: 100\n\nfigures:\n")
    project.edit("workflow/smoke.yaml", "\nfigures:\n", "\ncoin:\n  tosses: 8\nfigures:\n")
    # What rests on tables of the literature alone is left as it is: the study changes none of it.
    for name in ("runs.parquet", "report.html"):
        (project.folder / "results" / name).unlink()
    spared = ("--rerun-triggers", "mtime")
    done = project.snakemake("results/report.html", *spared, config={"studies": ["coin"], "seeds": 4})
    assert done.returncode == 0, done.stdout
    assert "The coin shows heads" in (project.folder / "results/report.html").read_text(encoding="utf-8")
    runs = pd.read_parquet(project.folder / "results/runs.parquet")
    assert list(runs["study"]) == ["coin"] * 4
    assert set(runs["train_examples"]) == {8}
    findings = pd.read_parquet(project.folder / "results/findings.parquet").set_index("id")
    assert findings.loc["coin_choice", "effect"] == pytest.approx(100 * runs["test_accuracy"].mean())
