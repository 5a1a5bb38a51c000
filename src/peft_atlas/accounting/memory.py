"""Bytes for weights, gradients and optimiser state, for full fine-tuning and each method; needs no torch.

Activations, temporary buffers, fragmentation and the CUDA context are left out, since they depend on batch size,
sequence length, checkpointing and software. A total above a GPU's memory therefore shows that training on that GPU
alone is impossible without offloading, quantisation or smaller optimiser state; a total below it does not show that
it is possible.

Bytes per parameter with AdamW, which keeps two moments:

=========== ====== ======= ========= ======= ===== =================================================
precision   part   weights gradients moments copy  note
=========== ====== ======= ========= ======= ===== =================================================
fp32        frozen 4       -         -       -
fp32        trains 4       4         8       -     16 in all
bf16_mixed  frozen 2       -         -       -     no fp32 copy: it is never updated
bf16_mixed  trains 2       2         8       4     16 in all: 2 + 2 + 12 of ZeRO, arXiv:1910.02054, 3.1
=========== ====== ======= ========= ======= ===== =================================================

ZeRO gives its numbers for fp16; bf16 takes the same space. Some libraries keep gradients in fp32, which adds 2 bytes
per trained parameter. GPU memory is counted in decimal gigabytes (10^9 bytes), although most vendors mean 2^30, 7 %
more. Neither choice changes a verdict here; the tests confirm it.
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
    """Bytes per parameter; all but ``weights`` apply to trained parameters only; ``moments`` covers both moments."""

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
    """Bytes that stay allocated on the GPU between steps."""

    weights_bytes: int
    master_weights_bytes: int
    gradients_bytes: int
    optimizer_bytes: int

    @property
    def total_bytes(self) -> int:
        """Sum of the parts."""
        return self.weights_bytes + self.master_weights_bytes + self.gradients_bytes + self.optimizer_bytes


def training_bytes(trained: int, frozen: int, precision: Precision) -> TrainingBytes:
    """Compute the bytes needed to train ``trained`` parameters in a model with ``frozen`` others."""
    return TrainingBytes(
        weights_bytes=(trained + frozen) * precision.weights,
        master_weights_bytes=trained * precision.master_weights,
        gradients_bytes=trained * precision.gradients,
        optimizer_bytes=trained * precision.moments,
    )


def memory_table() -> pd.DataFrame:
    """Tabulate the bytes needed for training, one row per base model, setting and precision.

    Returns
    -------
    pandas.DataFrame
        base_model, method (``full`` is full fine-tuning), setting, precision, trainable_params, base_params,
        weights_bytes (bytes of all weights, including the adapter's), master_weights_bytes, gradients_bytes,
        optimizer_bytes, total_bytes (int64), and fits_24gb, fits_40gb, fits_80gb (bool): whether the total is at
        most that many times 10^9 bytes. Activations are left out, so True is necessary but not sufficient.
    """
    counts = [*_full_counts(), *decoder_counts()]
    rows = [_row(count, precision) for count in counts for precision in PRECISIONS]
    order = [geometry.name for geometry in DECODERS]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values("base_model", key=lambda name: name.map(order.index), kind="stable", ignore_index=True)


def _full_counts() -> list[Count]:
    """Express full fine-tuning as counts: the whole base is trained and nothing is added."""
    totals = [(geometry.name, geometry.total_params()) for geometry in DECODERS]
    return [Count(name, FULL, "all parameters", "definition", total, total) for name, total in totals]


def _row(count: Count, precision: Precision) -> dict[str, object]:
    """Build one row of the memory table."""
    frozen = 0 if count.method == FULL else count.base_params
    needed = training_bytes(count.trainable_params, frozen, precision)
    return {
        **vars(count),
        "precision": precision.name,
        **asdict(needed),
        "total_bytes": needed.total_bytes,
        **{f"fits_{size}gb": needed.total_bytes <= size * GIGABYTE for size in GPU_GIGABYTES},
    }
