"""The bottleneck that adapters in series and in parallel share."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from peft_atlas.errors import AtlasError
from peft_atlas.methods.linear import as_dtype, learning_dtype
from peft_atlas.methods.method import Members
from peft_atlas.methods.settings import check_whole
from peft_atlas.population import Draws, member_linear

NON_LINEARITIES: dict[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "relu": F.relu, "gelu": F.gelu}


class Bottleneck(nn.Module):
    """A two-layer network without biases, ``up(f(down x))``, that starts at zero.

    ``down`` starts uniform in ``±1/sqrt(in)`` and ``up`` at zero, so that what it is added to starts unchanged
    (arXiv:1902.00751, section 2.1, asks for a start near the identity; as the code of LLM-Adapters, it has no
    biases and tanh by default).

    Parameters
    ----------
    in_features, out_features
        Widths of what it reads and writes.
    bottleneck
        Inner width, at least 1.
    non_linearity
        f, one of `NON_LINEARITIES`.
    members
        The runs that train as one model.
    name
        Place in the network; keys the random stream.
    like
        A tensor whose device and dtype the weights take; float32 for one in half precision.

    Attributes
    ----------
    down : Parameter
        Shape ``(*population, bottleneck, in)``.
    up : Parameter
        Shape ``(*population, out, bottleneck)``.

    Raises
    ------
    AtlasError
        If the inner width or the non-linearity is not allowed.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bottleneck: int,
        non_linearity: str,
        members: Members,
        name: str,
        like: Tensor,
    ) -> None:
        super().__init__()
        check_whole("bottleneck", bottleneck)
        if not isinstance(non_linearity, str) or non_linearity not in NON_LINEARITIES:
            raise AtlasError(f"non_linearity = {non_linearity!r}: allowed: {', '.join(NON_LINEARITIES)}")
        self.non_linearity = NON_LINEARITIES[non_linearity]
        blank = like.new_empty(0, dtype=learning_dtype(like.dtype))
        start = Draws(members.population, members.seeds, f"adapter/{name}", blank)
        self.down = nn.Parameter(start.uniform((bottleneck, in_features), in_features**-0.5))
        self.up = nn.Parameter(blank.new_zeros(*members.population, out_features, bottleneck))

    def forward(self, x: Tensor, addend: Tensor) -> Tensor:
        """Return ``up(f(down x)) + addend``, shape ``(*population, *batch, out)``, in the dtype of the addend."""
        inner = self.non_linearity(member_linear(as_dtype(x, self.down.dtype), self.down))
        return as_dtype(member_linear(inner, self.up, addend), addend.dtype)
