"""Intruder dimensions against a plain loop, peft, and planted cases; their claims on simulated counts and runs."""

from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from figure_checks import faults_of_text, marks_without_interval
from peft import LoraConfig, get_peft_model
from peft.tuners.lora.intruders import reduce_intruder_dimension
from torch import nn

from peft_atlas.analysis.contrasts import Levels
from peft_atlas.analysis.evidence import rows_of
from peft_atlas.analysis.finding import as_rows
from peft_atlas.config import FigureStyle, load_config
from peft_atlas.errors import AtlasError
from peft_atlas.figures.render import draw_figure, settings
from peft_atlas.studies.adaptation.cells import Study
from peft_atlas.studies.adaptation.train import pretrain
from peft_atlas.studies.laboratory.contrasts import contrasts
from peft_atlas.studies.laboratory.directions import intruders, shrink_intruders
from peft_atlas.studies.laboratory.figures import laboratory_intruders
from peft_atlas.studies.laboratory.intruder_claims import intruder_claims
from peft_atlas.studies.laboratory.intruders import Bench, measure
from peft_atlas.studies.laboratory.section import blocks
from peft_atlas.studies.laboratory.train import part_of, train_part
from peft_atlas.tables.contract import read_table, write_table
from peft_atlas.tables.laboratory_schemas import INTRUDERS
from peft_atlas.tables.schemas import CONTRASTS, RUNS


def weights(seed=0, shape=(12, 8), rank=2, size=3.0):
    """Return a weight, and the same after a low-rank update that is large enough to intrude."""
    draws = np.random.default_rng(seed)
    own = draws.normal(size=shape)
    return own, own + size * draws.normal(size=(shape[0], rank)) @ draws.normal(size=(rank, shape[1]))


def by_loop(adapted, own, top, cosine):
    """Return the intruders' places, one singular vector and one cosine at a time."""
    left, before, found = np.linalg.svd(adapted)[0], np.linalg.svd(own, full_matrices=False)[0], []
    for place in range(min(top, *own.shape)):
        largest = 0.0
        for other in before.T:
            largest = max(largest, abs(sum(a * b for a, b in zip(left[:, place], other, strict=True))))
        if largest < cosine:
            found.append(place)
    return found


@pytest.mark.parametrize("shape", [(24, 16), (16, 24), (20, 20)])
@pytest.mark.parametrize(("top", "cosine"), [(3, 0.5), (10, 0.6), (10, 0.8)])
def test_intruders_are_those_of_a_plain_loop(shape, top, cosine):
    pairs = [weights(seed, shape) for seed in range(5)]
    own, adapted = (torch.from_numpy(np.stack(each)) for each in zip(*pairs, strict=True))
    found = intruders(adapted, own, top, cosine)
    expected = [by_loop(after, before, top, cosine) for before, after in pairs]
    assert [list(np.flatnonzero(row)) for row in found] == expected
    assert any(expected)


def test_a_planted_direction_is_the_only_intruder_and_is_taken_out():
    own = torch.diag(torch.tensor([5.0, 3.0, 2.0, 0.0]))
    own = torch.cat([own, torch.zeros(5, 4)])
    # A direction that the weight does not have, on an input that it does not read.
    adapted = own.clone()
    adapted[6, 3] = 4.0
    assert intruders(adapted, own[:, :3], 3, 0.5).tolist() == [False, True, False]
    half = shrink_intruders(adapted, own[:, :3], 3, 0.5, 0.5)
    assert half[6, 3] == pytest.approx(2.0)
    torch.testing.assert_close(shrink_intruders(adapted, own[:, :3], 3, 0.5, 0.0), own)
    torch.testing.assert_close(shrink_intruders(adapted, own[:, :3], 3, 0.5, 1.0), adapted)


def test_a_weight_that_did_not_move_or_only_grew_has_no_intruders():
    own = torch.from_numpy(weights()[0])
    assert not intruders(own, own, 10, 0.5).any()
    assert not intruders(3 * own, own, 10, 0.999).any()


def test_shrinking_is_that_of_peft_at_full_rank():
    """peft cuts what it shrinks to the adapter's rank, so that the two agree where that is full."""
    own, adapted = weights(3, (8, 8))
    model = nn.Sequential(nn.Linear(8, 8, bias=False))
    model[0].weight.data = torch.from_numpy(own).float()
    wrapped = get_peft_model(model, LoraConfig(r=8, lora_alpha=8, target_modules=["0"]))
    layer = wrapped.base_model.model[0]
    layer.lora_A["default"].weight.data = torch.eye(8)
    layer.lora_B["default"].weight.data = torch.from_numpy(adapted - own).float()
    said = []
    reduce_intruder_dimension(wrapped, top_k=5, threshold_epsilon=0.6, mitigation_lambda=0.25, logging_sink=said.append)
    before = torch.from_numpy(own).float()
    found = intruders(torch.from_numpy(adapted).float(), before, 5, 0.6)
    assert int(found.sum()) > 0
    assert any(str(line).endswith(f"Intruders: {int(found.sum())}") for line in said)
    ours = shrink_intruders(torch.from_numpy(adapted).float(), before, 5, 0.6, 0.25)
    torch.testing.assert_close(before + layer.get_delta_weight("intruder_reduced"), ours, rtol=1e-4, atol=1e-4)


SEEDS = range(8)


def simulated_counts(more):
    """Return counts of full fine-tuning and LoRA on a path of rates; LoRA has that many more at every accuracy."""
    rows = []
    for seed in SEEDS:
        noise = seed % 2
        rows.append(("no adaptation", None, None, seed, None, 0.5, 0))
        for step, rate in enumerate((1e-3, 1e-2), 1):
            rows.append(("full", None, rate, seed, rate == 1e-2, 0.5 + 0.1 * step, 2 * step + noise))
            for rank in (1, 4):
                # Learns more than full fine-tuning by the last rate.
                reached = 0.5 + 0.1 * step if step == 1 else 0.8
                rows.append(("LoRA", rank, rate, seed, rate == 1e-2, reached, 2 * step + more * step))
    return [dict(zip((column.name for column in INTRUDERS.columns), row, strict=True)) for row in rows]


def simulated_runs(gain, loss, update_gain):
    """Return runs with the intruders or the update shrunk, whose changes in source and target accuracy are known."""
    draws, rows = np.random.default_rng(0), []
    for rank in (1, 4):
        for setting, source, target in (
            ("intruders times 1", 0.0, 0.0),
            ("intruders times 0.5", 2 * gain, 5 * loss),
            ("intruders times 0.75", gain, loss),
            ("update times 0.75", update_gain, 0.0),
        ):
            for seed in SEEDS:
                row = {**RUNS.blank(), "study": "laboratory", "experiment": "intruders", "task": "t", "model": "m"}
                row |= {"run_id": f"{rank}/{setting}/{seed}", "method": "LoRA", "setting": setting, "rank": rank}
                row |= {"alpha": 2.0 * rank, "learning_rate": 1e-2, "selected": True, "status": "ok", "seed": seed}
                row |= {"train_examples": 9, "epochs": 1, "trainable_params": 1, "total_params": 2, "device": "cpu"}
                row |= {"torch_version": "0", "source_accuracy": 0.6 + source + draws.normal(0, 1e-4)}
                rows.append(row | {"test_accuracy": 0.8 + target + draws.normal(0, 1e-4)})
    return rows


def judged(tmp_path, more=2, gain=0.02, loss=-0.002, update_gain=0.01):
    levels = Levels(0.95, 0.01)
    write_table(RUNS, simulated_runs(gain, loss, update_gain), tmp_path / "runs.parquet")
    write_table(INTRUDERS, simulated_counts(more), tmp_path / "counts.parquet")
    rows = contrasts(read_table(RUNS, tmp_path / "runs.parquet"), pd.DataFrame(), levels)
    write_table(CONTRASTS, rows, tmp_path / "contrasts.parquet")
    found = intruder_claims(
        read_table(CONTRASTS, tmp_path / "contrasts.parquet"),
        read_table(INTRUDERS, tmp_path / "counts.parquet"),
        levels,
    )
    return {claim.id.removeprefix("laboratory_intruders_"): claim for claim in found}


def test_verdicts_follow_what_was_simulated(tmp_path):
    claims = judged(tmp_path)
    assert {name: claim.verdict for name, claim in claims.items()} == {
        "more": "supported",
        "repair": "supported",
        "specific": "supported",
    }
    # At 0.7, which both reach, full has 4 or 5; LoRA halfway between 4 at 0.6 and 8 at 0.8.
    assert claims["more"].effect.size == pytest.approx(6 - 4.5)
    assert claims["repair"].effect.size == pytest.approx(2, abs=0.2)
    # A cost that is too large is what decides, and is shown.
    assert judged(tmp_path, loss=-0.02)["repair"].effect.size == pytest.approx(-2, abs=0.2)
    assert "paraphrased" in claims["more"].source
    assert "“" not in claims["more"].detail


@pytest.mark.parametrize(
    ("truth", "name", "verdict"),
    [
        ({"more": -2}, "more", "contradicted"),
        ({"loss": -0.02}, "repair", "contradicted"),
        ({"loss": -0.01}, "repair", "undecided"),
        ({"gain": -0.02}, "repair", "contradicted"),
        ({"gain": 0.0}, "repair", "undecided"),
        ({"update_gain": 0.03}, "specific", "contradicted"),
        ({"update_gain": 0.02}, "specific", "undecided"),
    ],
)
def test_verdicts_turn_with_the_truth(tmp_path, truth, name, verdict):
    assert judged(tmp_path, **truth)[name].verdict == verdict


def test_the_section_shows_every_verdict(tmp_path):
    findings = pd.DataFrame(as_rows(list(judged(tmp_path, loss=-0.02).values())))
    material = SimpleNamespace(findings=lambda kind, study: findings, figures_of=lambda study: [])
    shown = blocks(material)[-1]
    assert [row[:2] for row in shown.rows] == list(zip(findings["statement"], findings["verdict"], strict=True))
    assert "contradicted" in {row[1] for row in shown.rows}


@pytest.mark.parametrize("preset", ["one_column", "two_columns", "slide"])
def test_the_figure_is_legible_and_has_intervals(tmp_path, preset):
    judged(tmp_path)
    plotted = laboratory_intruders.select({"contrasts": read_table(CONTRASTS, tmp_path / "contrasts.parquet")})
    style = FigureStyle(preset=preset)
    figure = draw_figure(laboratory_intruders, plotted, style)
    with mpl.rc_context(settings(laboratory_intruders.SPEC, style)):
        assert faults_of_text(figure) == []
    assert marks_without_interval(figure) == []
    assert set(plotted["factor"]) == {0.75}
    described = laboratory_intruders.describe(plotted)
    assert "intruder dimensions shrunk, source task +2.0 to +2.0 points, target task -0.2 to -0.2" in described.finding


def test_what_is_shrunk_are_the_networks_of_the_runs(root, tmp_path):
    config = load_config(yaml.safe_load((root / "workflow/smoke.yaml").read_text(encoding="utf-8")))
    networks, own, seeds = config.adaptation, config.laboratory, (0, 1)
    base = pretrain(Study(networks, seeds, "cpu"))[0]
    parts = [part_of(name, own, networks) for name in ("scaling-two", "variants")]
    rows = [row for part in parts for row in train_part(part, own, networks, seeds, base, "cpu")[0]]
    write_table(RUNS, rows, tmp_path / "runs.parquet")
    runs = read_table(RUNS, tmp_path / "runs.parquet")
    counts, shrunk = measure(Bench.of(own, networks, seeds, base, "cpu"), runs)
    write_table(INTRUDERS, counts, tmp_path / "counts.parquet")
    write_table(RUNS, shrunk, tmp_path / "shrunk.parquet")
    trained = runs[(runs["setting"] == "alpha = 2r") & (runs["experiment"] == "scaling") & runs["selected"]]
    same = pd.DataFrame(shrunk).query("setting == 'intruders times 1'").set_index(["rank", "seed"])
    for name in ("test_accuracy", "source_accuracy", "test_loss"):
        expected = trained.set_index(["rank", "seed"])[name].reindex(same.index)
        assert same[name].astype(float).tolist() == expected.astype(float).tolist()
    bare = pd.DataFrame(shrunk).query("setting == 'update times 0'")
    assert (bare["source_accuracy"] == bare["source_accuracy_before"]).all()
    counted, levels = read_table(INTRUDERS, tmp_path / "counts.parquet"), Levels(0.95, 0.01)
    every = pd.concat([runs, read_table(RUNS, tmp_path / "shrunk.parquet")])
    write_table(CONTRASTS, contrasts(every, pd.DataFrame(), levels), tmp_path / "contrasts.parquet")
    tables = {"runs": every, "contrasts": read_table(CONTRASTS, tmp_path / "contrasts.parquet")}
    for claim in intruder_claims(tables["contrasts"], counted, levels):
        assert all(len(rows) for rows in rows_of(claim.evidence, tables))
    assert set(counted["method"]) == {"LoRA", "full", "no adaptation", "exact solution"}
    assert (counted.loc[counted["method"] == "no adaptation", "intruders"] == 0).all()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"intruder_factors": [1.0]}, r"laboratory\.intruder_factors.* = 1\.0: "),
        ({"intruder_factors": []}, r"laboratory\.intruder_factors"),
        ({"intruder_cosine": 0}, r"laboratory\.intruder_cosine = 0: "),
        ({"intruder_top": 0}, r"laboratory\.intruder_top = 0: "),
    ],
)
def test_a_wrong_setting_is_named(setting, words):
    with pytest.raises(AtlasError, match=words):
        load_config({"laboratory": setting})
