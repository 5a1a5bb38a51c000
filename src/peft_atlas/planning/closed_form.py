"""Bytes that one training step takes on a GPU, part by part, in plain arithmetic.

A step has a few moments at which memory can peak. At each, the same parts are alive in different amounts; the peak is
the largest sum. docs/memory.md derives every term and works one example by hand. Nothing here was fitted to measured
peaks, but for the rules of `peft_atlas.planning.stacks` that say so.

Symbols: h hidden width, I inner width, V vocabulary, L layers, T tokens of a micro-batch (batch x sequence),
S sequence, c bytes of the compute type, a bytes of the adapter's type, w bytes of a weight.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from peft_atlas.planning.architecture import Architecture, Attention, Block, FeedForward, Linear, Norm
from peft_atlas.planning.counts import Attachment, Counts
from peft_atlas.planning.methods import bases, oft_block
from peft_atlas.planning.settings import Settings
from peft_atlas.planning.stacks import Rules

# nf4: 4 bits and one fp32 scale for 64 weights; doubly quantised scales: 8 bits and one fp32 for 256; arXiv:2305.14314
QUANTIZED_BYTES = {"int8": 1.0, "nf4": 0.5 + 4 / 64, "nf4-dq": 0.5 + 1 / 64 + 4 / (64 * 256)}


@dataclass(frozen=True)
class Parts:
    """Bytes alive at one moment.

    Attributes
    ----------
    frozen_weights
        Weights that are not trained, quantised or not; for full fine-tuning the weights that are.
    adapter
        Weights of the adapter and of a trained head.
    gradients, optimizer
        Gradients of what is trained, and the optimiser's moments.
    activations
        What the layers keep for the backward pass, without what the adapter adds.
    adapter_inputs
        What the adapter makes the layers keep: copies of its inputs in its own type, and its inner results.
    logits
        Logits, their copies in fp32, and the gradients of both.
    working
        Tensors that live for a moment: a recomputed layer, gradients of activations, a step's temporary.
    """

    frozen_weights: int = 0
    adapter: int = 0
    gradients: int = 0
    optimizer: int = 0
    activations: int = 0
    adapter_inputs: int = 0
    logits: int = 0
    working: int = 0

    @property
    def total(self) -> int:
        """Return the sum."""
        return sum(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True)
class Step:
    """One training step to be measured: model as its program lays it out, method, counts, settings, program's rules."""

    architecture: Architecture
    attachment: Attachment
    counts: Counts
    settings: Settings
    rules: Rules

    @property
    def trains_all(self) -> bool:
        """Return whether all weights are trained."""
        return self.attachment.method.acts_on == "everything"

    @property
    def trains_norms(self) -> bool:
        """Return whether the norms' weights are trained."""
        return self.trains_all or self.attachment.method.acts_on == "norms"

    @property
    def sequence(self) -> int:
        """Return the tokens of a sequence; prompts and P-tuning put theirs in front of it."""
        tokens = self.architecture.tokens or self.settings.sequence
        return tokens + (self.attachment.rank if self.attachment.method.name in ("prompt", "p-tuning") else 0)

    @property
    def tokens(self) -> int:
        """Return T: the tokens of a micro-batch."""
        return self.settings.micro_batch * self.sequence

    @property
    def trained_bytes(self) -> int:
        """Return the bytes of a trained parameter."""
        inner = self.attachment.method.acts_on in ("everything", "norms", "biases")
        return self.settings.weight_bytes if inner else self.settings.adapter_bytes


def norm_bytes(norm: Norm, step: Step) -> int:
    """Return bytes per token that a norm keeps.

    RMSNorm: its input in fp32, 4 w, and a reciprocal root for each row; trained, the normalised input too, in the
    residual's type (Gemma: in fp32). LayerNorm: its input (under autocast in fp32), mean and reciprocal deviation;
    nothing more when trained. transformers, modeling_llama.py and modeling_gemma.py; torch, native_layer_norm.
    """
    width = norm.width * norm.rows
    if norm.kind == "layer":
        size = 4 if step.settings.casts else step.settings.residual_bytes
        return 8 * norm.rows + (0 if norm.shares_input else size * width)
    kept = 4 * width + 4 * norm.rows
    if not step.trains_norms:
        return kept
    return kept + (4 if norm.kind == "gemma" else step.settings.residual_bytes) * width


def attention_bytes(attention: Attention, step: Step) -> int:
    """Return bytes per token that an attention keeps: queries, keys, values, output, and what its softmax needs.

    Memory-efficient kernels keep one fp32 number a head (arXiv:2205.14135); the eager kernel keeps the S x S
    probabilities and makes copies of keys and values. Other kernels repeat keys and values for the heads that share
    them, unless one pair serves all, and a value that is a view of a fused result keeps all of that result alive.
    """
    c, heads = step.settings.compute_bytes, attention.heads
    eager = step.settings.kernel == "eager"
    shared = attention.kv_heads != heads and (eager or attention.kv_heads > 1)
    repeated = attention.width if shared else attention.kv_width
    whole = attention.width + 2 * attention.kv_width
    if attention.fused and not attention.rotary:
        kept = whole
    elif attention.fused and not shared and not eager:
        kept = attention.width + repeated + whole
    else:
        kept = attention.width + 2 * repeated
    if not eager:
        return c * (kept + attention.width) + 4 * heads
    scores = c + (4 if attention.upcast and c == 2 else 0) + (c if attention.softcap else 0)
    return c * kept + heads * step.sequence * scores + (c * attention.width if step.trains_all else 0)


def feed_forward_bytes(feed: FeedForward, hidden: int, step: Step) -> int:
    """Return bytes per token that a feed-forward part keeps, its last matrix' input included where that is trained.

    Gated: gate, its activation and up. Plain: the input of GELU or the output of ReLU; GELU written in Python
    (``gelu_new``) keeps four. A mixture keeps the same for each expert that a token passes, and the experts' outputs.
    """
    c, inner = step.settings.compute_bytes, feed.width
    kept = 4 if feed.activation in ("gelu_new", "gelu_fast") and step.rules.python_gelu else 1
    vectors = kept + 2 if feed.gated else kept
    product = step.trains_all and not (feed.activation == "relu" and not feed.gated)
    chosen = max(feed.experts_per_token, 1)
    total = c * inner * (vectors + product) * chosen
    if feed.experts_per_token:
        total += c * hidden * chosen * (2 if step.trains_all else 1)
    return total + (c * inner if step.rules.keeps_product and not step.trains_all else 0)


def input_bytes(block: Block, step: Step) -> int:
    """Return bytes per token of the inputs of trained matrices that nothing else keeps: one for each norm's output."""
    if not step.trains_all:
        return 0
    readers = {linear.source for linear in block.linears if not linear.stacked}
    shared = {"attention output", "feed-forward product", "router"}
    outputs = sum(1 for source in readers if source not in shared and not source.endswith(" output"))
    count = 1 if block.shared_input else max(outputs, 2 if block.feed_forward.experts_per_token else 0)
    return step.settings.compute_bytes * block.hidden * count


def layer_bytes(block: Block, step: Step) -> int:
    """Return bytes per token that one layer keeps, without what the adapter adds."""
    norms = sum(norm_bytes(norm, step) for norm in block.norms)
    attended = sum(attention_bytes(attention, step) for attention in block.attentions)
    fed = feed_forward_bytes(block.feed_forward, block.hidden, step)
    # A dropout keeps its mask: one byte per entry on a GPU.
    kept = norms + attended + fed + input_bytes(block, step) + block.dropouts * block.hidden
    return kept + step.settings.compute_bytes * _quantized_inputs(block, step)


def _quantized_inputs(block: Block, step: Step) -> int:
    """Return entries a token of inputs that quantised matrices of one layer keep, by the program's rules."""
    if step.settings.quantization == "none" or not step.rules.keeps_quantized_inputs:
        return 0
    if step.rules.copies_quantized_inputs:
        return sum(linear.inputs for linear in block.linears)
    sources = {linear.source: linear.inputs for linear in block.linears if linear.source != "attention output"}
    return sum(sources.values())


def adapter_bytes(linears: list[Linear], step: Step) -> int:
    """Return bytes per token that the adapters of one layer keep.

    An adapter in fp32 over a bf16 model copies its input to fp32: a bytes per entry, once for every matrix. Under
    autocast it keeps a bf16 copy instead. In the model's own type, matrices that read the same tensor keep it once,
    and that of the attention's output is kept already. peft, tuners/lora/layer.py: ``_cast_input_dtype``.
    """
    footprint = step.attachment.method.footprint
    size = step.settings.compute_bytes if step.settings.casts else step.settings.adapter_bytes
    total = sum(footprint.rank * size * step.attachment.rank + _result_bytes(linear, step) for linear in linears)
    if footprint.base_inputs:
        sources = {linear.source: linear.inputs for linear in linears if linear.source != "attention output"}
        total += step.settings.compute_bytes * sum(sources.values())
    return total + (footprint.inputs * _adapter_input_bytes(linears, step) if footprint.inputs else 0)


def _result_bytes(linear: Linear, step: Step) -> int:
    """Return bytes per token of results as wide as a matrix' output that its adapter keeps; (IA)3 may keep inputs."""
    c, a, kept = step.settings.compute_bytes, step.settings.adapter_bytes, step.attachment.method.footprint
    if step.attachment.method.name == "ia3" and linear.source == "feed-forward product":
        return max(a, c) * linear.inputs
    return (kept.outputs * a + kept.base_outputs * c) * linear.outputs + kept.narrow * a * _narrow(linear, step)


def _narrow(linear: Linear, step: Step) -> int:
    """Return the shorter side of a matrix, rounded up to a whole number of bases."""
    return bases(linear, step.attachment.rank) * step.attachment.rank


def _adapter_input_bytes(linears: list[Linear], step: Step) -> int:
    """Return bytes per token of the adapters' inputs, with the masks of their dropouts."""
    settings = step.settings
    size = settings.compute_bytes if settings.casts else settings.adapter_bytes
    if settings.dropout > 0:
        read = _once_where_fused(linears, step)
        return sum((size + 1) * linear.inputs for linear in read)
    if settings.adapter_bytes != settings.compute_bytes or settings.casts:
        return sum(size * linear.inputs for linear in linears)
    sources = {linear.source: linear.inputs for linear in linears if linear.source != "attention output"}
    return size * sum(sources.values())


def _once_where_fused(linears: list[Linear], step: Step) -> list[Linear]:
    """Return the matrices that read an input of their own; one that makes queries, keys and values reads it once."""
    if not step.rules.fuses:
        return linears
    first = next((linear for linear in linears if linear.source == "attention"), None)
    return [linear for linear in linears if linear.source != "attention" or linear is first]


def delta_bytes(linears: list[Linear], step: Step) -> int:
    """Return bytes, whatever the batch, of matrices that the adapters of one layer make again in each pass and keep."""
    kept, a = step.attachment.method.footprint, step.settings.adapter_bytes
    size = kept.delta * a + kept.base_delta * step.settings.compute_bytes
    made = size * sum(linear.inputs * linear.outputs for linear in linears)
    made += kept.narrow * a * sum(_narrow(linear, step) ** 2 for linear in linears)
    if not kept.blocks:
        return made
    rank = step.attachment.rank
    return made + kept.blocks * a * sum(linear.inputs * oft_block(linear, rank) for linear in linears)


def prefix_bytes(block: Block, step: Step) -> int:
    """Return bytes of a layer's virtual keys and values: in the adapter's type, cached, and repeated for the heads."""
    if step.attachment.method.name != "prefix":
        return 0
    attention = block.attentions[0]
    c, a = step.settings.compute_bytes, step.settings.adapter_bytes
    entries = 2 * attention.width * c + 2 * attention.kv_width * (a + c)
    return step.settings.micro_batch * step.attachment.rank * entries
