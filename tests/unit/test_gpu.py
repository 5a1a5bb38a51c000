"""Training on a GPU against the same training on the processor; skipped where there is no GPU.

float32 products are summed in another order there, and training enlarges what that changes. The tolerance was stated
before the first run on a GPU: a loss after a few steps differs by less than a thousandth.
"""

import pytest
import torch
from prompted_rows import rows

from peft_atlas.methods.attach import attach
from peft_atlas.methods.full import FullFineTuning
from peft_atlas.methods.lora import LoRA
from peft_atlas.methods.loreft import LoReFT
from peft_atlas.methods.method import Members, Sizes
from peft_atlas.methods.registry import study_settings
from peft_atlas.models.bert import BertShape, random_bert
from peft_atlas.models.decoder import SMALL, TOKEN_TABLES, random_llama
from peft_atlas.models.encoder import HEAD, TextClassifier, encoder_sites
from peft_atlas.studies.notebook.config import NotebookConfig
from peft_atlas.studies.notebook.train import Block, train_baseline, train_sweep
from peft_atlas.training.batches import Ragged
from peft_atlas.training.checkpoint import Checkpoint
from peft_atlas.training.finetune import FinetunePlan, Finetuning, Labelled
from peft_atlas.training.language_model import LanguageTuning, score
from peft_atlas.training.resource_usage import forget_peak, peak_megabytes

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
CPU, GPU = torch.device("cpu"), torch.device("cuda")
SETTINGS = study_settings(encoder_sites(32), Sizes(rank=2, alpha=4.0))
PLAN = FinetunePlan(epochs=2, batch_size=4, learning_rate=1e-2)
LOW = LoRA(r=2, lora_alpha=4.0, target_modules=("q_proj", "down_proj"))
DROPPED = LoRA(r=2, lora_alpha=4.0, lora_dropout=0.3, target_modules=("q_proj", "v_proj"))
FULL = FullFineTuning(TOKEN_TABLES)
ENDS = LoReFT(r=2, target_modules=("layers.*",), width=32, edges=1, start="identity")


def tuned(device, method, plan=PLAN, checkpoint=None):
    model = attach(random_llama(SMALL, 0).to(device), method, Members(seeds=(3,)))
    return LanguageTuning(model, rows(22), plan, 3, checkpoint)


@pytest.mark.parametrize("method", [LOW, FULL, DROPPED, ENDS], ids=["LoRA", "full", "LoRA with dropout", "LoReFT"])
def test_a_language_model_learns_the_same_on_both(method):
    here, there = (tuned(device, method) for device in (CPU, GPU))
    here.train(rows(9, 1))
    there.train(rows(9, 1))
    assert there.history.train_loss == pytest.approx(here.history.train_loss, rel=1e-3)
    assert there.history.validation_loss == pytest.approx(here.history.validation_loss, rel=1e-3)
    found = score(there.model, rows(9, 1))
    assert found.loss.device == CPU
    torch.testing.assert_close(found.loss, score(here.model, rows(9, 1)).loss, rtol=1e-2, atol=1e-3)


def test_bfloat16_is_near_float32():
    exact, half = (tuned(GPU, LOW, FinetunePlan(2, 4, 1e-2, bfloat16=half)) for half in (False, True))
    exact.train(rows(9, 1))
    half.train(rows(9, 1))
    assert half.history.train_loss != exact.history.train_loss
    assert half.history.train_loss == pytest.approx(exact.history.train_loss, rel=3e-2)
    assert all(value.dtype == torch.float32 for value in half.attached.state().values())


@pytest.mark.parametrize("method", [DROPPED, FULL], ids=["LoRA with dropout", "full"])
def test_a_paused_run_goes_on_from_its_checkpoint(method, tmp_path):
    whole = tuned(GPU, method)
    whole.train(rows(9, 1))
    paused = tuned(GPU, method, checkpoint=Checkpoint(tmp_path / "a.pt", "run"))
    paused.train(rows(9, 1), until=1)
    paused.pause()
    again = tuned(GPU, method, checkpoint=Checkpoint(tmp_path / "a.pt", "run"))
    assert again.train(rows(9, 1)).train_loss == pytest.approx(whole.history.train_loss, rel=1e-5)


def classifier(device, method):
    model = TextClassifier(random_bert(BertShape(40, 32, 2, 4, 48, 16), 0), 3, 3).to(device)
    draws = torch.Generator().manual_seed(0)
    texts = [[int(token) for token in torch.randint(1, 40, (length,), generator=draws)] for length in range(2, 14)]
    labels = torch.tensor([len(text) % 3 for text in texts], device=device)
    attached = attach(model, method, Members(seeds=(3,)), HEAD)
    part = Labelled(Ragged.of(texts, device), labels)
    return Finetuning(attached, part, FinetunePlan(3, 4, 1e-3), 3), part


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda each: f"{each.label} {each.setting}")
def test_a_classifier_learns_the_same_on_both(setting):
    losses = []
    for device in (CPU, GPU):
        run, part = classifier(device, setting.method)
        run.train(part)
        losses.append([*run.history.train_loss, *run.history.validation_loss])
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


@pytest.mark.parametrize("train", [train_baseline, train_sweep])
def test_a_population_learns_the_same_on_both(train):
    config = NotebookConfig.model_validate({"data": {"train_examples": 200, "test_examples": 100}})
    runs = [train(Block(config, "held_out", (0, 1), device))[0] for device in ("cpu", "cuda")]
    assert [run["device"] for run in runs[1]] == ["cuda"] * len(runs[1])
    for here, there in zip(*runs, strict=True):
        assert there["train_loss"] == pytest.approx(here["train_loss"], rel=1e-3)
        assert there["test_accuracy"] == pytest.approx(here["test_accuracy"], abs=0.02)


def test_memory_is_what_torch_allocated_there():
    kept = torch.empty(10**7, device=GPU)
    forget_peak()
    before = peak_megabytes()
    again = torch.empty(5 * 10**7, device=GPU)
    del again
    assert kept.device.type == "cuda"
    assert peak_megabytes() - before == pytest.approx(200, abs=3)
