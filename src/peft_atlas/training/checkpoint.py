"""The state of a run under way, so that one that is killed or paused goes on where it was, with the same numbers."""

from __future__ import annotations

import hashlib
import logging
import pickle
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from peft_atlas.errors import AtlasError
from peft_atlas.files import write_whole
from peft_atlas.population import SeedDropout
from peft_atlas.training.history import Adapted, History
from peft_atlas.training.schedule import ScheduledAdamW

_log = logging.getLogger(__name__)

_PARTS = {"fingerprint", "epoch", "place", "trained", "optimizer", "streams", "history"}
# A file ends with the SHA-256 of all before it, in hexadecimal digits; zip readers pass over what follows an archive.
_SEAL = 64
_BLOCK = 2**20


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
        saved = self._read()
        if saved is None:
            return self
        # A run that diverged has no values to go on from.
        if saved["trained"] is not None:
            try:
                attached.load(saved["trained"])
            except AtlasError as error:
                # Nothing is changed then.
                self._set_aside(str(error))
                return self
        if saved["optimizer"] is not None:
            optimizer.load(saved["optimizer"])
        for stream, state in zip(_streams(attached.model), saved["streams"], strict=True):
            stream.set_state(state)
        for name, value in saved["history"].items():
            setattr(history, name, value)
        self.epoch, self._place = saved["epoch"], saved["place"]
        _log.info("going on after epoch %d and batch %d of the next, from %s", self.epoch, self._place, self.path)
        return self

    def _read(self) -> dict[str, Any] | None:
        """Return the state in the file, None where there is none of this run; a damaged file is set aside."""
        if self.path is None or not self.path.is_file():
            return None
        try:
            saved = _unsealed(self.path)
        except (ValueError, OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            self._set_aside((str(error).splitlines() or [type(error).__name__])[0])
            return None
        return saved if saved["fingerprint"] == self.fingerprint else None

    def _set_aside(self, cause: str) -> None:
        """Keep a file that cannot be used under another name: a checkpoint saves time and decides nothing."""
        assert self.path is not None
        aside = self.path.with_suffix(".unusable")
        _log.warning("%s: not a whole checkpoint (%s); kept as %s, the run starts over", self.path, cause, aside.name)
        self.path.replace(aside)

    def save(self, epoch: int, place: int, attached: Adapted, optimizer: ScheduledAdamW, history: History) -> None:
        """Write the state after a batch, if it is time to."""
        if self.path is None or time.monotonic() - self._written < self.seconds:
            return
        try:
            self._write(epoch, place, attached, optimizer, history)
        except AtlasError as error:
            _log.warning("%s; the run goes on without this checkpoint", error)
            self._written = time.monotonic()

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
        write_whole(self.path, lambda part: _seal(state, part))
        self._written = time.monotonic()

    def remove(self) -> None:
        """Delete the file, once the run has ended."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def _seal(state: dict[str, Any], path: Path) -> None:
    """Write a state with its digest behind it."""
    with path.open("w+b") as stream:
        try:
            torch.save(state, stream)
        except RuntimeError as error:
            # torch hides the cause, as that there is no room, behind an error of its own.
            raise error.__context__ if isinstance(error.__context__, OSError) else error from None
        stream.seek(0)
        seal = hashlib.file_digest(stream, "sha256").hexdigest()
        stream.seek(0, 2)
        stream.write(seal.encode())


def _unsealed(path: Path) -> dict[str, Any]:
    """Return the state in a file; raise ValueError, or what torch raises, unless all of it is as it was written."""
    left, digest = path.stat().st_size - _SEAL, hashlib.sha256()
    with path.open("rb") as stream:
        while left > 0:
            block = stream.read(min(left, _BLOCK))
            digest.update(block)
            left -= len(block)
        if stream.read() != digest.hexdigest().encode():
            raise ValueError("its digest differs")
    saved = torch.load(path, weights_only=True)
    if not isinstance(saved, dict) or not set(saved) >= _PARTS:
        raise ValueError("parts are missing")
    if not _finite([saved["trained"], saved["optimizer"]]):
        raise ValueError("a value is not finite")
    return saved


def _finite(value: object) -> bool:
    """Return whether all tensors in nested lists and mappings hold finite numbers."""
    if isinstance(value, torch.Tensor):
        return bool(torch.isfinite(value).all())
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return all(map(_finite, inner))


def _streams(model: nn.Module) -> Iterator[torch.Generator]:
    """Return the generators that dropout masks are drawn from, in the network's order."""
    for module in model.modules():
        if isinstance(module, SeedDropout):
            yield from module.streams()
