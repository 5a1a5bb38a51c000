"""Shapes of LLaMA-7B, LLaMA-13B and bert-base-uncased, and their parameter counts in closed form."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class LinearShape:
    """A linear module of a layer: its name in transformers and its input and output widths."""

    name: str
    inputs: int
    outputs: int

    @property
    def widths(self) -> tuple[int, int]:
        """Input and output width, as `lora_params` takes them."""
        return self.inputs, self.outputs

    @property
    def weights(self) -> int:
        """Number of entries of the weight matrix."""
        return self.inputs * self.outputs


@dataclass(frozen=True)
class DecoderGeometry:
    """A LLaMA decoder (arXiv:2302.13971): gated feed-forward, RMSNorm, no biases, untied embeddings."""

    name: str
    layers: int
    hidden: int
    intermediate: int
    heads: int
    vocabulary: int = 32_000

    def linears(self) -> tuple[LinearShape, ...]:
        """List the seven linear modules of a layer."""
        width, inner = self.hidden, self.intermediate
        attention = tuple(LinearShape(name, width, width) for name in ("q_proj", "k_proj", "v_proj", "o_proj"))
        gated = tuple(LinearShape(name, width, inner) for name in ("gate_proj", "up_proj"))
        return (*attention, *gated, LinearShape("down_proj", inner, width))

    def shapes(self, modules: Collection[str]) -> tuple[LinearShape, ...]:
        """List the named linear modules of all layers, so each of them ``layers`` times."""
        return self.layers * _named(self.linears(), modules)

    def total_params(self) -> int:
        """Count all parameters: two embeddings, the layers with two norms each, and the final norm."""
        layer = sum(shape.weights for shape in self.linears()) + 2 * self.hidden
        return 2 * self.vocabulary * self.hidden + self.layers * layer + self.hidden


@dataclass(frozen=True)
class EncoderGeometry:
    """A BERT encoder (arXiv:1810.04805) with pooler; every linear module and norm has a bias."""

    name: str
    layers: int
    hidden: int
    intermediate: int
    heads: int
    vocabulary: int
    positions: int = 512
    segments: int = 2

    def linears(self) -> tuple[LinearShape, ...]:
        """List the six linear modules of a layer."""
        width, inner = self.hidden, self.intermediate
        attention = tuple(
            LinearShape(name, width, width) for name in ("query", "key", "value", "attention.output.dense")
        )
        return (
            *attention,
            LinearShape("intermediate.dense", width, inner),
            LinearShape("output.dense", inner, width),
        )

    def shapes(self, modules: Collection[str]) -> tuple[LinearShape, ...]:
        """List the named linear modules of all layers, so each of them ``layers`` times."""
        return self.layers * _named(self.linears(), modules)

    def head_params(self, labels: int) -> int:
        """Count the parameters of a classification head: a linear module with bias on the pooled output."""
        return (self.hidden + 1) * labels

    def total_params(self, labels: int) -> int:
        """Count all parameters, including a classification head with this number of labels."""
        norm = 2 * self.hidden
        embeddings = (self.vocabulary + self.positions + self.segments) * self.hidden + norm
        layer = sum(shape.weights + shape.outputs for shape in self.linears()) + 2 * norm
        pooler = (self.hidden + 1) * self.hidden
        return embeddings + self.layers * layer + pooler + self.head_params(labels)


def _named(linears: tuple[LinearShape, ...], modules: Collection[str]) -> tuple[LinearShape, ...]:
    """Select linear modules by name; an unknown name is an error."""
    unknown = set(modules) - {shape.name for shape in linears}
    if unknown:
        raise ValueError(f"modules {sorted(unknown)}: allowed: {[shape.name for shape in linears]}")
    return tuple(shape for shape in linears if shape.name in modules)


LLAMA_7B = DecoderGeometry("LLaMA-7B", layers=32, hidden=4096, intermediate=11008, heads=32)
LLAMA_13B = DecoderGeometry("LLaMA-13B", layers=40, hidden=5120, intermediate=13824, heads=40)
BERT_BASE = EncoderGeometry("bert-base-uncased", layers=12, hidden=768, intermediate=3072, heads=12, vocabulary=30_522)
DECODERS = (LLAMA_7B, LLAMA_13B)
