"""The moments of a training step at which memory can peak, and the bytes alive at each."""

from __future__ import annotations

from dataclasses import dataclass, replace

from peft_atlas.planning.architecture import Block, Linear
from peft_atlas.planning.closed_form import (
    QUANTIZED_BYTES,
    Parts,
    Step,
    adapter_bytes,
    delta_bytes,
    layer_bytes,
    norm_bytes,
    prefix_bytes,
)

LOSS = "the loss's backward pass begins"
LAYER = "a layer's backward pass"
GRADIENTS = "all gradients are there"
UPDATE = "the optimiser's step"
# Bytes of a moment of 8 bits, with one fp32 scale for 256 entries; arXiv:2110.02861.
_EIGHT_BITS = 1 + 4 / 256


@dataclass(frozen=True)
class Moment:
    """A moment of the step and the bytes alive at it."""

    name: str
    parts: Parts


def peak(step: Step) -> Moment:
    """Return the moment at which most is alive."""
    return max(moments(step), key=lambda moment: moment.parts.total)


def moments(step: Step) -> tuple[Moment, ...]:
    """Return all moments of a step: the first step's successors, when the optimiser's moments exist."""
    still = replace(
        Parts(), frozen_weights=frozen_bytes(step), adapter=adapter_weight_bytes(step), optimizer=optimizer_bytes(step)
    )
    held = gradient_bytes(step) if step.settings.accumulation > 1 else 0
    saved, added = saved_bytes(step)
    loss = replace(still, gradients=held, activations=saved, adapter_inputs=added, logits=logit_bytes(step),
                   working=_restored_head_bytes(step) + cast_bytes(step))  # fmt: skip
    grown = replace(still, gradients=0 if step.settings.fused_step else gradient_bytes(step))
    return (
        Moment(LOSS, loss),
        *_layer_moments(step, still, held, saved, added),
        Moment(GRADIENTS, replace(grown, logits=_held_logits(step), working=_embedding_gradient(step))),
        Moment(UPDATE, replace(grown, logits=_held_logits(step), working=_update_bytes(step))),
    )


def frozen_bytes(step: Step) -> int:
    """Return bytes of the base model's weights, and of frozen factors that the method adds.

    Quantised are the matrices of the layers; embeddings, norms and head stay in the weights' type.
    """
    architecture, settings = step.architecture, step.settings
    matrices = _matrix_weights(step)
    if step.rules.quantizes_head and architecture.head is not None and not architecture.tied:
        matrices += architecture.head.weights
    rest = (architecture.parameters - matrices) * settings.weight_bytes
    stored = step.counts.stored * settings.adapter_bytes
    if settings.quantization == "none":
        return rest + matrices * settings.weight_bytes + stored
    return rest + round(matrices * QUANTIZED_BYTES[settings.quantization]) + stored


def _matrix_weights(step: Step) -> int:
    """Return the entries of all matrices of the layers."""
    return sum(block.layers * linear.weights for block, linear in step.architecture.linears())


def adapter_weight_bytes(step: Step) -> int:
    """Return bytes of the weights that the method adds."""
    if step.attachment.method.acts_on not in ("linear", "tokens"):
        return 0
    return step.counts.added * step.settings.adapter_bytes


def cast_bytes(step: Step) -> int:
    """Return bytes of the bf16 copies that autocast makes of fp32 matrices and that the backward pass needs."""
    base = _matrix_weights(step) if step.settings.precision == "bf16-mixed" else 0
    fp32 = step.settings.casts and step.settings.adapter_bytes == 4 and not step.trains_all
    return 2 * (base + (step.counts.added if fp32 else 0))


def gradient_bytes(step: Step) -> int:
    """Return bytes of all gradients: one number of the parameter's type for each trained parameter."""
    return step.counts.trained * step.trained_bytes


def optimizer_bytes(step: Step) -> int:
    """Return bytes of the optimiser's moments on the GPU.

    AdamW (arXiv:1711.05101): two of the parameter's type. 8 bits: arXiv:2110.02861. Paged: in memory that CUDA
    moves to the host when it must, and which torch's allocator does not count. Adafactor (arXiv:1804.04235): one
    number per row and one per column.
    """
    trained, size = step.counts.trained, step.trained_bytes
    match step.settings.optimizer:
        case "adamw" | "adamw-fused":
            return 2 * trained * size
        case "adamw-8bit":
            return round(2 * trained * _EIGHT_BITS)
        case "sgd-momentum":
            return trained * size
        case "adafactor":
            return 4 * _rows_and_columns(step)
    return 0


def _rows_and_columns(step: Step) -> int:
    """Return rows and columns of all trained matrices."""
    if step.trains_all:
        pairs = step.architecture.linears()
        inner = sum(block.layers * linear.copies * (linear.inputs + linear.outputs) for block, linear in pairs)
        return inner + step.architecture.vocabulary + step.architecture.hidden
    rank = step.attachment.rank
    return sum(block.layers * (linear.inputs + linear.outputs + 2 * rank) for block, linear in step.attachment.linears)


def saved_bytes(step: Step) -> tuple[int, int]:
    """Return what is kept from the forward pass at its end: of the layers, and what the adapter adds to it."""
    outer = sum(norm_bytes(norm, step) for norm in step.architecture.outer_norms)
    last = step.settings.compute_bytes * step.architecture.hidden if step.trains_all else 0
    layers = added = 0
    for block in step.architecture.blocks:
        own, extra = _block_bytes(block, step)
        layers, added = layers + own, added + extra
    return layers + step.tokens * (outer + last), added + _outer_bytes(step)


def _block_bytes(block: Block, step: Step) -> tuple[int, int]:
    """Return what the layers of one block keep: with checkpointing only each one's input."""
    if step.settings.checkpointing:
        return block.layers * step.tokens * step.settings.residual_bytes * block.hidden, 0
    first = _first_norm(block, step)
    kept = block.layers * layer_bytes(block, step) - first
    return step.tokens * kept, block.layers * _added_bytes(block, step)


def _first_norm(block: Block, step: Step) -> int:
    """Return bytes per token that the first norm does not keep where nothing before it is trained."""
    untrained = step.attachment.method.acts_on == "linear" and block is step.architecture.blocks[0]
    return norm_bytes(block.norms[0], step) if untrained else 0


def _added_bytes(block: Block, step: Step) -> int:
    """Return what the adapter makes one layer keep."""
    linears = _adapted(block, step)
    return step.tokens * adapter_bytes(linears, step) + delta_bytes(linears, step) + prefix_bytes(block, step)


def _adapted(block: Block, step: Step) -> list[Linear]:
    return [linear for owner, linear in step.attachment.linears if owner is block]


def _outer_bytes(step: Step) -> int:
    """Return what adapters of the output matrix keep; those of the embeddings keep next to nothing."""
    linears = [linear for linear in step.attachment.outer if linear.source == "last hidden"]
    return step.tokens * adapter_bytes(linears, step) + delta_bytes(linears, step)


def logit_bytes(step: Step) -> int:
    """Return bytes of logits, of the loss's copies of them, and of their gradients, all alive at one moment.

    causal: V entries a token, see `peft_atlas.planning.stacks`. seq2seq: logits, log-probabilities and both
    gradients in the compute type. labels: one prediction per sequence, which counts as nothing.
    """
    c, words = step.settings.compute_bytes, step.architecture.vocabulary
    if step.architecture.task == "labels":
        return 0
    if step.architecture.task == "seq2seq":
        return 4 * c * words * step.tokens
    native, full = step.rules.logits if step.trains_all else step.rules.adapter_logits
    if step.settings.chunked_loss:
        native, full = step.rules.chunked_logits
    capped = 1 if step.architecture.softcap else 0
    return round(words * step.tokens * (c * (native + capped) + 4 * full))


def _layer_moments(step: Step, still: Parts, held: int, saved: int, added: int) -> tuple[Moment, ...]:
    """Return the last and the first layer's backward pass: most is kept at the one, most gradients at the other."""
    block = max(step.architecture.blocks, key=lambda one: layer_bytes(one, step))
    alive, extra = (0, 0)
    if step.settings.checkpointing:
        alive, extra = step.tokens * layer_bytes(block, step), _added_bytes(block, step)
    working = _backward_bytes(block, step) + alive + cast_bytes(step)
    at_last = replace(still, gradients=held, activations=saved, adapter_inputs=added + extra, logits=_held_logits(step),
                      working=working)  # fmt: skip
    grown = 0 if step.settings.fused_step else gradient_bytes(step)
    one = saved // max(step.architecture.layers, 1)
    at_first = replace(still, gradients=grown, activations=one, logits=_held_logits(step), working=working,
                       adapter_inputs=added // max(step.architecture.layers, 1) + extra)  # fmt: skip
    return Moment(LAYER, at_last), Moment(LAYER, at_first)


def _held_logits(step: Step) -> int:
    """Return bytes of the logits, which the model's output holds until the step is over."""
    if step.architecture.task == "labels" or step.settings.chunked_loss:
        return 0
    return step.settings.compute_bytes * step.architecture.vocabulary * step.tokens


def _backward_bytes(block: Block, step: Step) -> int:
    """Return bytes of the gradients of activations alive at once: of the inner vectors of one layer, and two of h.

    A quantised matrix is dequantised for its product: the largest one is alive in the compute type.
    """
    c, feed = step.settings.compute_bytes, block.feed_forward
    vectors = (3 if feed.gated else 2) * feed.width * max(feed.experts_per_token, 1) + 2 * block.hidden
    largest = max(linear.inputs * linear.outputs for linear in block.linears)
    restored = c * largest if step.settings.quantization != "none" else 0
    return step.tokens * c * vectors + restored + _passing_bytes(block, step)


def _passing_bytes(block: Block, step: Step) -> int:
    """Return bytes of an adapter's matrices that are alive for a moment: the most that one adapted matrix takes."""
    passing = step.attachment.method.footprint.passing
    if not passing:
        return 0
    sizes = (passing * linear.inputs * linear.outputs + linear.inputs**2 for linear in _adapted(block, step))
    return step.settings.adapter_bytes * max(sizes, default=0)


def _restored_head_bytes(step: Step) -> int:
    """Return bytes of a quantised output matrix that is dequantised for its backward product."""
    head = step.architecture.head
    if not step.rules.quantizes_head or step.settings.quantization == "none" or head is None or step.architecture.tied:
        return 0
    return step.settings.compute_bytes * head.weights


def _embedding_gradient(step: Step) -> int:
    """Return bytes of the embeddings' dense gradient while it is added to that of the tied output matrix."""
    if not step.trains_all:
        return 0
    return step.architecture.vocabulary * step.architecture.hidden * step.settings.weight_bytes


def _update_bytes(step: Step) -> int:
    """Return bytes of a step's temporary: torch's AdamW over lists of tensors takes roots of all second moments."""
    if step.settings.optimizer != "adamw" or step.settings.fused_step:
        return 0
    return step.counts.trained * step.trained_bytes
