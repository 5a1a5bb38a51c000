"""LoRA: Low-Rank Adaptation of Large Language Models (Hu et al. 2021, arXiv:2106.09685)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from peft_atlas.accounting.closed_forms import lora_params
from peft_atlas.errors import AtlasError
from peft_atlas.methods.method import Members, Method, Sites, Sizes, StudySetting, widths
from peft_atlas.methods.wrapper import MERGE_TOLERANCE, MergingWrapper
from peft_atlas.population import Draws, PopulationLinear, SeedDropout, member_linear

__all__ = ["MERGE_TOLERANCE", "SETTINGS", "LoRA", "LoRALinear", "redundant_rank"]

# What studies train of it where a network has attention; see `names`.
SETTINGS = ("LoRA (query, value)", "LoRA (query, key, value)", "LoRA (all linear modules)")


class LoRALinear(MergingWrapper):
    """A frozen linear layer with a trainable low-rank update, ``h = W x + b + s B A dropout(x)``.

    The factor s is alpha / r, or alpha / sqrt(r) as rsLoRA has it (arXiv:2312.03732, theorem 3.2). The base
    layer is wrapped, not copied. ``lora_A`` starts uniform in ``±1/sqrt(in)`` (Kaiming uniform with
    a = sqrt(5), as in the authors' code and `peft`), ``lora_B`` at zero, so that the layer starts as its base
    (arXiv:2106.09685, section 4.1). Merging adds ``s B A`` to W.

    Parameters
    ----------
    base
        The layer to adapt; its population dimensions may be 1 where members share it. It is frozen, unless
        its bias is to learn along: then give ``freeze=False`` and freeze what is to stay.
    r
        Rank, at least 1. A rank above min(in, out) is allowed and redundant.
    lora_alpha
        alpha, a number or one a member, broadcastable to ``population``.
    lora_dropout
        Probability that an entry of A's input is dropped, 0 <= p < 1.
    population
        Leading dimensions of A and B; the first is the seeds.
    seeds
        One seed for each entry of the first population dimension.
    name
        Name of the layer, part of its random streams' roles.
    use_rslora
        Whether s is alpha / sqrt(r).
    freeze
        Whether the base is frozen here.

    Attributes
    ----------
    lora_A : Parameter
        Shape ``(*population, r, in)``.
    lora_B : Parameter
        Shape ``(*population, out, r)``.
    scaling : Tensor
        s, shape ``(*population, 1, 1)``.

    Raises
    ------
    AtlasError
        If r, lora_alpha or lora_dropout is out of its range.
    """

    base: nn.Linear | PopulationLinear
    scaling: Tensor

    def __init__(
        self,
        base: nn.Linear | PopulationLinear,
        r: int,
        lora_alpha: float | Tensor,
        lora_dropout: float = 0.0,
        population: Sequence[int] = (),
        seeds: Sequence[int] = (0,),
        name: str = "linear",
        *,
        use_rslora: bool = False,
        freeze: bool = True,
    ) -> None:
        super().__init__(base.requires_grad_(False) if freeze else base)
        if r < 1:
            raise AtlasError(f"r = {r}: allowed: a whole number of at least 1")
        _check_alpha(lora_alpha)
        self.r, self.population = r, tuple(population)
        dtype, device = base.weight.dtype, base.weight.device
        start = Draws(self.population, tuple(seeds), f"adapter/{name}", base.weight)
        self.lora_A = nn.Parameter(start.uniform((r, base.in_features), base.in_features**-0.5))
        self.lora_B = nn.Parameter(torch.zeros(*population, base.out_features, r, dtype=dtype, device=device))
        scaling = torch.as_tensor(lora_alpha, dtype=dtype, device=device) / (sqrt(r) if use_rslora else r)
        self.register_buffer("scaling", scaling.expand(self.population).reshape(*population, 1, 1).clone())
        self.dropout = SeedDropout(lora_dropout, population, seeds, name)

    def forward(self, x: Tensor, base_output: Tensor | None = None) -> Tensor:
        """Return the adapted output.

        Parameters
        ----------
        x
            Inputs, shape ``(*population, *batch, in)``.
        base_output
            ``base(x)`` where the caller has it already, since the base is frozen; None to compute it.

        Returns
        -------
        Tensor
            Shape ``(*population, *batch, out)``.
        """
        if self.merged:
            return self.base(x)
        kept = self.base(x) if base_output is None else base_output
        # Scaling the r-wide projection rather than the output is the same product at r/out of the work.
        return member_linear(self.scaled(self.project_down(x)), self.lora_B, kept)

    def scaled(self, low: Tensor) -> Tensor:
        """Return s times a projection of shape ``(*population, *batch, r)``."""
        return low * self.scaling.reshape(*self.population, *[1] * (low.dim() - len(self.population)))

    def project_down(self, x: Tensor) -> Tensor:
        """Return ``A dropout(x)``, shape ``(*population, *batch, r)``."""
        return member_linear(self.dropout(x), self.lora_A)

    def delta_weight(self) -> Tensor:
        """Return the update ``s B A`` that merging adds to W, shape ``(*population, out, in)``."""
        return self.scaling * (self.lora_B @ self.lora_A)

    def merged_parameters(self) -> dict[str, Tensor]:
        """Return ``W + s B A``, shape ``(*population, out, in)``."""
        return {"weight": self.base.weight + self.delta_weight()}


def _check_alpha(lora_alpha: float | Tensor) -> None:
    """Raise an AtlasError unless every alpha is finite and above 0."""
    alpha = np.asarray(lora_alpha, dtype=np.float64)
    if not ((alpha > 0) & np.isfinite(alpha)).all():
        raise AtlasError(f"lora_alpha = {lora_alpha}: allowed: finite numbers above 0")


Layer = TypeVar("Layer", bound=LoRALinear)


@dataclass(frozen=True)
class LoRA(Method):
    """LoRA on linear modules; see `LoRALinear`. Merging adds the update to the weight.

    Parameters
    ----------
    r, lora_alpha, lora_dropout, use_rslora
        As `peft.LoraConfig` names them; alpha may be a tensor, one a member.
    target_modules
        Patterns of the linear modules to adapt.
    """

    name: ClassVar[str] = "LoRA"
    paper: ClassVar[str] = "arXiv:2106.09685"
    peft_type: ClassVar[str | None] = "LORA"

    r: int = 8
    lora_alpha: float | Tensor = 16.0
    lora_dropout: float = 0.0
    target_modules: tuple[str, ...] = ("query", "value")
    use_rslora: bool = False

    @classmethod
    def study_settings(cls, sites: Sites, sizes: Sizes) -> Sequence[StudySetting]:
        """Return LoRA on query and value, on query, key and value, and on every linear module, each once."""
        places = dict.fromkeys((sites.query_value, sites.attention, sites.linear))
        return [
            StudySetting(
                cls.name,
                _where(place, sites) if len(places) > 1 else None,
                cls(sizes.rank, sizes.alpha, sizes.dropout, place),
            )
            for place in places
        ]

    def wrap(self, base: nn.Module, name: str, members: Members) -> LoRALinear:
        """Return a linear module with the low-rank update beside it."""
        return self._wrap_as(LoRALinear, base, name, members)

    def _wrap_as(self, kind: type[Layer], base: nn.Module, name: str, members: Members) -> Layer:
        """Return a linear module wrapped by a kind of `LoRALinear` with these settings."""
        widths(base, self.name)
        return kind(
            base,  # type: ignore[arg-type]
            self.r,
            self.lora_alpha,
            self.lora_dropout,
            members.population,
            members.seeds,
            name,
            use_rslora=self.use_rslora,
            freeze=False,
        )

    def module_params(self, base: nn.Module, name: str) -> int:
        """Return r (in + out)."""
        return lora_params(self.r, [widths(base, self.name)])

    def peft_settings(self) -> dict[str, Any]:
        """Return the settings that `peft.LoraConfig` takes."""
        return {
            "r": self.r,
            "lora_alpha": float(self.lora_alpha),
            "lora_dropout": self.lora_dropout,
            "use_rslora": self.use_rslora,
            "bias": "none",
        }

    def to_peft(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return A and B as peft names them, ``...lora_A.weight`` (r, in) and ``...lora_B.weight`` (out, r)."""
        return {_peft_name(name): tensor for name, tensor in super().to_peft(state).items()}

    def from_peft(self, state: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
        """Return A and B under our names."""
        ours = super().from_peft(state, names)
        return {
            name.removesuffix(".weight") if name.endswith(_PEFT_SUFFIXES) else name: tensor
            for name, tensor in ours.items()
        }


def _where(place: tuple[str, ...], sites: Sites) -> str:
    """Return a name for the modules that LoRA adapts."""
    return "all linear modules" if place == sites.linear else ", ".join(place)


_PEFT_SUFFIXES = (".lora_A.weight", ".lora_B.weight")


def _peft_name(name: str) -> str:
    """Return the name of one of our parameters in a file of peft's."""
    return f"{name}.weight" if name.endswith((".lora_A", ".lora_B")) else name


def redundant_rank(r: int, shapes: Sequence[tuple[int, int]]) -> bool:
    """Return whether r exceeds min(in, out) of some layer, where a lower rank spans every update."""
    return any(r > min(shape) for shape in shapes)
