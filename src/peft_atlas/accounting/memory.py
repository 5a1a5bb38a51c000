"""Bytes that weights, gradients and optimiser states take, for full fine-tuning and each method; imports no torch.

Activations, temporary buffers, fragmentation and the CUDA context are left out: they depend on batch, sequence
length, checkpointing and software. So a total above a GPU's memory shows that training on it alone is impossible
without offloading, quantisation, or smaller optimiser states; a total below does not yet show that it is possible.

Bytes a parameter, with AdamW (two moments):

=========== ====== ======= ========= ======= ===== =================================================
precision   part   weights gradients moments copy  note
=========== ====== ======= ========= ======= ===== =================================================
fp32        frozen 4       -         -       -
fp32        trains 4       4         8       -     16 in all
bf16_mixed  frozen 2       -         -       -     no fp32 copy: it is never updated
bf16_mixed  trains 2       2         8       4     16 in all: 2 + 2 + 12 of ZeRO, arXiv:1910.02054, 3.1
=========== ====== ======= ========= ======= ===== =================================================

ZeRO states its bytes for fp16; bf16 takes as many. Some libraries keep the gradients in fp32, 2 bytes more a trained
parameter. GPU memory is taken as decimal gigabytes, 10^9 bytes; most vendors' figures are 2^30, 7 % more. Neither
changes a verdict here, which the tests confirm.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import pandas as pd

from peft_atlas.accounting.architectures import DECODERS
from peft_atlas.accounting.parameters import Count, decoder_counts

GIGABYTE = 10**9
GPU_GIGABYTES = (24, 40, 80)
FULL = "full"
COLUMNS = (
    *("base_model", "method", "setting", "precision", "trainable_params", "base_params"),
    *("weights_bytes", "master_weights_bytes", "gradients_bytes", "optimizer_bytes", "total_bytes"),
    *(f"fits_{size}gb" for size in GPU_GIGABYTES),
)


@dataclass(frozen=True)
class Precision:
    """Bytes a parameter; all but ``weights`` are for trained parameters alone, ``moments`` for both of AdamW."""

    name: str
    weights: int
    master_weights: int
    gradients: int
    moments: int


PRECISIONS = (
    Precision("fp32", weights=4, master_weights=0, gradients=4, moments=8),
    Precision("bf16_mixed", weights=2, master_weights=4, gradients=2, moments=8),
)


@dataclass(frozen=True)
class TrainingBytes:
    """Bytes that stay on the GPU from step to step."""

    weights_bytes: int
    master_weights_bytes: int
    gradients_bytes: int
    optimizer_bytes: int

    @property
    def total_bytes(self) -> int:
        """Return all of them."""
        return self.weights_bytes + self.master_weights_bytes + self.gradients_bytes + self.optimizer_bytes


def training_bytes(trained: int, frozen: int, precision: Precision) -> TrainingBytes:
    """Return the bytes of training so many parameters beside so many frozen ones."""
    return TrainingBytes(
        weights_bytes=(trained + frozen) * precision.weights,
        master_weights_bytes=trained * precision.master_weights,
        gradients_bytes=trained * precision.gradients,
        optimizer_bytes=trained * precision.moments,
    )


def memory_table() -> pd.DataFrame:
    """Return the bytes to train, one row a base model, setting and precision.

    Returns
    -------
    pandas.DataFrame
        base_model, method (``full`` is full fine-tuning), setting, precision, trainable_params, base_params,
        weights_bytes (bytes of all weights, the adapter's too), master_weights_bytes, gradients_bytes,
        optimizer_bytes, total_bytes (int64), and fits_24gb, fits_40gb, fits_80gb (bool): whether the total stays
        within so many times 10^9 bytes. Activations are left out, so True is necessary and not sufficient.
    """
    counts = [*_full_counts(), *decoder_counts()]
    rows = [_row(count, precision) for count in counts for precision in PRECISIONS]
    order = [geometry.name for geometry in DECODERS]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values("base_model", key=lambda name: name.map(order.index), kind="stable", ignore_index=True)


def _full_counts() -> list[Count]:
    """Return full fine-tuning as counts: all of the base trains, and nothing is added to it."""
    totals = [(geometry.name, geometry.total_params()) for geometry in DECODERS]
    return [Count(name, FULL, "all parameters", "definition", total, total) for name, total in totals]


def _row(count: Count, precision: Precision) -> dict[str, object]:
    """Return one row of the memory table."""
    frozen = 0 if count.method == FULL else count.base_params
    needed = training_bytes(count.trainable_params, frozen, precision)
    return {
        **vars(count),
        "precision": precision.name,
        **asdict(needed),
        "total_bytes": needed.total_bytes,
        **{f"fits_{size}gb": needed.total_bytes <= size * GIGABYTE for size in GPU_GIGABYTES},
    }
