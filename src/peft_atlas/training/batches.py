"""Ragged rows of states in one tensor, and batches of rows of like length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# Rows are sorted by length within so many batches: enough to leave little padding, and batches stay random.
_BUCKET_BATCHES = 8


@dataclass(frozen=True)
class Ragged:
    """Rows of different lengths: token ids, or the hidden states that the frozen stages make of them.

    Attributes
    ----------
    values : Tensor
        All rows one after another, shape ``(total length, ...)``.
    lengths : Tensor
        Length of each row, shape ``(rows,)``.
    """

    values: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]], device: torch.device) -> Ragged:
        """Return rows of token ids."""
        flat = torch.tensor([token for row in rows for token in row], dtype=torch.long, device=device)
        return cls(flat, torch.tensor([len(row) for row in rows], device=device))

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return some rows, shape ``(batch, longest, ...)`` with zeros as padding, and True where a row is."""
        lengths = self.lengths[rows]
        starts = (self.lengths.cumsum(0) - self.lengths)[rows]
        place = torch.arange(int(lengths.max()), device=lengths.device)
        mask = place < lengths[:, None]
        states = self.values[torch.where(mask, starts[:, None] + place, 0)]
        return states * mask.reshape(*mask.shape, *[1] * (states.dim() - 2)), mask

    def mapped(self, run: Callable[[Tensor, Tensor], Tensor], batch_size: int) -> Ragged:
        """Return what a function of states and mask, as `batch` returns them, makes of the rows; their lengths stay."""
        values: list[Tensor] = [torch.empty(0)] * len(self.lengths)
        for rows in self.by_length(batch_size):
            states, mask = self.batch(rows)
            for row, kept, present in zip(rows.tolist(), run(states, mask), mask, strict=True):
                values[row] = kept[present]
        return Ragged(torch.cat(values), self.lengths)

    def by_length(self, batch_size: int) -> Iterator[Tensor]:
        """Return all rows in batches of like length, the shortest first."""
        yield from self.lengths.argsort(stable=True).split(batch_size)

    def shuffled(self, batch_size: int, generator: torch.Generator) -> list[Tensor]:
        """Return all rows in random batches of like length, in random order; the last may be smaller.

        Rows are shuffled, sorted within buckets of several batches, and the batches shuffled again.
        """
        lengths = self.lengths.cpu()
        order = torch.randperm(len(lengths), generator=generator)
        buckets = order.split(batch_size * _BUCKET_BATCHES)
        batches = [
            part for bucket in buckets for part in bucket[lengths[bucket].argsort(stable=True)].split(batch_size)
        ]
        places = torch.randperm(len(batches), generator=generator)
        return [batches[place].to(self.lengths.device) for place in places.tolist()]
