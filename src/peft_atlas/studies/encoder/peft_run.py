"""The same run by `peft`, on `transformers`' own BERT: same weights, same start, same batches, same optimiser."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors.torch import save
from torch import Tensor, nn

from peft_atlas.files import temporary_folder
from peft_atlas.methods.attach import Attached, attach
from peft_atlas.methods.storage import save_adapter
from peft_atlas.models.bert import load_bert
from peft_atlas.models.encoder import HEAD, HuggingFaceEncoder, TextClassifier, load_with_transformers, parameter_count

_ENCODER = "encoder."
# Bytes of an adapter's folder apart from its weights, at most.
_SETTINGS = 1_000_000


class PeftAttached:
    """A classifier that peft adapted, as a run asks for it."""

    def __init__(self, model: TextClassifier) -> None:
        self.model = model

    def trainable(self) -> dict[str, nn.Parameter]:
        """Return every parameter that learns, by name."""
        return {name: parameter for name, parameter in self.model.named_parameters() if parameter.requires_grad}

    def rate_factors(self) -> dict[str, float]:
        """Return 1 for every parameter."""
        return dict.fromkeys(self.trainable(), 1.0)

    def head_params(self) -> int:
        """Return the parameters of the head, all of which learn."""
        return parameter_count(self.model.head)

    def adapter_params(self) -> int:
        """Return all other parameters that learn."""
        return sum(each.numel() for each in self.model.encoder.parameters() if each.requires_grad)

    def adapter_bytes(self) -> int:
        """Return the bytes of the tensors that `peft` saves, as a file."""
        saved = get_peft_model_state_dict(cast(HuggingFaceEncoder, self.model.encoder).model)
        return len(save({name: tensor.detach().cpu().contiguous().clone() for name, tensor in saved.items()}))

    def state(self) -> dict[str, Tensor]:
        """Return a copy of every parameter that learns, by name."""
        return {name: parameter.detach().clone() for name, parameter in self.trainable().items()}

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Set every parameter that learns."""
        for name, parameter in self.trainable().items():
            parameter.copy_(state[name])


def through_peft(attached: Attached, folder: Path, classes: int, seed: int) -> PeftAttached:
    """Return the classifier that peft makes of a saved copy of our adapter, on `transformers`' encoder.

    Parameters
    ----------
    attached
        Our classifier on the packaged BERT, its adapter at its starting values.
    folder
        The pretrained model.
    classes, seed
        As of our classifier.
    """
    bare = attach(load_bert(folder), attached.method, attached.members)
    state = _without_prefix(attached.state(head=False))
    bare.load(state)
    needed = _SETTINGS + sum(tensor.nbytes for tensor in state.values())
    with temporary_folder(needed) as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_adapter(bare, place, str(folder), task_type="FEATURE_EXTRACTION")
        # peft refuses to load a prefix as one that trains, so that it is set to train afterwards.
        prefix = attached.method.peft_type == "PREFIX_TUNING"
        adapted = PeftModel.from_pretrained(load_with_transformers(folder, "bert"), str(place), is_trainable=not prefix)
    if prefix:
        adapted.prompt_encoder.requires_grad_(True)
        _shift_positions(adapted.get_base_model(), attached.method.peft_settings()["num_virtual_tokens"])
    model = TextClassifier(HuggingFaceEncoder(adapted), classes, seed)
    return PeftAttached(model)


def _shift_positions(model: Any, tokens: int) -> None:
    """Move the position embeddings up: peft gives the prefix the first places and takes no other positions."""
    weight = model.embeddings.position_embeddings.weight
    weight.data = weight.data.roll(tokens, 0)


def _without_prefix(state: Mapping[str, Any]) -> dict[str, Tensor]:
    return {name.removeprefix(_ENCODER): tensor for name, tensor in state.items()}


def adapter_gradients(attached: Attached) -> dict[str, Tensor]:
    """Return the gradients of our adapter under peft's names and shapes."""
    gradients = {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        for name, parameter in attached.trainable().items()
        if not name.startswith(HEAD[0])
    }
    return attached.method.to_peft(_without_prefix(gradients))


def peft_gradients(attached: PeftAttached) -> dict[str, Tensor]:
    """Return the gradients of peft's adapter under the names under which it saves them."""
    found = {}
    for name, parameter in attached.model.encoder.named_parameters():
        if parameter.requires_grad:
            saved = _saved_name(name.removeprefix("model."))
            found[saved] = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    return found


def _saved_name(name: str) -> str:
    """Return the name under which peft saves a parameter."""
    if name.startswith("prompt_encoder."):
        return "prompt_embeddings"
    return name.replace(".default", "").replace("lora_magnitude_vector.weight", "lora_magnitude_vector")
