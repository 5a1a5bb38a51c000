"""The section on predicted and measured memory, and the planner's answer for readers without a script."""

from types import SimpleNamespace

import pandas as pd
import pytest

from peft_atlas.planning import plan
from peft_atlas.planning.methods import METHODS
from peft_atlas.planning.verdict import CANNOT_TELL, FITS
from peft_atlas.report.memory_section import accuracy_in_words, memory_section
from peft_atlas.report.planner_panel import METHOD_NAMES, PART_NAMES, WAYS, opening, planner
from peft_atlas.tables.literature_schemas import PREDICTIONS


def row(record, predicted, measured, **more):
    """Return a published run whose prediction and measurement are known."""
    error = None if predicted is None or measured is None else predicted / measured - 1
    known = {"source": "a lab", "record": record, "model": "m", "method": "lora", "setting": record, "origin": record}
    ends = {} if predicted is None else {"low_gb": 0.9 * predicted, "high_gb": 1.2 * predicted}
    return known | ends | {"predicted_gb": predicted, "measured_gb": measured, "relative_error": error} | more


ROWS = (
    row("a", 11.0, 10.0, full_gb=20.0),
    row("b", 10.0, 10.0),
    # The same run again with a later version of the software.
    row("b again", 10.0, 10.0, setting="b"),
    row("far", 13.0, 10.0, source="another lab", method="dora"),
    row("impossible", 30.0, 10.0, finding="printed 10.00 GB; weights, gradients and moments as stated take 20.00 GB"),
    row("lost", 30.0, None, out_of_memory=True, verdict=FITS),
    row("lost too", 30.0, None, out_of_memory=True, verdict=CANNOT_TELL),
    row("unknown", None, 10.0, excluded="method GLORA (x) is not modelled"),
    row("unknown too", None, 10.0, excluded="method BOFT (y) is not modelled"),
)


@pytest.fixture
def rows():
    frame = pd.DataFrame(ROWS).reindex(columns=PREDICTIONS.schema().names)
    return frame.astype({"out_of_memory": "boolean"})


def test_errors_are_those_of_peaks_that_can_hold(rows):
    # Errors 10, 0, 0 and 30 %; the settings a, b and far have 10, 0 and 30 %; 10.0 and 11.0 hold 10.0, 13 does not.
    assert accuracy_in_words(rows) == (
        "Over 4 measured peaks from 2 sources the median error is 5.0 % (10.0 % over their 3 distinct settings); "
        "75.0 % are within 20 %, and 75.0 % within the 90 % interval, which rests on all other sources."
    )
    assert "No measured peak" in accuracy_in_words(rows[rows["measured_gb"].isna()])


def test_the_section_tells_what_is_left_out_and_why(rows):
    material = SimpleNamespace(tables={"predictions": rows}, figures_of=lambda section: [])
    first, *tables = memory_section(material).blocks
    assert "For 2 runs that ran out of memory on a known card the planner says “fits” for 1" in first.text
    by_source, by_method, pairs, impossible, excluded = tables
    assert [line[:2] for line in by_source.rows] == [("a lab", "3"), ("another lab", "1")]
    assert [line[0] for line in by_method.rows] == ["lora", "dora"]
    assert [line[-3:] for line in pairs.rows] == [("20.00", "10.00", "2.00")]
    assert [line[1] for line in impossible.rows] == ["impossible"]
    assert excluded.rows == (("the method is not modelled", "2", "1"),)


def test_the_planner_opens_with_the_answer_that_people_ask_for():
    answer = opening()
    by_hand = plan("Llama-3-8B", "lora", rank=8, micro_batch=4, sequence=1024, gpu_gb=24)
    assert answer.sentence.startswith("LoRA on Llama-3-8B, 4 × 1,024 tokens, does not fit in 24 GB")
    assert f"{by_hand.peak_bytes / 1e9:.1f} GB" in answer.sentence
    last = answer.bars[-1]
    assert last[2] + last[3] == pytest.approx(100)
    assert sum(float(size) for _, size, _, _ in answer.bars) == pytest.approx(by_hand.peak_bytes / 1e9, abs=0.04)
    assert [way[0] for way in answer.ways] == [name for name, _, _ in WAYS]


def test_every_method_and_part_has_a_name_on_the_page():
    assert set(METHOD_NAMES) == {method.name for method in METHODS}
    data = planner().data
    assert len({model["name"] for model in data["models"]}) == len(data["models"]) > 60
    assert len(PART_NAMES) == len(data["parts"]) == 8
