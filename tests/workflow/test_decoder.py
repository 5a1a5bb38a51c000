"""The decoder study in the workflow: its smoke run on a random model, and the released run where it is left out."""

import shutil

import pytest
import yaml
from decoder_tables import decoder_tables

from peft_atlas.studies.decoder.release import write_released
from peft_atlas.tables.contract import read_table, write_table
from peft_atlas.tables.decoder_schemas import DECODER
from peft_atlas.tables.schemas import COSTS, FINDINGS, ITEMS, RUNS

pytestmark = pytest.mark.slow
SMOKE = "workflow/decoder_smoke.yaml"
TRAINING = {"train_decoder", "read_decoder", "train_shuffled_answers", "train_counts", "prepare_decoder"}


@pytest.fixture(scope="module")
def ended(root, tmp_path_factory, fresh_session_project):
    """Return a project whose decoder study has run on a random model."""
    project = fresh_session_project.copy(tmp_path_factory.mktemp("decoder") / "project")
    done = project.snakemake("decoder", base=SMOKE)
    assert done.returncode == 0, done.stdout
    return project


def test_the_smoke_run_leaves_cells_findings_and_a_figure_and_has_nothing_more_to_do(ended):
    cells = read_table(DECODER, ended.folder / "results/decoder_cells.parquet")
    assert set(cells["origin"]) == {"this run"}
    assert set(cells["role"]) == {"method", "reference", "control"}
    checks = [read_table(FINDINGS, path) for path in ended.folder.glob("results/findings/decoder_rows_*.parquet")]
    assert len(checks) == 2
    assert all((table["verdict"] == "pass").all() for table in checks)
    assert (ended.folder / "figures/decoder_published.png").is_file()
    assert ended.jobs("decoder", base=SMOKE) == {}


def test_examples_before_a_prompt_concern_the_untrained_model_alone(ended, tmp_path):
    other = yaml.safe_load((ended.folder / SMOKE).read_text(encoding="utf-8"))
    other["decoder"]["few_shots"] = 1
    changed = tmp_path / "one_shot.yaml"
    changed.write_text(yaml.safe_dump(other), encoding="utf-8")
    assert TRAINING & set(ended.jobs("decoder", base=str(changed))) == {"read_decoder"}


def test_a_run_without_the_study_shows_the_released_one_and_trains_nothing(fresh, tmp_path, root):
    given = decoder_tables(tmp_path)
    place = tmp_path / "results/runs/decoder/commonsense"
    for name, contract in (("runs", RUNS), ("items", ITEMS), ("costs", COSTS)):
        write_table(contract, given[name], place / f"all.{name}.parquet")
    write_table(FINDINGS, given["findings"], tmp_path / "results/findings/decoder_rows_commonsense.parquet")
    shutil.rmtree(fresh.folder / "data/released", ignore_errors=True)
    write_released(tmp_path / "results", fresh.folder / "data/released/decoder", root, "a machine")
    jobs = fresh.jobs()
    assert "draw_decoder_published" in jobs
    assert not TRAINING & set(jobs)
    done = fresh.snakemake("results/decoder_cells.parquet", "figures/decoder_published.svg")
    assert done.returncode == 0, done.stdout
    cells = read_table(DECODER, fresh.folder / "results/decoder_cells.parquet")
    assert cells["origin"].str.startswith("released run, not made on this machine").all()
