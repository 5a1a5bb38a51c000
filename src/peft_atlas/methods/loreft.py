"""LoReFT: ReFT, Representation Finetuning for Language Models (Wu et al. 2024, arXiv:2404.03592)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from peft_atlas.errors import AtlasError
from peft_atlas.methods.linear import as_dtype, like
from peft_atlas.methods.method import Members, Method, Sites, Sizes, StudySetting
from peft_atlas.methods.patterns import Patterns
from peft_atlas.methods.settings import check_whole
from peft_atlas.methods.texts import Texts
from peft_atlas.methods.wrapper import Wrapper
from peft_atlas.population import Draws, member_linear, over_batch

Start = Literal["published", "identity"]
STARTS: tuple[str, ...] = get_args(Start)


class Intervention(nn.Module):
    """An edit of hidden representations within a subspace, ``h + R^T (W h + b - R h)`` (arXiv:2404.03592, eq. 2).

    R has orthonormal rows: it is the Q of a QR decomposition of a trained matrix, at whatever scale weight decay
    leaves that. (torch's own ``parametrizations.orthogonal``, which pyreft uses, takes the whole part of a
    diagonal that must stay at one, so that any weight decay turns R into zeros.) R starts as the basis of a
    normal draw, W and b uniform in ``±1/sqrt(width)`` as the authors' code has them: so LoReFT does not start as
    the identity, unless W is to start as R and b as zero.

    Parameters
    ----------
    width
        Width of h.
    r
        Dimension of the subspace, 1 <= r <= width.
    members
        The runs that train as one model.
    name
        Place in the network; keys the random streams.
    like
        A tensor whose dtype and device the parameters take.
    identity
        Whether W starts as R and b as zero, so that the edit is zero bit for bit.
    """

    def __init__(
        self, width: int, r: int, members: Members, name: str, like: Tensor, *, identity: bool = False
    ) -> None:
        super().__init__()
        check_whole("r", r, width, "width")

        def draws(part: str) -> Draws:
            return Draws(members.population, members.seeds, f"adapter/{name}/{part}", like)

        self.rotation = nn.Parameter(draws("rotation").normal((width, r)))
        self.weight = nn.Parameter(draws("weight").uniform((r, width), width**-0.5))
        self.bias = nn.Parameter(draws("bias").uniform((r,), width**-0.5))
        if identity:
            with torch.no_grad():
                self.weight.copy_(self.subspace().mT)
                self.bias.zero_()

    def subspace(self) -> Tensor:
        """Return R^T, orthonormal columns, shape ``(*population, width, r)``."""
        # LAPACK knows no half precision, and leaves the signs of the columns to chance.
        basis, triangle = torch.linalg.qr(self.rotation.to(torch.promote_types(self.rotation.dtype, torch.float32)))
        return (basis * triangle.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)).to(self.rotation.dtype)

    def forward(self, h: Tensor) -> Tensor:
        """Return the edited representations, of the shape and dtype of ``h``, ``(*population, *batch, width)``."""
        rotated, read = self.subspace(), as_dtype(h, self.weight.dtype)
        edit = member_linear(read, self.weight - rotated.mT, over_batch(self.bias, read))
        return as_dtype(member_linear(edit, rotated, read), h.dtype)


class Edited(Wrapper):
    """A module whose output is edited, at all positions or at the first and last of each text; it cannot be merged.

    Parameters
    ----------
    base
        Any module whose output is h, shape ``(*batch, positions, width)``, or a tuple that begins with it.
    intervention
        The edit.
    edges
        How many first and how many last positions are edited; None for all.
    """

    def __init__(self, base: nn.Module, intervention: Intervention, edges: int | None) -> None:
        super().__init__(base)
        self.intervention, self.edges = intervention, edges
        self.texts = Texts()

    def forward(self, *arguments: Any, base_output: Any = None, **options: Any) -> Any:
        """Return the base's output with h edited; ``base_output`` is that output where the caller has it.

        Raises
        ------
        AtlasError
            If the output is not h, or a tuple that begins with it, of the width that was named.
        """
        output = self.base(*arguments, **options) if base_output is None else base_output
        if isinstance(output, tuple):
            return (self._edit(output[0]), *output[1:])
        return self._edit(output)

    def _edit(self, h: Any) -> Tensor:
        width, kind = self.intervention.weight.shape[-1], type(self.base).__name__
        if not isinstance(h, Tensor) or h.shape[-1] != width:
            found = f"of width {h.shape[-1]}" if isinstance(h, Tensor) else f"a {type(h).__name__}"
            raise AtlasError(f"target_modules: the output of {kind} is {found}; allowed for LoReFT: width {width}")
        edited: Tensor = self.intervention(h)
        if self.edges is None:
            return edited
        return torch.where(self.texts.edges(h, self.edges)[..., None], edited, h)


@dataclass(frozen=True)
class LoReFT(Method):
    """LoReFT on the outputs of target modules, of any kind; it cannot be merged, for it edits activations.

    Parameters
    ----------
    r
        Dimension of the edited subspace.
    target_modules
        Patterns of the modules whose outputs are edited.
    width
        Width of those outputs; None to take each module's ``out_features``.
    edges
        How many first and last positions of each text are edited, sharing one intervention; None for all positions.
        What is padding is read from the network's ``attention_mask`` of shape (batch, length). A network that
        reads from left to right does not know which positions are the last before a text has ended, and would edit
        others when it generates: there the first positions alone are edited, unless `texts.prompts` says where
        each prompt ends, whose first and last positions are then edited, as the authors do.
    start
        "published": W and b are drawn as in the authors' code, which takes an r-dimensional part out of every h.
        "identity": W starts as R and b as zero, so that the network starts as its base; deep ones need it.
    """

    name: ClassVar[str] = "LoReFT"
    paper: ClassVar[str] = "arXiv:2404.03592"
    r: int = 8
    target_modules: Patterns = ("layer.*",)
    width: int | None = None
    edges: int | None = None
    start: Start = "published"
    # How it started is seen from no trained adapter.
    inert: ClassVar[frozenset[str]] = Method.inert | {"start"}

    @classmethod
    def study_settings(cls, sites: Sites, sizes: Sizes) -> Sequence[StudySetting]:
        """Return LoReFT on the output of every block, at all positions."""
        start: Start = "identity" if sites.identity_start else "published"
        return [StudySetting(cls.name, None, cls(sizes.rank, sites.blocks, sites.width, start=start))]

    def _width(self, base: nn.Module) -> int:
        """Return the width of a module's output."""
        if self.width is not None:
            return check_whole("width", self.width)
        if not hasattr(base, "out_features"):
            raise AtlasError(f"width = None: allowed for linear modules only, got a {type(base).__name__}; name it")
        return int(base.out_features)  # type: ignore[arg-type]

    def wrap(self, base: nn.Module, name: str, members: Members) -> Edited:
        """Return a module with its output edited."""
        if self.edges is not None:
            check_whole("edges", self.edges)
        if self.start not in STARTS:
            raise AtlasError(f"start = {self.start!r}: allowed: {', '.join(STARTS)}")
        identity, values = self.start == "identity", like(base, self.name)
        intervention = Intervention(self._width(base), self.r, members, name, values, identity=identity)
        return Edited(base, intervention, self.edges)

    def watch(self, model: nn.Module, wrapped: Mapping[str, nn.Module]) -> list[RemovableHandle]:
        """Return the hook by which the edited modules learn where each text begins and ends."""
        if self.edges is None:
            return []
        texts = Texts(model)
        for module in wrapped.values():
            module.texts = texts  # type: ignore[assignment]
        return [model.register_forward_pre_hook(texts.read, with_kwargs=True)]

    def module_params(self, base: nn.Module, name: str) -> int:
        """Return 2 r width + r; the entries of R are counted, as the paper does, not its degrees of freedom."""
        return 2 * self.r * self._width(base) + self.r
