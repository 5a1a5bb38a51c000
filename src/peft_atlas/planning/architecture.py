"""What a transformer consists of, as far as parameters and memory depend on it; imports neither torch nor pandas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Linear:
    """A weight matrix of a layer: its name in transformers, its widths, and how often the layer holds it.

    ``source`` names the tensor that it reads. Matrices that read the same tensor share one saved input.
    ``copies`` is the number of experts. ``stacked`` is True where all experts form one three-dimensional parameter,
    which peft does not adapt as a linear module.
    """

    name: str
    inputs: int
    outputs: int
    bias: bool = False
    source: str = "attention"
    copies: int = 1
    stacked: bool = False

    @property
    def weights(self) -> int:
        """Return the entries of the matrix, of all copies."""
        return self.inputs * self.outputs * self.copies

    @property
    def parameters(self) -> int:
        """Return the entries of the matrix and of its bias, of all copies."""
        return self.weights + self.bias_parameters

    @property
    def bias_parameters(self) -> int:
        """Return the entries of the bias, of all copies."""
        return self.outputs * self.copies if self.bias else 0


@dataclass(frozen=True)
class Norm:
    """A normalisation: ``kind`` is rms, gemma (RMSNorm in fp32 with weight 1 + w) or layer (LayerNorm with bias).

    ``rows`` is how many vectors of ``width`` it normalises in each token: the heads, for a norm of queries or keys.
    ``shares_input`` is True where another norm has already saved the same input (parallel residual branches).
    """

    kind: str
    width: int
    rows: int = 1
    shares_input: bool = False

    @property
    def parameters(self) -> int:
        """Return weight and, for LayerNorm, bias."""
        return self.width * (2 if self.kind == "layer" else 1)


@dataclass(frozen=True)
class Attention:
    """One attention of a layer: heads, heads of keys and values, and their size.

    ``fused`` is True where one matrix makes queries, keys and values; ``rotary`` where queries and keys are rotated,
    which makes new tensors of them; ``softcap`` where the scores pass through tanh; ``upcast`` where the eager kernel
    takes the softmax in fp32.
    """

    heads: int
    kv_heads: int
    head_size: int
    fused: bool = False
    rotary: bool = True
    softcap: bool = False
    upcast: bool = True

    @property
    def width(self) -> int:
        """Return the width of queries and of the output."""
        return self.heads * self.head_size

    @property
    def kv_width(self) -> int:
        """Return the width of keys and of values."""
        return self.kv_heads * self.head_size


@dataclass(frozen=True)
class FeedForward:
    """The feed-forward part: inner width, gated or plain, activation, and the experts that each token passes."""

    width: int
    gated: bool
    activation: str
    experts_per_token: int = 0


@dataclass(frozen=True)
class Block:
    """So many equal layers: of a decoder, an encoder, or the decoder of an encoder-decoder with cross-attention.

    ``shared_input`` is True where attention and feed-forward read the output of one norm (Phi, Falcon-7B).
    ``dropouts`` counts the dropouts of a layer on the residual stream that are not zero.
    ``extra_parameters`` are those of a layer outside matrices and norms.
    """

    name: str
    layers: int
    hidden: int
    linears: tuple[Linear, ...]
    norms: tuple[Norm, ...]
    attentions: tuple[Attention, ...]
    feed_forward: FeedForward
    shared_input: bool = False
    dropouts: int = 0
    extra_parameters: int = 0

    @property
    def parameters(self) -> int:
        """Return the parameters of all layers."""
        linears = sum(linear.parameters for linear in self.linears)
        return self.layers * (linears + sum(norm.parameters for norm in self.norms) + self.extra_parameters)


@dataclass(frozen=True)
class Architecture:
    """A model: embeddings, blocks of layers, norms outside them, and a head.

    ``embedding_parameters`` are all that the input passes before the first layer. ``head`` is the output matrix, None
    where the model ends without one; ``tied`` is True where it is the matrix of the token embeddings. ``task`` is
    causal (the loss is over every token, logits in fp32), seq2seq (over every token, in the compute type) or labels
    (one prediction per sequence). ``tokens`` is the fixed length of a vision model's sequence, None where it is free.
    """

    name: str
    model_type: str
    hidden: int
    vocabulary: int
    blocks: tuple[Block, ...]
    embedding_parameters: int
    outer_norms: tuple[Norm, ...]
    head: Linear | None
    tied: bool
    task: str
    extra_parameters: int = 0
    tokens: int | None = None
    softcap: bool = False
    max_positions: int | None = None

    @property
    def head_parameters(self) -> int:
        """Return the parameters of the head that are not also those of the embeddings."""
        if self.head is None:
            return 0
        return self.head.bias_parameters if self.tied else self.head.parameters

    @property
    def body_parameters(self) -> int:
        """Return all parameters but those of the head."""
        outer = sum(norm.parameters for norm in self.outer_norms) + self.extra_parameters
        return self.embedding_parameters + outer + sum(block.parameters for block in self.blocks)

    @property
    def parameters(self) -> int:
        """Return all parameters; a tied matrix counts once."""
        return self.body_parameters + self.head_parameters

    @property
    def layers(self) -> int:
        """Return the layers of all blocks."""
        return sum(block.layers for block in self.blocks)

    def linears(self) -> Iterator[tuple[Block, Linear]]:
        """Yield each kind of matrix of a layer with its block."""
        for block in self.blocks:
            for linear in block.linears:
                yield block, linear
