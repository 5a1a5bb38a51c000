"""The factor of a low-rank update, alpha / r or alpha / sqrt(r): a number of each member's, in full precision."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import torch
from torch import Tensor

from peft_atlas.errors import AtlasError
from peft_atlas.methods.settings import check_positive

_FULL = (torch.float32, torch.float64)


class Scaling:
    """s = alpha / r, or alpha / sqrt(r) as rsLoRA has it (arXiv:2312.03732, theorem 3.2).

    It is no tensor of the network's, so that casting, loading or emptying the network leaves it as it is.

    Parameters
    ----------
    alpha
        A number, or one a member, broadcastable to ``population``.
    r
        Rank.
    rooted
        Whether r is replaced by its square root.
    population
        Leading dimensions of what is scaled.
    """

    def __init__(self, alpha: float | Tensor, r: int, *, rooted: bool = False, population: Sequence[int] = ()) -> None:
        check_positive("lora_alpha", alpha, population)
        self.r, self.population = r, tuple(population)
        divisor = sqrt(r) if rooted else r
        values = {dtype: torch.as_tensor(alpha, dtype=dtype, device="cpu") / divisor for dtype in _FULL}
        self._each = {dtype: value.expand(self.population).clone() for dtype, value in values.items()}
        # A plain number costs less than a tensor of one entry, and takes no part in the promotion of dtypes.
        self._one = {} if population else {dtype: float(value) for dtype, value in self._each.items()}

    def factor(self, like: Tensor) -> float | Tensor:
        """Return s in float32, or in float64 for a float64 tensor: a number, or shape ``population``."""
        dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
        if not self.population:
            return self._one[dtype]
        if self._each[dtype].device != like.device:
            self._each[dtype] = self._each[dtype].to(like.device)
        return self._each[dtype]

    def tensor(self, like: Tensor) -> Tensor:
        """Return s on a tensor's device, shape ``(*population, 1, 1)``."""
        dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
        return self._each[dtype].to(like.device).reshape(*self.population, 1, 1)

    def times(self, values: Tensor) -> Tensor:
        """Return s times values of shape ``(*population, ...)``."""
        factor = self.factor(values)
        if not self.population:
            return values * factor
        assert isinstance(factor, Tensor)
        return values * factor.reshape(*self.population, *[1] * (values.dim() - len(self.population)))


def one_number(alpha: float | Tensor) -> float:
    """Return an alpha as a plain number, as files hold it.

    Raises
    ------
    AtlasError
        If it is one a member.
    """
    if isinstance(alpha, Tensor) and alpha.numel() != 1:
        raise AtlasError(f"lora_alpha of shape {tuple(alpha.shape)}: allowed in a file: one number")
    return float(alpha)
