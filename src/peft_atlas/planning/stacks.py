"""What differs between the programs that train: how their layers are laid out and what their loss keeps.

The rules of transformers with peft were read from the model classes and agree with the trace, those of litgpt and
torchtune from their code. Two of litgpt's, ``keeps_product`` and ``copies_quantized_inputs``, were read off one of its
own tables of peaks; `without_observed` takes them back for tests on that table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from peft_atlas.errors import AtlasError
from peft_atlas.planning.architecture import Architecture, Attention, Block, Linear
from peft_atlas.planning.settings import Settings

EAGER_ONLY = frozenset({"t5", "mt5", "bloom", "gemma2"})


@dataclass(frozen=True)
class Rules:
    """What a program's forward pass and loss keep.

    ``logits`` and ``adapter_logits`` are copies of the logits alive when the backward pass of the loss begins, as
    (in the compute type, in fp32), for training all and for adapters; ``chunked_logits`` the same where the loss is
    chunked, with the share of the fp32 copies that is alive at a time. ``fuses`` is True where one matrix makes
    queries, keys and values. ``keeps_product`` is True where the input of the last feed-forward matrix is kept
    although that matrix is frozen. ``keeps_quantized_inputs`` is True where quantised matrices keep their inputs, as
    bitsandbytes did until it stopped to (``ctx.tensors = (A, B)`` in MatMul4Bit, today ``(None, B)``), and
    ``copies_quantized_inputs`` where each keeps a copy of its own.
    """

    logits: tuple[float, float]
    adapter_logits: tuple[float, float]
    chunked_logits: tuple[float, float]
    fuses: bool = False
    python_gelu: bool = True
    keeps_product: bool = False
    keeps_quantized_inputs: bool = False
    copies_quantized_inputs: bool = False
    ties: bool = True
    quantizes_head: bool = False


RULES = {
    # logits; then float(), log_softmax, and in the backward pass the gradients of both: transformers/loss/loss_utils.py
    "transformers": Rules(logits=(1, 3), adapter_logits=(1, 3), chunked_logits=(0, 3 / 8)),
    # chunked_cross_entropy keeps logits and log_softmax in bf16; for LoRA and adapters in pieces of 128 tokens
    "litgpt": Rules(
        logits=(4, 0), adapter_logits=(2, 0), chunked_logits=(2, 0), fuses=True, python_gelu=False, ties=False,
        keeps_product=True, keeps_quantized_inputs=True,
        copies_quantized_inputs=True, quantizes_head=True,
    ),
    # output.float(), a contiguous shift, log_softmax, two gradients; chunked: logits and their gradient, 4/8 in fp32
    "torchtune": Rules(logits=(0, 5), adapter_logits=(0, 5), chunked_logits=(2, 4 / 8), python_gelu=False),
}  # fmt: skip


def without_observed(rules: Rules) -> Rules:
    """Return the rules without those that were read off measured peaks instead of code."""
    return replace(rules, keeps_product=False, copies_quantized_inputs=False)


def settled(architecture: Architecture, settings: Settings) -> Settings:
    """Return the settings with the kernel that really runs.

    T5, BLOOM and Gemma 2 add a bias to their scores or cap them, which torch's fused attention does not do: where
    nothing else is asked for, transformers and litgpt take the eager kernel.

    Raises
    ------
    AtlasError
        FlashAttention is asked for with a model that has none.
    """
    if architecture.model_type not in EAGER_ONLY or settings.kernel == "eager":
        return settings
    if settings.kernel == "flash" and architecture.model_type != "gemma2":
        raise AtlasError(f"kernel 'flash' with {architecture.name}: {architecture.model_type} has none; allowed: eager")
    return settings if settings.kernel == "flash" else replace(settings, kernel="eager")


def as_laid_out(architecture: Architecture, stack: str) -> Architecture:
    """Return the architecture as a program lays it out; transformers' is the one read from the config.

    litgpt makes queries, keys and values with one matrix, addresses the three apart in LoRA, and ties no weights.
    """
    rules = RULES[stack]
    if not rules.fuses:
        return architecture
    blocks = tuple(replace(_fused(block), dropouts=0) for block in architecture.blocks)
    return replace(architecture, blocks=blocks, tied=architecture.tied and rules.ties)


def _fused(block: Block) -> Block:
    attention = block.attentions[0]
    linears = tuple(part for linear in block.linears for part in _parts(linear, attention))
    return replace(block, linears=linears, attentions=(replace(attention, fused=True), *block.attentions[1:]))


def _parts(linear: Linear, attention: Attention) -> tuple[Linear, ...]:
    """Return queries, keys and values apart where one matrix makes them."""
    if linear.outputs != attention.width + 2 * attention.kv_width or linear.source != "attention":
        return (linear,)
    widths = (("q_proj", attention.width), ("k_proj", attention.kv_width), ("v_proj", attention.kv_width))
    return tuple(replace(linear, name=f"attn.{name}", outputs=width) for name, width in widths)
