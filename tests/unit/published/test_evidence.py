"""Evidence selects the rows that a finding rests on, and findings keep to their contracts."""

import subprocess
import sys

import pandas as pd
import pytest
from literature_findings import find_all
from result_tables import read_results

from peft_atlas.accounting.memory import COLUMNS
from peft_atlas.analysis.evidence import rows_of, select, select_lines
from peft_atlas.analysis.finding import as_rows
from peft_atlas.errors import AtlasError
from peft_atlas.studies.literature.conflicts import conflicts
from peft_atlas.studies.literature.memory_table import PEAK_COLUMNS, memory_with_peaks
from peft_atlas.tables.contract import read_table, write_table
from peft_atlas.tables.literature_schemas import CONFLICTS, MEMORY
from peft_atlas.tables.schemas import CONTRACTS, FINDINGS


@pytest.fixture(scope="module")
def all_tables(tables, found):
    """Every table that evidence on the literature can name."""
    computed = {"conflicts": conflicts(tables["published"], tables["parameters"]), "findings": as_rows(found.values())}
    return tables | computed


def test_every_evidence_selects_rows(found, all_tables):
    for finding in found.values():
        assert all(len(rows) for rows in rows_of(finding.evidence, all_tables)), finding.id
    for evidence, cells in all_tables["conflicts"][["evidence", "n_cells"]].itertuples(index=False):
        assert sum(map(len, rows_of(evidence, all_tables))) == cells


def test_evidence_selects_the_rows_that_a_verdict_was_counted_on(found, all_tables):
    def rows(name):
        return rows_of(found[name].evidence, all_tables)

    assert set(rows("percentage_fits_symmetry")[0]["printed"]) == {"~3"}
    assert set(rows("percentage_fits_symmetry")[1]["printed"]) == {"0.81"}
    assert rows("higher_rank_lora_llama_7b")[0]["rank"].tolist() == [4, 8, 16, 32, 64]
    assert len(rows("applied_commonsense_reasoning")[0]) == found["applied_commonsense_reasoning"].effect.n
    averages, percents = rows("balance_arithmetic_reasoning")
    assert len(averages) == len(percents) == found["balance_arithmetic_reasoning"].effect.n
    assert set(averages["table"]) == {"arithmetic"}


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        ("publish: line=2", "no table 'publish'; allowed: ['application_verdicts'"),
        ("published: lines=2", "published has no column 'lines'; allowed: ['table', 'line'"),
        ("published: method=LoRA, line=1", "selects no row of published"),
        ("references; published: source=nobody", "'published: source=nobody': selects no row"),
    ],
)
def test_evidence_that_selects_nothing_is_an_error(all_tables, evidence, message):
    with pytest.raises(AtlasError) as caught:
        rows_of(evidence, all_tables)
    assert message in str(caught.value)


@pytest.mark.slow
def test_every_finding_of_a_run_rests_on_rows(smoked):
    names = [name for name in CONTRACTS if (smoked.folder / "results" / f"{name}.parquet").is_file()]
    results = read_results(smoked.folder / "results", names)
    for evidence in results["findings"]["evidence"]:
        assert all(len(rows) for rows in rows_of(evidence, results))


def test_a_selection_of_rows_selects_them_again(all_tables):
    published = all_tables["published"]
    some = published.iloc[[3, 200, 201, 700]]
    again = pd.concat(rows_of(select_lines(some), all_tables))
    assert sorted(again.index) == sorted(some.index)
    assert rows_of("methods/lora.py: every rank", all_tables) == []
    # A value that itself holds the word that joins values.
    odd = {"t": pd.DataFrame({"task": ["Read and write", "Read"], "rank": [8.0, None]})}
    assert len(rows_of(select("t", odd["t"].head(1), ("task", "rank")), odd)[0]) == 1


# --- contracts and imports ---


def test_findings_conflicts_and_memory_keep_to_their_contracts(tables, found, tmp_path):
    memory, conflicting = memory_with_peaks(), conflicts(tables["published"], tables["parameters"])
    for contract, rows in ((FINDINGS, as_rows(found.values())), (CONFLICTS, conflicting), (MEMORY, memory)):
        write_table(contract, rows, tmp_path / f"{contract.name}.parquet")
        assert len(read_table(contract, tmp_path / f"{contract.name}.parquet")) == len(rows)
    assert tuple(column.name for column in MEMORY.columns) == (*COLUMNS, *PEAK_COLUMNS)
    assert len(find_all(tables)) == len(found)


def test_without_conflicts_the_table_is_empty_and_keeps_its_columns(tables, tmp_path):
    published = tables["published"]
    one = published[(published["table"] == "arithmetic") & (published["source"] == "reft_v3")]
    write_table(CONFLICTS, conflicts(one, tables["parameters"]), tmp_path / "conflicts.parquet")
    assert read_table(CONFLICTS, tmp_path / "conflicts.parquet").empty


def test_judging_the_literature_imports_no_torch(root):
    code = "import sys, peft_atlas.studies.literature.findings; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=root / "src", text=True, capture_output=True, check=True)
    assert done.stdout.strip() == "False"
