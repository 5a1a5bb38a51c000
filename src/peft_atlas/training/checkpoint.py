"""The state of a run under way, so that one that is killed or paused goes on where it was, with the same numbers."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from peft_atlas.files import write_whole
from peft_atlas.population import SeedDropout
from peft_atlas.training.history import Adapted, History
from peft_atlas.training.schedule import ScheduledAdamW

_log = logging.getLogger(__name__)


@dataclass
class Checkpoint:
    """A file that a run writes into while it is under way, and reads when it is started again.

    Parameters
    ----------
    path
        The file; None to keep none.
    fingerprint
        Names the run and everything that its numbers depend on; a file of another run is not read.
    seconds
        Least time between two writings, so that short runs write none.
    """

    path: Path | None = None
    fingerprint: str = ""
    seconds: float = 60.0

    def __post_init__(self) -> None:
        self.epoch, self._place = 0, 0
        self._written = time.monotonic()

    def place_in(self, epoch: int) -> int:
        """Return the first batch of an epoch that has not been trained on."""
        return self._place if epoch == self.epoch else 0

    def restore(self, attached: Adapted, optimizer: ScheduledAdamW, history: History) -> Checkpoint:
        """Set a run to the state in the file, if there is one of this run, and return itself."""
        if self.path is None or not self.path.is_file():
            return self
        saved = torch.load(self.path, weights_only=True)
        if saved["fingerprint"] != self.fingerprint:
            return self
        # A run that diverged has no values to go on from.
        if saved["trained"] is not None:
            attached.load(saved["trained"])
        if saved["optimizer"] is not None:
            optimizer.load(saved["optimizer"])
        for stream, state in zip(_streams(attached.model), saved["streams"], strict=True):
            stream.set_state(state)
        for name, value in saved["history"].items():
            setattr(history, name, value)
        self.epoch, self._place = saved["epoch"], saved["place"]
        _log.info("going on after epoch %d and batch %d of the next, from %s", self.epoch, self._place, self.path)
        return self

    def save(self, epoch: int, place: int, attached: Adapted, optimizer: ScheduledAdamW, history: History) -> None:
        """Write the state after a batch, if it is time to."""
        if self.path is None or time.monotonic() - self._written < self.seconds:
            return
        self._write(epoch, place, attached, optimizer, history)

    def pause(self, epoch: int, attached: Adapted, optimizer: ScheduledAdamW | None, history: History) -> None:
        """Write the state after an epoch, whatever the time; without the optimizer where nothing more is trained."""
        if self.path is not None:
            self._write(epoch, 0, attached, optimizer, history)

    def _write(
        self, epoch: int, place: int, attached: Adapted, optimizer: ScheduledAdamW | None, history: History
    ) -> None:
        state: dict[str, Any] = {
            "fingerprint": self.fingerprint,
            "epoch": epoch,
            "place": place,
            "trained": None if history.diverged else attached.state(),
            "optimizer": None if optimizer is None else optimizer.state(),
            "streams": [stream.get_state() for stream in _streams(attached.model)],
            "history": asdict(history),
        }
        assert self.path is not None
        write_whole(self.path, lambda part: torch.save(state, part))
        self._written = time.monotonic()

    def remove(self) -> None:
        """Delete the file, once the run has ended."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def _streams(model: nn.Module) -> Iterator[torch.Generator]:
    """Return the generators that dropout masks are drawn from, in the network's order."""
    for module in model.modules():
        if isinstance(module, SeedDropout):
            yield from module.streams()
