"""The decoder study: the released run in place of one, and what is refused before the first job."""

import json
import shutil
from types import SimpleNamespace

import pandas as pd
import pytest
from decoder_tables import cells_of, decoder_tables

from peft_atlas.config import load_config
from peft_atlas.errors import AtlasError
from peft_atlas.step import Step
from peft_atlas.studies.decoder.config import DecoderTaskConfig
from peft_atlas.studies.decoder.jobs import run_files
from peft_atlas.studies.decoder.preflight import preflight
from peft_atlas.studies.decoder.release import main, write_released
from peft_atlas.studies.decoder.released import read_released, released_files
from peft_atlas.studies.decoder.tabulate import tabulate_step
from peft_atlas.tables.contract import read_table, write_table
from peft_atlas.tables.decoder_schemas import DECODER, DECODER_COSTS
from peft_atlas.tables.literature_schemas import PUBLISHED
from peft_atlas.tables.schemas import COSTS, FINDINGS, ITEMS, RUNS


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the results folder of a run in which the study is finished."""
    folder = tmp_path_factory.mktemp("run")
    given = decoder_tables(folder)
    place = folder / "results/runs/decoder/commonsense"
    for name, contract in (("runs", RUNS), ("items", ITEMS), ("costs", COSTS)):
        write_table(contract, given[name], place / f"all.{name}.parquet")
    write_table(FINDINGS, given["findings"], folder / "results/findings/decoder_rows_commonsense.parquet")
    return folder / "results"


def test_a_released_run_is_read_as_it_was_written_with_version_machine_and_date(finished, tmp_path, root):
    write_released(finished, tmp_path / "decoder", root, "a machine")
    facts = json.loads((tmp_path / "decoder/release.json").read_text())
    found = read_released(tmp_path / "decoder")
    assert len(released_files(tmp_path)) == 5
    assert len(found.runs) == len(read_table(RUNS, finished / "runs/decoder/commonsense/all.runs.parquet"))
    assert found.origin.startswith("released run, not made on this machine: version ")
    assert all(facts[name] in found.origin for name in ("version", "code", "machine", "date"))


def tabulated(folder, **inputs):
    outputs = {
        name: folder / f"{name}.parquet" for name in ("decoder_cells", "decoder_costs", "answers", "cost_answers")
    }
    published = folder / "published.parquet"
    write_table(PUBLISHED, [], published)
    tabulate_step(Step({"published": published, **inputs}, outputs, {"confidence": 0.95}))
    return (
        read_table(DECODER, outputs["decoder_cells"]),
        read_table(DECODER_COSTS, outputs["decoder_costs"]),
        read_table(FINDINGS, outputs["answers"]),
    )


def test_a_run_without_the_study_has_the_released_numbers_and_says_so(finished, tmp_path, root):
    write_released(finished, tmp_path / "decoder", root, "a machine")
    cells, costs, findings = tabulated(tmp_path, released=released_files(tmp_path))
    place = finished / "runs/decoder/commonsense"
    own = {"runs": [place / "all.runs.parquet"], "per_item": [place / "all.items.parquet"]}
    here, _, _ = tabulated(tmp_path, **own, costs=[place / "all.costs.parquet"])
    pd.testing.assert_frame_equal(cells.drop(columns="origin"), here.drop(columns="origin"))
    assert set(here["origin"]) == {"this run"}
    assert set(costs["origin"]) == set(cells["origin"]) != {"this run"}
    answer = findings[findings["kind"] == "answer"]
    assert answer["detail"].str.contains("not made on this machine").all()
    assert findings.loc[findings["kind"] == "check", "statement"].str.contains("not made on this machine").all()


def test_of_two_released_runs_the_larger_answers_and_both_say_what_they_cost(finished, tmp_path, root):
    write_released(finished, tmp_path / "decoder", root, "a machine")
    write_released(finished, tmp_path / "decoder_full", root, "a shared GPU", times=False)
    cells, costs, _ = tabulated(tmp_path, released=released_files(tmp_path))
    assert cells["origin"].str.contains("a shared GPU").all()
    shared = costs["origin"].str.contains("a shared GPU")
    assert 0 < shared.sum() < len(costs)
    assert costs.loc[shared, "cpu_seconds"].isna().all()
    assert costs.loc[shared, "peak_memory_mb"].notna().any()
    assert costs.loc[~shared, "cpu_seconds"].notna().any()
    answers = read_table(FINDINGS, tmp_path / "cost_answers.parquet")
    assert dict(zip(answers["id"], answers["unit"], strict=True)) == {
        "decoder_memory_commonsense_processor": "MB",
        "decoder_cost_commonsense_processor": "s",
    }


def test_a_run_without_any_has_empty_tables(tmp_path):
    assert [len(each) for each in tabulated(tmp_path)] == [0, 0, 0]


def test_the_command_says_in_one_line_what_is_missing(tmp_path, capsys):
    assert main([str(tmp_path), str(tmp_path / "decoder")]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"{tmp_path}: no finished run of the study decoder with ")
    assert error.endswith("/commonsense/full/rank=8.runs.parquet; run snakemake decoder first\n")
    assert main([str(tmp_path), str(tmp_path / "mine")]) == 2
    assert capsys.readouterr().err == f"folder {tmp_path / 'mine'}: allowed names: decoder_full, decoder\n"
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert "usage" in capsys.readouterr().err


def test_a_release_holds_the_tables_of_its_configuration_alone(finished, tmp_path, root):
    """A part that another configuration left in the folder is not taken, and none may be missing."""
    results = shutil.copytree(finished, tmp_path / "results")
    config = load_config({"decoder": {"tasks": [{"name": "commonsense", "methods": ["full"]}]}}).decoder
    contracts = {"runs": RUNS, "items": ITEMS, "costs": COSTS}
    for kind, contract in contracts.items():
        for path in map(tmp_path.joinpath, run_files(config, kind)):
            write_table(contract, [], path)
    taken = tmp_path / run_files(config, "runs")[0]
    whole = read_table(RUNS, results / "runs/decoder/commonsense/all.runs.parquet")
    write_table(RUNS, whole[whole["method"] == "full"], taken)
    write_released(results, tmp_path / "decoder", root, "a machine", config=config)
    assert set(read_released(tmp_path / "decoder").runs["method"]) == {"full"}
    taken.unlink()
    with pytest.raises(AtlasError, match=r"no finished run of the study decoder with .*full/rank=8.runs.parquet"):
        write_released(results, tmp_path / "decoder", root, config=config)


def test_a_broken_manifest_is_one_line(tmp_path):
    (tmp_path / "release.json").write_text('{"version": "1"}')
    with pytest.raises(AtlasError, match=r"release.json: lacks 'code'; allowed: JSON with version, code"):
        read_released(tmp_path)


def test_a_task_needs_full_and_a_source():
    with pytest.raises(ValueError, match="full must be among them"):
        DecoderTaskConfig(name="commonsense", methods=("(IA)3",))
    with pytest.raises(ValueError, match="give file"):
        DecoderTaskConfig(name="mine")


def test_the_section_says_where_its_numbers_are_from(finished, tmp_path, root):
    from peft_atlas.studies.decoder.section import available, blocks

    write_released(finished, tmp_path / "decoder", root, "a machine")
    released, costs, _ = tabulated(tmp_path, released=released_files(tmp_path))
    material = SimpleNamespace(
        tables={"decoder_cells": released, "decoder_costs": costs},
        figures_of=lambda **_: [],
        findings=lambda *_, **__: [],
    )
    assert available(material)
    intro, table = blocks(material)
    assert intro.text.startswith("Released run, not made on this machine: version ")
    assert {"CPU s", "MB"} <= set(table.header)
    first, *others = (row[0] for row in table.rows)
    assert first == "full"
    assert {"LoRA (all linear modules)", "(IA)3", "counts of words"} < set(others)
    cells = cells_of(decoder_tables(tmp_path), tmp_path)
    here = SimpleNamespace(tables={"decoder_cells": cells, "decoder_costs": costs}, figures_of=lambda **_: [])
    assert "not made on this machine" not in blocks(here)[0].text


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"tasks": [{"name": "mine", "file": "mine.jsonl"}]}, "row 1: prompt = '': allowed"),
        ({"model": "./nowhere"}, "decoder.model = './nowhere': no such folder; allowed: SmolLM2"),
    ],
)
def test_what_will_not_do_is_said_before_any_job(section, message, tmp_path):
    (tmp_path / "mine.jsonl").write_text('{"prompt": "", "answer": "x"}\n', encoding="utf-8")
    config = load_config({"studies": ["decoder"], "decoder": section})
    with pytest.raises(AtlasError, match=message):
        preflight(config, tmp_path)
    preflight(load_config({"studies": ["notebook"], "decoder": section}), tmp_path)
