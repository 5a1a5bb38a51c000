"""A method that `peft` attaches to the study's encoder, and whether it can be trained there at all."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, get_peft_model
from torch import Tensor, nn

from peft_atlas.models.encoder import HuggingFaceEncoder, TextClassifier, load_with_transformers
from peft_atlas.models.folder import read_config
from peft_atlas.rng import generator, stream_key
from peft_atlas.studies.encoder.peft_method import PeftSetting
from peft_atlas.studies.encoder.peft_run import PeftAttached
from peft_atlas.studies.encoder.peft_settings import first_line, peft_config

# How far what learns is moved in a trial: enough to be seen in the output, and to switch off no nonlinearity.
_MOVED = 0.02


class PromptedEncoder(HuggingFaceEncoder):
    """An encoder from `transformers` whose output may begin with states of a prompt, which are left out."""

    def run(self, states: Tensor, mask: Tensor, start: int, stop: int) -> Tensor:
        """Compute the last hidden states of the text alone."""
        if start == stop:
            return states
        return super().run(states, mask, start, stop)[:, -states.shape[1] :]


def load_for_peft(folder: Path) -> PromptedEncoder:
    """Load the pretrained encoder as `transformers` builds it, for any family."""
    return PromptedEncoder(load_with_transformers(folder, read_config(folder)["model_type"]))


def attach_peft(classifier: TextClassifier, setting: PeftSetting, seed: int) -> PeftAttached:
    """Return the classifier with a method of `peft` attached in place; what it draws at its start is keyed by the seed.

    The encoder is adapted on the CPU, so that every device sees the same start, and then moved back.
    """
    encoder, config = classifier.encoder, peft_config(setting.label, setting.method.settings)
    assert isinstance(encoder, HuggingFaceEncoder)
    device = classifier.head.weight.device
    encoder.to("cpu")
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(stream_key(seed, "adapter"))
        encoder.model = get_peft_model(encoder.model, config)
    classifier.to(device)
    return PeftAttached(classifier)


def refusal(folder: Path, setting: PeftSetting, states: Tensor, mask: Tensor, seed: int) -> str | None:
    """Return why a method cannot be trained on this model by the study, in one line; None if it can.

    It is attached to a model of its own, which is then asked for outputs and gradients: whatever peft or the model
    raises is the reason, and so is a method that learns nothing, or draws while it trains.

    Parameters
    ----------
    folder
        The pretrained model.
    setting
        The method.
    states, mask
        Token ids of some texts, and which of them are tokens.
    seed
        Of the start.
    """
    config = peft_config(setting.label, setting.method.settings)
    if (loop := _own_loop(config)) is not None:
        return loop
    classifier = TextClassifier(load_for_peft(folder), 2, seed)
    base = set(map(id, classifier.modules()))
    before = classifier.embed(states, mask).detach()
    try:
        attached = attach_peft(classifier, setting, seed)
        return _fault(attached, base, before, states, mask)
    # Which errors peft and the model raise is not documented, and each of them means the same.
    except Exception as error:
        return f"peft or the model refuses it: {first_line(error)}"


def _own_loop(config: PeftConfig) -> str | None:
    """Return why the study's training loop is not the method's."""
    kind = str(config.to_dict()["peft_type"].value)
    if kind == "ADALORA" or getattr(config, "use_asa", False):
        return "it allots ranks after every step (update_and_allocate), which the study's training loop does not do"
    if kind in ("SHADOW", "CPT") or getattr(config, "kasa_config", None) is not None:
        return "it adds a loss of its own, which the study's training loop does not have"
    if kind in ("POLY", "MULTITASK_PROMPT_TUNING"):
        return "it needs the number of a task with every text, and the study trains one task at a time"
    if kind == "XLORA":
        return "it mixes adapters that were trained before, and the study starts from none"
    return None


def _fault(attached: PeftAttached, base: set[int], before: Tensor, states: Tensor, mask: Tensor) -> str | None:
    """Return what is wrong with a method that could be attached, once what it trains is moved a little."""
    encoder = attached.model.encoder
    learning = {name: each for name, each in encoder.named_parameters() if each.requires_grad}
    if not learning:
        return "nothing of the encoder learns"
    _move(learning.values())
    after = attached.model.embed(states, mask)
    with _training(encoder, base):
        drawn = [attached.model.embed(states, mask) for _ in range(2)]
    if not all(bool(each.isfinite().all()) for each in (after, *drawn)):
        return "its outputs are not finite"
    if any(not torch.allclose(after, each, atol=1e-4) for each in drawn):
        return "it draws at random while it trains, such as dropout, and the study's encoder draws nothing"
    if torch.equal(before, after):
        return "what it trains does not change the encoder's output"
    (after * torch.randn(after.shape, generator=generator(0, "adapter"))).sum().backward()
    if not any(each.grad is not None and bool(each.grad.any()) for each in learning.values()):
        return "no gradient reaches what it trains"
    return None


@torch.no_grad()
def _move(parameters: Any) -> None:
    """Add noise to parameters, since many methods start where they change nothing."""
    draws = generator(0, "adapter")
    for parameter in parameters:
        parameter.add_(_MOVED * torch.randn(parameter.shape, generator=draws))


@contextmanager
def _training(encoder: nn.Module, base: set[int]) -> Iterator[None]:
    """Set what peft has added to its training mode, where random draws differ."""
    added = [module for module in encoder.modules() if id(module) not in base]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for module in added:
            module.training = True
        yield
        for module in added:
            module.training = False
