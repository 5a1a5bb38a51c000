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
    """What the classifier asks of an encoder; see `peft_atlas.models.bert.BertEncoder`."""

    width: int

    def stages(self) -> list[nn.Module]:
        """Return the stages in the order in which they run."""

    def run(self, states: Tensor, mask: Tensor, start: int, stop: int) -> Tensor:
        """Return the states after the stages from ``start`` to before ``stop``."""


class HuggingFaceEncoder(nn.Module):
    """An encoder of `transformers` as a single stage, from token ids to hidden states."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.width = int(model.config.hidden_size)

    def stages(self) -> list[nn.Module]:
        """Return the one stage."""
        return [self.model]

    def run(self, states: Tensor, mask: Tensor, start: int, stop: int) -> Tensor:
        """Return the last hidden states of token ids, or the states themselves after the one stage."""
        if start == stop:
            return states
        return self.model(input_ids=states, attention_mask=mask.long()).last_hidden_state


class TextClassifier(nn.Module):
    """Logits from texts: encoder, mean over the tokens, linear head.

    Parameters
    ----------
    encoder
        The pretrained encoder; it is in evaluation mode always, so that no dropout of its own is drawn.
    classes
        Number of classes.
    seed
        Keys the head's initial weights, uniform in ``±1/sqrt(width)``; its biases start at 0.
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
        """Return the encoder as what the classifier asks of it."""
        return cast(Encoder, self.encoder)

    def train(self, mode: bool = True) -> TextClassifier:
        """Set the mode; of the encoder only an adapter's own dropout, which has keyed streams, ever trains."""
        super().train(mode)
        for module in self.encoder.modules():
            module.training = mode and isinstance(module, SeedDropout)
        return self

    def frozen_stages(self) -> int:
        """Return how many stages at the start have nothing that learns, so that their output can be kept."""
        for place, stage in enumerate(self.stream.stages()):
            if any(parameter.requires_grad for parameter in stage.parameters()):
                return place
        return len(self.stream.stages())

    def embed(self, states: Tensor, mask: Tensor, start: int = 0) -> Tensor:
        """Return embeddings, shape ``(batch, width)``: the mean of the last hidden states over the tokens.

        ``states`` are token ids, or hidden states after the first ``start`` stages.
        """
        hidden = self.stream.run(states, mask, start, len(self.stream.stages()))
        kept = mask[..., None].to(hidden.dtype)
        return (hidden * kept).sum(1) / kept.sum(1)

    def forward(self, states: Tensor, mask: Tensor, start: int = 0) -> Tensor:
        """Return logits, shape ``(batch, classes)``."""
        return self.head(self.embed(states, mask, start))


def encoder_sites(width: int) -> Sites:
    """Return where an encoder of BERT's families can be adapted; ``width`` is that of its hidden states."""
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
    """Return the pretrained encoder of a folder that `save_pretrained` wrote, or that a package holds.

    Raises
    ------
    AtlasError
        If its family is not one whose places are known, or its weights are not those of the encoder.
    """
    stated = read_config(folder)
    if stated["model_type"] == "bert":
        return load_bert(folder)
    check_weights(folder, stated)
    return HuggingFaceEncoder(_load_with_transformers(folder, stated["model_type"]))


def _load_with_transformers(folder: Path, family: str) -> nn.Module:
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
    """Return the parameters of a module, each tensor once."""
    return sum(parameter.numel() for parameter in module.parameters())
