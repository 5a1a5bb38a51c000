"""LoRA: Low-Rank Adaptation of Large Language Models (Hu et al. 2021, arXiv:2106.09685)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from torch import Tensor, nn

from peft_atlas.accounting.closed_forms import lora_params
from peft_atlas.methods.linear import as_dtype, as_stored, is_conv1d, is_plain, learning_dtype, widths
from peft_atlas.methods.lora_embedding import LoRAEmbedding, embedding_params
from peft_atlas.methods.method import Members, Method, Sites, Sizes, StudySetting, renamed
from peft_atlas.methods.patterns import Patterns
from peft_atlas.methods.scaling import Scaling, one_number
from peft_atlas.methods.settings import check_positive, check_probability, check_whole
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
        Rank, at least 1; one above min(in, out) is allowed and redundant. A and B are float32 where the base is in
        half precision.
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

    Raises
    ------
    AtlasError
        If r, lora_alpha or lora_dropout is out of its range.
    """

    base: nn.Linear | PopulationLinear

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
        check_whole("r", r)
        check_positive("lora_alpha", lora_alpha, population)
        super().__init__(base.requires_grad_(False) if freeze else base)
        self.r, self.population, self._transposed = r, tuple(population), is_conv1d(base)
        inputs, outputs = widths(base, "LoRA")
        like = base.weight.new_empty(0, dtype=learning_dtype(base.weight.dtype))
        start = Draws(self.population, tuple(seeds), f"adapter/{name}", like)
        self.lora_A = nn.Parameter(start.uniform((r, inputs), inputs**-0.5))
        self.lora_B = nn.Parameter(like.new_zeros(*population, outputs, r))
        self.dropout = SeedDropout(check_probability("lora_dropout", lora_dropout), population, seeds, name)
        self._scaling = Scaling(lora_alpha, r, rooted=use_rslora, population=self.population)

    @property
    def scaling(self) -> Tensor:
        """s, shape ``(*population, 1, 1)``; in full precision whatever the network's, and part of no state."""
        return self._scaling.tensor(self.lora_A)

    def forward(self, x: Tensor, *arguments: Any, base_output: Tensor | None = None, **options: Any) -> Tensor:
        """Return the adapted output.

        Parameters
        ----------
        x
            Inputs, shape ``(*population, *batch, in)``.
        base_output
            ``base(x)`` where the caller has it already, since the base is frozen; None to compute it.
        arguments, options
            Whatever else the base takes; passed on to it.

        Returns
        -------
        Tensor
            Shape ``(*population, *batch, out)``, in the dtype of the base's output.
        """
        if self._frozen and self.held_by_base():
            return self.base(x, *arguments, **options)
        kept = self.call_base(x, *arguments, **options) if base_output is None else base_output
        # Scaling the r-wide projection rather than the output is the same product at r/out of the work.
        adapted = member_linear(self.scaled(self.project_down(self.read(x))), self.lora_B, kept)
        return as_dtype(self.dropout.kept_for(adapted), kept.dtype)

    def read(self, x: Tensor) -> Tensor:
        """Return an input in the adapter's dtype, which is float32 where the network is in half precision."""
        return as_dtype(x, self.lora_A.dtype)

    def scaled(self, low: Tensor) -> Tensor:
        """Return s times a projection of shape ``(*population, *batch, r)``."""
        return self._scaling.times(low)

    def project_down(self, x: Tensor) -> Tensor:
        """Return ``A dropout(x)``, shape ``(*population, *batch, r)``."""
        return member_linear(self.dropout(x), self.lora_A)

    def delta_weight(self) -> Tensor:
        """Return the update ``s B A`` that merging adds to W, shape ``(*population, out, in)``."""
        return self._scaling.times(self.lora_B @ self.lora_A)

    def frozen_weight(self) -> Tensor:
        """Return W, merged or not, shape ``(*population, out, in)``."""
        weight = self.original("weight") if self._frozen else self.base.weight
        return weight.mT if self._transposed else weight

    def uses_weight_plainly(self) -> bool:
        """Return whether the base computes ``W x + b``."""
        return is_plain(self.base)

    def merged_parameters(self) -> dict[str, Tensor]:
        """Return ``W + s B A`` as the base holds it, ``(*population, out, in)`` but for a ``Conv1D``."""
        return {"weight": as_stored(self.base, self.frozen_weight() + self.delta_weight())}


Layer = TypeVar("Layer", bound=LoRALinear)


@dataclass(frozen=True)
class LoRA(Method):
    """LoRA on linear modules; see `LoRALinear`. Merging adds the update to the weight.

    Parameters
    ----------
    r, lora_alpha, lora_dropout, use_rslora
        As `peft.LoraConfig` names them; alpha may be a tensor, one a member.
    target_modules
        Patterns of the linear modules to adapt, `transformers`' ``Conv1D`` among them, and of embeddings.
    """

    name: ClassVar[str] = "LoRA"
    paper: ClassVar[str] = "arXiv:2106.09685"
    peft_type: ClassVar[str | None] = "LORA"

    r: int = 8
    lora_alpha: float | Tensor = 16.0
    lora_dropout: float = 0.0
    target_modules: Patterns = ("query", "value")
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

    def wrap(self, base: nn.Module, name: str, members: Members) -> LoRALinear | LoRAEmbedding:
        """Return a linear module, or an embedding, with the low-rank update added to it."""
        if isinstance(base, nn.Embedding):
            scaling = Scaling(self.lora_alpha, check_whole("r", self.r), rooted=self.use_rslora)
            return LoRAEmbedding(base, scaling, members, name)
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
        """Return r (in + out), of an embedding r (rows + width)."""
        if isinstance(base, nn.Embedding):
            return embedding_params(self.r, base)
        return lora_params(self.r, [widths(base, self.name)])

    def peft_settings(self) -> dict[str, Any]:
        """Return the settings that `peft.LoraConfig` takes."""
        return {
            "r": self.r,
            "lora_alpha": one_number(self.lora_alpha),
            "lora_dropout": self.lora_dropout,
            "use_rslora": self.use_rslora,
            "bias": "none",
        }

    def to_peft(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return A and B as peft names them, ``...lora_A.weight`` (r, in) and ``...lora_B.weight`` (out, r)."""
        return renamed(super().to_peft(state), _PEFTS)

    def from_peft(self, state: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
        """Return A and B under our names."""
        return renamed(super().from_peft(state, names), {theirs: own for own, theirs in _PEFTS.items()})


def _where(place: tuple[str, ...], sites: Sites) -> str:
    """Return a name for the modules that LoRA adapts."""
    return "all linear modules" if place == sites.linear else ", ".join(place)


# Ends of the names of our parameters, and of the same in a file of peft's.
_PEFTS = {".lora_A": ".lora_A.weight", ".lora_B": ".lora_B.weight"}


def redundant_rank(r: int, shapes: Sequence[tuple[int, int]]) -> bool:
    """Return whether r exceeds min(in, out) of some layer, where a lower rank spans every update."""
    return any(r > min(shape) for shape in shapes)
