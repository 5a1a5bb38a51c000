"""Which paired difference a point of the explorer has, against the seeds it comes from."""

import pandas as pd
import pytest

from peft_atlas.report.explorer import _against_full
from peft_atlas.report.material import Material

ACCURACY = {"full": [0.80, 0.84, 0.82], "LoRA": [0.79, 0.80, 0.81], "BitFit": [0.60, 0.66, 0.63]}


def run(experiment, method, seed, accuracy, *, selected=True):
    return {
        "study": "s", "experiment": experiment, "task": "t", "method": method, "setting": None, "rank": None,
        "alpha": None, "shift_rank": None, "train_examples": 100, "seed": seed, "selected": selected,
        "test_accuracy": accuracy,
    }  # fmt: skip


def contrast(method, difference, question="against_full", **changes):
    return {
        "study": "s", "question": question, "task": "t", "method": method, "setting": None, "rank": None,
        "alpha": None, "shift_rank": None, "train_examples": 100, "metric": "test_accuracy",
        "reference": "full fine-tuning", "difference": difference, "low": difference - 0.01,
        "high": difference + 0.01, **changes,
    }  # fmt: skip


def differences(contrasts, extra=()):
    runs = [run("methods", name, seed, each) for name, all_ in ACCURACY.items() for seed, each in enumerate(all_)]
    tables = {"runs": pd.DataFrame([*runs, *extra]), "contrasts": pd.DataFrame(contrasts)}
    found = _against_full(Material(tables, (), ("s",), "", (0,), 0.95, {}, "code", "machine"), "s")
    return {(key[0], key[1]): value for key, value in found.items()}


def paired(name):
    return sum(a - b for a, b in zip(ACCURACY[name], ACCURACY["full"], strict=True)) / 3


def test_a_point_has_the_paired_difference_of_its_cell_and_full_is_zero():
    found = differences([contrast("LoRA", paired("LoRA")), contrast("BitFit", paired("BitFit"))])
    assert found["s: methods, t", "LoRA"] == pytest.approx([-2.0, -3.0, -1.0])
    assert found["s: methods, t", "BitFit"] == pytest.approx([-19.0, -20.0, -18.0])
    assert found["s: methods, t", "full"] == [0, 0, 0]


def test_another_experiment_with_the_same_cell_does_not_borrow_the_difference():
    shuffled = [run("shuffled_labels", name, seed, 0.5) for name in ("full", "LoRA") for seed in range(3)]
    found = differences([contrast("LoRA", -0.02), contrast("BitFit", -0.19)], shuffled)
    assert {label for label, _ in found} == {"s: methods, t"}


@pytest.mark.parametrize("changes", [{"reference": "rank 8"}, {"low": None}, {"metric": "source_accuracy"}])
def test_what_is_no_interval_against_full_in_accuracy_gives_nothing(changes):
    assert differences([contrast("LoRA", -0.02, **changes)]) == {}
