"""BERT (Devlin et al., arXiv:1810.04805) with the module names of `transformers`, split into stages that can be cached.

`transformers` builds the same network, and the tests check that the two agree to the last digits. We have our own for
two reasons: importing `transformers` takes longer than many runs of the study, and a run must be able to start at the
first stage with trainable parameters.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from peft_atlas.errors import AtlasError
from peft_atlas.models.folder import check_weights, our_name, read_config, shards
from peft_atlas.rng import generator


@dataclass(frozen=True)
class BertShape:
    """Sizes of a BERT encoder, named as in ``config.json``."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12
    initializer_range: float = 0.02


def _table(rows: int, width: int) -> nn.Embedding:
    """Make a trainable table without values: initialising it on the meta device would import torch's compiler."""
    return nn.Embedding.from_pretrained(torch.empty(rows, width), freeze=False)


class _Embeddings(nn.Module):
    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.word_embeddings = _table(shape.vocab_size, shape.hidden_size)
        self.position_embeddings = _table(shape.max_position_embeddings, shape.hidden_size)
        self.token_type_embeddings = _table(shape.type_vocab_size, shape.hidden_size)
        self.LayerNorm = nn.LayerNorm(shape.hidden_size, eps=shape.layer_norm_eps)

    def forward(self, ids: Tensor) -> Tensor:
        positions = self.position_embeddings.weight[: ids.shape[1]]
        return self.LayerNorm(self.word_embeddings(ids) + self.token_type_embeddings.weight[0] + positions)


class _SelfAttention(nn.Module):
    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.num_attention_heads = shape.num_attention_heads
        width = shape.hidden_size
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        # Under autocast the products come in half precision; attention goes on in that of the hidden states, since
        # its backward pass in bfloat16 costs a processor more than all that its products save.
        query, key, value = (
            project(hidden).to(hidden.dtype).unflatten(-1, (self.num_attention_heads, -1)).transpose(1, 2)
            for project in (self.query, self.key, self.value)
        )
        with torch.autocast(hidden.device.type, enabled=False):
            read = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return read.transpose(1, 2).flatten(2)


class _Output(nn.Module):
    """A linear map back to the residual stream, then the sum and its normalisation."""

    def __init__(self, inputs: int, shape: BertShape) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, shape.hidden_size)
        self.LayerNorm = nn.LayerNorm(shape.hidden_size, eps=shape.layer_norm_eps)

    def forward(self, update: Tensor, residual: Tensor) -> Tensor:
        return self.LayerNorm(self.dense(update) + residual)


class _Attention(nn.Module):
    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.self = _SelfAttention(shape)
        self.output = _Output(shape.hidden_size, shape)

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        return self.output(self.self(hidden, mask), hidden)


class _Intermediate(nn.Module):
    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.dense = nn.Linear(shape.hidden_size, shape.intermediate_size)

    def forward(self, hidden: Tensor) -> Tensor:
        return F.gelu(self.dense(hidden))


class _Layer(nn.Module):
    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.attention = _Attention(shape)
        self.intermediate = _Intermediate(shape)
        self.output = _Output(shape.intermediate_size, shape)

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        hidden = self.attention(hidden, mask)
        return self.output(self.intermediate(hidden), hidden)


class _Stack(nn.Module):
    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.layer = nn.ModuleList(_Layer(shape) for _ in range(shape.num_hidden_layers))


class BertEncoder(nn.Module):
    """BERT without pooler and dropout. Its stages are the embeddings and then each layer.

    Attributes
    ----------
    shape : BertShape
        Its sizes.
    """

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.shape = shape
        self.embeddings = _Embeddings(shape)
        self.encoder = _Stack(shape)

    @property
    def width(self) -> int:
        """Width of the hidden states."""
        return self.shape.hidden_size

    def stages(self) -> list[nn.Module]:
        """List the stages in the order they run."""
        return [self.embeddings, *self.encoder.layer]

    def run(self, states: Tensor, mask: Tensor, start: int, stop: int) -> Tensor:
        """Run some of the stages and return the resulting states.

        Parameters
        ----------
        states
            Token ids, shape ``(batch, length)``, if ``start`` is 0; otherwise the hidden states after the first
            ``start`` stages, shape ``(batch, length, width)``.
        mask
            True for tokens, False for padding; shape ``(batch, length)``.
        start, stop
            Stages ``start`` to ``stop - 1`` are run.
        """
        # Without padding no mask is needed, and attention can use its faster kernel.
        attended = None if bool(mask.all()) else mask[:, None, None, :]
        if start == 0 < stop:
            states = self.embeddings(states)
        for layer in self.encoder.layer[max(start - 1, 0) : max(stop - 1, 0)]:
            states = layer(states, attended)
        return states


def read_shape(folder: Path) -> BertShape:
    """Read the sizes from a folder's ``config.json``.

    Raises
    ------
    AtlasError
        If it describes a BERT that this module does not build.
    """
    stated = read_config(folder)
    if stated["model_type"] != "bert":
        raise AtlasError(f"{folder}/config.json: model_type = {stated['model_type']!r}: allowed: bert")
    return BertShape(**{field.name: stated[field.name] for field in fields(BertShape) if field.name in stated})


def load_bert(folder: Path) -> BertEncoder:
    """Load a pretrained encoder, in float32, from a folder with ``config.json`` and safetensors.

    Names used by older checkpoints (prefix ``bert.``, ``gamma`` and ``beta``) are understood too.

    Raises
    ------
    AtlasError
        If the files lack a weight of the encoder, or one has another shape.
    """
    shape = read_shape(folder)
    check_weights(folder, read_config(folder))
    with torch.device("meta"):
        model = BertEncoder(shape)
    renamed = {our_name(name): tensor for name, tensor in load_weights(folder).items()}
    wanted = model.state_dict()
    model.load_state_dict({name: renamed[name].to(wanted[name].dtype) for name in wanted}, assign=True)
    return model


def load_weights(folder: Path) -> dict[str, Tensor]:
    """Return every weight of a folder, of one file or of several."""
    return {name: tensor for file in shards(folder) for name, tensor in load_file(folder / file).items()}


@torch.no_grad()
def random_bert(shape: BertShape, seed: int) -> BertEncoder:
    """Initialise an encoder as BERT does: normal weights, zero biases, normalisation with scale 1 and shift 0."""
    with torch.device("meta"):
        model = BertEncoder(shape)
    model.to_empty(device="cpu")
    draws = generator(seed, "base/encoder")
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            module.weight.fill_(1.0)
            module.bias.zero_()
        if isinstance(module, nn.Linear | nn.Embedding):
            module.weight.normal_(0.0, shape.initializer_range, generator=draws)
        if isinstance(module, nn.Linear):
            module.bias.zero_()
    return model
