"""Intruder dimensions of an adapted weight, and the weight with them shrunk (Shuttleworth et al., arXiv:2410.21228)."""

from __future__ import annotations

import torch
from torch import Tensor


def intruders(adapted: Tensor, own: Tensor, top: int, cosine: float) -> Tensor:
    """Return which of the first left singular vectors of adapted weights are like none of the pretrained weights'.

    Parameters
    ----------
    adapted, own
        Weights after and before, shape ``(*population, out, in)``; a population dimension of ``own`` may be 1.
    top
        How many singular vectors are looked at, those of the largest singular values first.
    cosine
        A vector is an intruder where its absolute cosine with every left singular vector of ``own`` is below this.

    Returns
    -------
    Tensor
        Booleans, shape ``(*population, min(top, out, in))``.
    """
    before = torch.linalg.svd(own.double(), full_matrices=False)[0]
    return _intruding(torch.linalg.svd(adapted.double(), full_matrices=False)[0], before, top, cosine)


def shrink_intruders(adapted: Tensor, own: Tensor, top: int, cosine: float, factor: float) -> Tensor:
    """Return adapted weights with the singular values of their intruders multiplied by a factor.

    Parameters
    ----------
    adapted, own, top, cosine
        As `intruders` takes them.
    factor
        1 changes nothing, 0 takes the intruders out.

    Returns
    -------
    Tensor
        Shape and dtype of ``adapted``.
    """
    before = torch.linalg.svd(own.double(), full_matrices=False)[0]
    left, values, right = torch.linalg.svd(adapted.double(), full_matrices=False)
    found = _intruding(left, before, top, cosine)
    count = found.shape[-1]
    part = (left[..., :count] * (values[..., :count] * found)[..., None, :]) @ right[..., :count, :]
    return (adapted.double() + (factor - 1) * part).to(adapted.dtype)


def _intruding(left: Tensor, before: Tensor, top: int, cosine: float) -> Tensor:
    return (left[..., :top].mT @ before).abs().amax(-1) < cosine
