"""A text classifier: a pretrained encoder, mean pooling over its tokens, and a linear head."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from peft_atlas.errors import AtlasError
from peft_atlas.methods.method import Sites
from peft_atlas.models.bert import load_bert
from peft_atlas.population import SeedDropout
from peft_atlas.rng import generator

# Families that name their modules as BERT does, so that the same sites apply.
FAMILIES = ("bert", "camembert", "electra", "roberta", "xlm-roberta")
HEAD = ("head",)


class Encoder(Protocol):
    """What the classifier needs from an encoder; see `peft_atlas.models.bert.BertEncoder`."""

    width: int

    def stages(self) -> list[nn.Module]:
        """List the stages in the order they run."""

    def run(self, states: Tensor, mask: Tensor, start: int, stop: int) -> Tensor:
        """Run stages ``start`` to ``stop - 1`` and return the resulting states."""


class HuggingFaceEncoder(nn.Module):
    """An encoder from `transformers` as a single stage, from token ids to hidden states."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.width = int(model.config.hidden_size)

    def stages(self) -> list[nn.Module]:
        """List the only stage."""
        return [self.model]

    def run(self, states: Tensor, mask: Tensor, start: int, stop: int) -> Tensor:
        """Compute the last hidden states from token ids, or pass states through if the stage has already run."""
        if start == stop:
            return states
        return self.model(input_ids=states, attention_mask=mask.long()).last_hidden_state


class TextClassifier(nn.Module):
    """Logits from texts: encoder, mean over the tokens, linear head.

    Parameters
    ----------
    encoder
        The pretrained encoder. It is always in evaluation mode, so that its own dropout is off.
    classes
        Number of classes.
    seed
        Seeds the head's initial weights, uniform in ``±1/sqrt(width)``; its biases start at 0.
    """

    def __init__(self, encoder: nn.Module, classes: int, seed: int) -> None:
        super().__init__()
        self.encoder = encoder.eval()
        self.head = nn.utils.skip_init(nn.Linear, self.stream.width, classes)
        with torch.no_grad():
            bound = self.stream.width**-0.5
            self.head.weight.uniform_(-bound, bound, generator=generator(seed, "head"))
            self.head.bias.zero_()

    @property
    def stream(self) -> Encoder:
        """The encoder, typed as the interface that the classifier uses."""
        return cast(Encoder, self.encoder)

    def train(self, mode: bool = True) -> TextClassifier:
        """Set the mode; inside the encoder only the adapters' dropout, which has seeded streams, ever trains."""
        super().train(mode)
        for module in self.encoder.modules():
            module.training = mode and isinstance(module, SeedDropout)
        return self

    def frozen_stages(self) -> int:
        """Count the leading stages without trainable parameters, whose output can be cached."""
        for place, stage in enumerate(self.stream.stages()):
            if any(parameter.requires_grad for parameter in stage.parameters()):
                return place
        return len(self.stream.stages())

    def embed(self, states: Tensor, mask: Tensor, start: int = 0) -> Tensor:
        """Average the last hidden states over the tokens, giving embeddings of shape ``(batch, width)``.

        ``states`` are token ids, or hidden states after the first ``start`` stages.
        """
        hidden = self.stream.run(states, mask, start, len(self.stream.stages()))
        kept = mask[..., None].to(hidden.dtype)
        return (hidden * kept).sum(1) / kept.sum(1)

    def forward(self, states: Tensor, mask: Tensor, start: int = 0) -> Tensor:
        """Compute logits, shape ``(batch, classes)``."""
        return self.head(self.embed(states, mask, start))


def encoder_sites(width: int) -> Sites:
    """Name the places where a BERT-like encoder can be adapted; ``width`` is that of its hidden states."""
    query, key, value = "query", "key", "value"
    outputs = ("attention.output.dense", "layer.*.output.dense")
    return Sites(
        linear=(query, key, value, *outputs, "intermediate.dense"),
        query_value=(query, value),
        attention=(query, key, value),
        rescaled=(key, value),
        feedforward=("layer.*.output.dense",),
        outputs=outputs,
        attention_modules=("attention.self",),
        blocks=("layer.*",),
        width=width,
    )


def load_encoder(folder: Path) -> nn.Module:
    """Load a pretrained encoder from a folder written by `save_pretrained` or shipped in a package.

    It is in float32, whatever the precision that it was saved in.

    Raises
    ------
    AtlasError
        If the places to adapt are not known for its family.
    """
    family = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    if family not in FAMILIES:
        raise AtlasError(f"model {folder}: model_type = {family!r}: allowed: {', '.join(FAMILIES)}")
    if family == "bert":
        return load_bert(folder)
    from transformers import AutoModel

    return HuggingFaceEncoder(AutoModel.from_pretrained(folder, dtype=torch.float32, use_safetensors=True))


def parameter_count(module: nn.Module) -> int:
    """Count the parameters of a module, each tensor once."""
    return sum(parameter.numel() for parameter in module.parameters())
