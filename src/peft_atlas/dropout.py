"""Dropout whose masks come from keyed streams, and are the same when a pass is computed a second time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn

from peft_atlas.errors import AtlasError
from peft_atlas.rng import generators

# Passes without a graph that are remembered, for a checkpoint that computes them again with one; a few bytes each.
_REMEMBERED = 4096
_OF_THIS_COPY = ("_passes", "_gradless", "_latest", "_number")


def check_seeds(population: Sequence[int], seeds: Sequence[int]) -> None:
    """Raise an AtlasError unless there is one seed for each entry of the first population dimension."""
    expected = population[0] if population else 1
    if len(seeds) != expected:
        raise AtlasError(f"seeds = {len(seeds)} of them: allowed: one for each of {expected} entries")


def _saved_tensors_are_hooked() -> bool:
    """Return whether tensors that are saved for the backward pass go through hooks, as within a checkpoint."""
    try:
        with torch.autograd.graph.disable_saved_tensors_hooks("hooked"):
            return False
    except RuntimeError:
        return True


class _Pass:
    """Where the streams stood before a forward pass drew its mask; lives as long as the graph of the pass."""

    def __init__(self, streams: Sequence[torch.Generator]) -> None:
        self.states = [stream.get_state() for stream in streams]

    def streams(self) -> list[torch.Generator]:
        """Return generators that draw what the pass drew."""
        again = [torch.Generator() for _ in self.states]
        for stream, state in zip(again, self.states, strict=True):
            stream.set_state(state)
        return again


class SeedDropout(nn.Module):
    """Dropout whose masks come from one generator per seed; members of one seed share their mask.

    Sharing makes the difference between two settings of a seed a paired one, and costs one draw for all.

    Gradient checkpointing computes a pass twice, with torch's own generator set back to where it was. A pass that
    may be computed again therefore draws a number from that generator: a number that has been seen marks the second
    computation, which is given the first one's mask. Such passes are those within a checkpoint, which hooks saved
    tensors, and those without gradients, as a reentrant checkpoint takes them first; the latter draw from a stream
    of their number alone. All others leave torch's generator as it is.

    Parameters
    ----------
    p
        Probability that an entry is zeroed; the others are divided by ``1 - p``.
    population
        Leading dimensions of the inputs; the first is the seeds.
    seeds
        One seed for each entry of the first population dimension.
    name
        Name of the layer, part of its random stream's role.

    Raises
    ------
    AtlasError
        If p is outside [0, 1).
    """

    def __init__(
        self, p: float, population: Sequence[int] = (), seeds: Sequence[int] = (0,), name: str = "dropout"
    ) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise AtlasError(f"lora_dropout = {p}: allowed: 0 <= p < 1")
        check_seeds(population, seeds)
        self.p, self.population = p, tuple(population)
        self._seeds, self._role = tuple(seeds), f"dropout/{name}"
        self._generators = generators(seeds, self._role)
        self._forget()

    def _forget(self) -> None:
        self._passes: WeakValueDictionary[int, _Pass] = WeakValueDictionary()
        self._gradless: dict[int, None] = {}
        self._latest: _Pass | None = None
        # What is made in inference mode could not be written to outside of it.
        with torch.inference_mode(False):
            self._number = torch.zeros((), dtype=torch.int64, device="cpu")

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy takes along: not the passes, whose graphs it does not share."""
        return {name: value for name, value in self.__dict__.items() if name not in _OF_THIS_COPY}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a copy."""
        super().__setstate__(state)
        self._forget()

    def streams(self) -> tuple[torch.Generator, ...]:
        """Return the generators that masks come from, whose states a run that is to go on later must keep."""
        return self._generators

    def forward(self, x: Tensor) -> Tensor:
        """Return x with its entries dropped while training, x itself otherwise."""
        if not self.training or self.p == 0:
            return x
        if torch.compiler.is_compiling():
            # A compiled program cannot tell whether it is within a checkpoint.
            return torch.compiler.disable(self._dropped)(x)
        return self._dropped(x)

    def _dropped(self, x: Tensor) -> Tensor:
        """Return x with its entries dropped."""
        shape = x.shape[len(self.population) :]
        # float32 draws whatever the dtype of x, so that float32 and float64 runs drop the same entries.
        if not self.population:
            (stream,) = self._streams_of_pass()
            draws = torch.rand(shape, generator=stream, dtype=torch.float32, device="cpu")
            return self.kept_for(x * self._scaled(draws, x))
        draws = torch.empty(len(self._generators), *shape, dtype=torch.float32, device="cpu")
        for row, stream in zip(draws, self._streams_of_pass(), strict=True):
            torch.rand(shape, generator=stream, out=row)
        keep = self._scaled(draws, x)
        return self.kept_for(x * keep.reshape(len(keep), *[1] * (len(self.population) - 1), *shape))

    def _scaled(self, draws: Tensor, x: Tensor) -> Tensor:
        """Return what x is multiplied by for draws from [0, 1): 0, or 1 / (1 - p)."""
        kept = draws.ge_(self.p)
        if kept.dtype != x.dtype or kept.device != x.device:
            kept = kept.to(x.device, x.dtype)
        return kept.div_(1 - self.p)

    def kept_for(self, output: Tensor) -> Tensor:
        """Return an output of the latest pass, whose graph from now on keeps what a second computation needs."""
        if self._latest is not None and output.grad_fn is not None:
            kept: dict[Any, Any] = output.grad_fn.metadata  # type: ignore[assignment]
            kept[self], self._latest = self._latest, None
        return output

    def _streams_of_pass(self) -> Sequence[torch.Generator]:
        """Return the streams of this pass, or, if it is computed a second time, of the first computation."""
        if not torch.is_grad_enabled() or self._is_second_of_gradless():
            return self._gradless_streams(int(self._number.random_()))
        if not _saved_tensors_are_hooked():
            return self._generators
        number = int(self._number.random_())
        known = self._passes.get(number)
        if known is not None:
            return known.streams()
        self._latest = self._passes[number] = _Pass(self._generators)
        return self._generators

    def _is_second_of_gradless(self) -> bool:
        """Return whether torch's generator is in the state that it had before a pass without gradients."""
        if not self._gradless:
            return False
        ahead = torch.Generator()
        ahead.set_state(torch.get_rng_state())
        return int(self._number.random_(generator=ahead)) in self._gradless

    def _gradless_streams(self, number: int) -> Sequence[torch.Generator]:
        """Return the streams of a pass without gradients, and remember its number."""
        self._gradless[number] = None
        if len(self._gradless) > _REMEMBERED:
            del self._gradless[next(iter(self._gradless))]
        return generators(self._seeds, f"{self._role}/{number}")
