"""A text classifier: a pretrained encoder, mean pooling over its tokens, and a linear head."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from peft_atlas.errors import AtlasError
from peft_atlas.methods.method import Sites
from peft_atlas.models.bert import load_bert
from peft_atlas.models.folder import check_weights, read_config
from peft_atlas.population import SeedDropout
from peft_atlas.rng import generator

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
        If the places to adapt are not known for its family, or its weights are not those of the encoder.
    """
    stated = read_config(folder)
    if stated["model_type"] == "bert":
        return load_bert(folder)
    check_weights(folder, stated)
    return HuggingFaceEncoder(load_with_transformers(folder, stated["model_type"]))


def load_with_transformers(folder: Path, family: str) -> nn.Module:
    """Return the encoder that `transformers` builds, in float32 and without the pooler, which no forward pass uses.

    Raises
    ------
    AtlasError
        If a weight of it is not in the files: `transformers` would draw it at random.
    """
    from transformers import AutoModel
    from transformers.utils import logging

    # Its table of weights left over, such as the pooler's, is of no use to who reads a job's log.
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    # Electra has none to leave out, and refuses to be asked.
    options = {} if family == "electra" else {"add_pooling_layer": False}
    model, found = AutoModel.from_pretrained(
        folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **options
    )
    lacking = sorted([*map(str, found["missing_keys"]), *map(str, found.get("mismatched_keys", ()))])
    if lacking:
        raise AtlasError(
            f"model {folder}: its weights lack {lacking[0]} and {len(lacking) - 1} more that transformers builds; "
            "allowed: weights that save_pretrained wrote"
        )
    return model


def parameter_count(module: nn.Module) -> int:
    """Count the parameters of a module, each tensor once."""
    return sum(parameter.numel() for parameter in module.parameters())
