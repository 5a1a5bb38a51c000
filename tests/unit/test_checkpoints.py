"""A checkpoint helps or is set aside: it belongs to its labels, tokens, weights and code, and is read whole or not."""

import errno
import logging
import pickle
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from peft_atlas.errors import AtlasError
from peft_atlas.studies.encoder.data.examples import Texts
from peft_atlas.studies.encoder.run import Run, Trial, find_setting
from peft_atlas.training import checkpoint as module

# Left out of `make fast-test`: together these files take most of the time of the unit tests.
pytestmark = pytest.mark.slow

TRIAL = Trial("methods", find_setting("LoRA (query, value)", 16), 1e-2, 0)


@pytest.fixture
def paused(tiny_part):
    """Return a part with the state of a run after its first epoch, and the state's file."""
    Run(tiny_part, TRIAL).train(1).pause()
    (path,) = tiny_part.checkpoints.glob("*.pt")
    return tiny_part, path


def epochs(part):
    """Return the epochs that a new process would go on from."""
    return Run(part, TRIAL).epochs


def other_labels(part):
    """Return a part whose user corrected the labels."""
    rows = part.texts.rows.assign(label=part.texts.rows["label"].replace({"high": "low", "low": "high"}))
    return replace(part, texts=Texts(rows, part.texts.classes))


def other_tokens(part):
    """Return a part whose tokenizer cuts texts elsewhere."""
    rows = part.texts.rows.assign(tokens=[tokens[::-1] for tokens in part.texts.rows["tokens"]])
    return replace(part, texts=Texts(rows, part.texts.classes))


def other_weights(part):
    """Return a part whose model was replaced under its name, with the times of the old one."""
    folder = part.model
    tensors = load_file(folder / "model.safetensors")
    name = "encoder.layer.0.output.dense.bias"
    save_file({**tensors, name: tensors[name] + 1}, folder / "model.safetensors")
    return part


def other_code(part):
    """Return a part that another version of the library trains."""
    return replace(part, code="other")


def test_the_same_run_goes_on(paused):
    assert epochs(paused[0]) == 1


@pytest.mark.parametrize("change", [other_labels, other_tokens, other_weights, other_code])
def test_what_decides_a_runs_numbers_decides_its_checkpoint(paused, tmp_path, change):
    part = replace(paused[0], model=shutil.copytree(paused[0].model, tmp_path / "copied"))
    assert epochs(part) == 1
    assert epochs(change(part)) == 0


def cut(data):
    return data[: len(data) // 2]


def flipped(data):
    place = len(data) // 3
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize(
    "damage", [cut, flipped, lambda _: b"", lambda _: b"not a zip", lambda data: data[:-1], lambda _: pickle.dumps({})]
)
def test_a_damaged_checkpoint_is_set_aside_with_one_line(paused, caplog, damage):
    part, path = paused
    path.write_bytes(damage(path.read_bytes()))
    with caplog.at_level(logging.WARNING):
        run = Run(part, TRIAL)
    assert run.epochs == 0
    assert path.with_suffix(".unusable").is_file()
    assert not path.exists()
    (message,) = caplog.messages
    assert message.startswith(f"{path}: not a whole checkpoint (")
    assert "\n" not in message
    expected = Run(replace(part, checkpoints=None), TRIAL).train()
    assert run.train().history.train_loss == expected.history.train_loss


@pytest.mark.parametrize(
    "change",
    [
        lambda saved: {**saved, "trained": {name: t * float("nan") for name, t in saved["trained"].items()}},
        lambda saved: {**saved, "trained": {name: t[..., :1] for name, t in saved["trained"].items()}},
        lambda saved: {name: part for name, part in saved.items() if name != "streams"},
    ],
)
def test_a_sealed_state_that_does_not_fit_is_set_aside(paused, caplog, change):
    part, path = paused
    module._seal(change(torch.load(path, weights_only=True)), path)
    assert epochs(part) == 0
    assert path.with_suffix(".unusable").is_file()
    assert len(caplog.messages) == 1


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_state_that_cannot_be_kept_costs_a_warning_and_one_that_must_be_one_line(tiny_part, caplog, monkeypatch):
    monkeypatch.setattr(module.torch, "save", full)
    run = Run(tiny_part, TRIAL)
    run._training.checkpoint.seconds = 0
    found = run.train().history.train_loss
    assert "not written: No space left on device; free some space" in caplog.messages[0]
    assert caplog.messages[0].endswith("the run goes on without this checkpoint")
    assert found == Run(replace(tiny_part, checkpoints=None), TRIAL).train().history.train_loss
    with pytest.raises(AtlasError, match="not written: No space left on device"):
        run.pause()
