"""How a model is trained, as far as memory depends on it; every combination that cannot be is refused."""

from __future__ import annotations

from dataclasses import dataclass

from peft_atlas.errors import AtlasError

PRECISIONS = ("fp32", "bf16-mixed", "bf16")
QUANTIZATIONS = ("none", "int8", "nf4", "nf4-dq")
OPTIMIZERS = (
    "adamw",
    "adamw-fused",
    "adamw-8bit",
    "adamw-paged",
    "adamw-8bit-paged",
    "sgd",
    "sgd-momentum",
    "adafactor",
)
KERNELS = ("sdpa", "flash", "eager")
STACKS = ("transformers", "litgpt", "torchtune")
LARGEST_BATCH, LARGEST_SEQUENCE = 1 << 20, 1 << 24


@dataclass(frozen=True)
class Settings:
    """One way to train.

    Attributes
    ----------
    micro_batch, sequence
        Sequences of a forward pass, and tokens of each (padded). For a vision model, ``sequence`` is not used.
    precision
        fp32: all in 4 bytes. bf16-mixed: weights in 4 bytes, autocast to bf16. bf16: base weights in 2 bytes.
    quantization
        Of the frozen matrices of the layers: none, int8, nf4, or nf4-dq with double quantisation (arXiv:2305.14314).
    adapter_dtype
        fp32 (peft's default over a bf16 base) or bf16.
    autocast
        Whether a bf16 base runs under autocast, as Trainer's ``bf16=True`` does; always so for bf16-mixed.
    optimizer, checkpointing, kernel
        The optimiser, whether each layer is recomputed in the backward pass, and the attention kernel.
    accumulation
        Micro-batches of a step: above 1, gradients are alive during the forward pass.
    fused_step
        The optimiser steps inside the backward pass, so that gradients live for one matrix at a time.
    chunked_loss
        The loss is taken over pieces of the sequence, so that its fp32 copies exist for one piece at a time.
    dropout
        Of the adapter's input; above 0, a mask and the result are kept.
    stack
        Whose code runs: transformers (with peft), litgpt or torchtune. It decides what is kept, see docs/memory.md.
    """

    micro_batch: int = 1
    sequence: int = 1024
    precision: str = "bf16"
    quantization: str = "none"
    adapter_dtype: str = "fp32"
    autocast: bool = False
    optimizer: str = "adamw"
    checkpointing: bool = False
    kernel: str = "sdpa"
    accumulation: int = 1
    fused_step: bool = False
    chunked_loss: bool = False
    dropout: float = 0.0
    stack: str = "transformers"

    def __post_init__(self) -> None:
        self._one_of("precision", PRECISIONS)
        self._one_of("quantization", QUANTIZATIONS)
        self._one_of("adapter_dtype", ("fp32", "bf16"))
        self._one_of("optimizer", OPTIMIZERS)
        self._one_of("kernel", KERNELS)
        self._one_of("stack", STACKS)
        self._whole("micro_batch", LARGEST_BATCH)
        self._whole("sequence", LARGEST_SEQUENCE)
        self._whole("accumulation", LARGEST_BATCH)
        if not 0 <= self.dropout < 1:
            raise AtlasError(f"dropout {self.dropout}; allowed: 0 up to but not 1")
        self._possible()

    def _possible(self) -> None:
        """Refuse what cannot run together."""
        if self.precision == "fp32" and self.kernel == "flash":
            raise AtlasError("kernel 'flash' with precision 'fp32': FlashAttention has no fp32; allowed: sdpa, eager")
        if self.precision == "fp32" and self.autocast:
            raise AtlasError("autocast with precision 'fp32': it would be bf16-mixed; allowed: precision bf16-mixed")
        if self.precision == "fp32" and self.adapter_dtype == "bf16":
            raise AtlasError("adapter_dtype 'bf16' with precision 'fp32'; allowed: fp32")
        if self.fused_step and self.accumulation > 1:
            raise AtlasError(
                f"fused_step with accumulation {self.accumulation}: a step would come too early; allowed: 1"
            )

    def _one_of(self, name: str, allowed: tuple[str, ...]) -> None:
        value = getattr(self, name)
        if value not in allowed:
            raise AtlasError(f"{name} {value!r}; allowed: {', '.join(allowed)}")

    def _whole(self, name: str, largest: int) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= largest:
            raise AtlasError(f"{name} {value!r}; allowed: a whole number from 1 to {largest}")

    @property
    def weight_bytes(self) -> int:
        """Return the bytes of a base weight that is not quantised."""
        return 2 if self.precision == "bf16" else 4

    @property
    def compute_bytes(self) -> int:
        """Return the bytes of an entry of a matrix product's result."""
        return 4 if self.precision == "fp32" else 2

    @property
    def casts(self) -> bool:
        """Return whether matrix products run under autocast."""
        return self.autocast or self.precision == "bf16-mixed"

    @property
    def residual_bytes(self) -> int:
        """Return the bytes of an entry of the residual stream: the sum of embeddings and all layers' outputs."""
        return self.weight_bytes

    @property
    def adapter_bytes(self) -> int:
        """Return the bytes of a parameter of the adapter."""
        return 2 if self.adapter_dtype == "bf16" else 4
