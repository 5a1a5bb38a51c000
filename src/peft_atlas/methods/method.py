"""What a PEFT method is: settings that say which modules of a network are wrapped, how, and what of it trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from peft_atlas.methods.patterns import Patterns, chosen_places, head_parameters
from peft_atlas.methods.places import bare, own_parameters


@dataclass(frozen=True)
class Members:
    """The runs that train as one model: population dimensions, and one seed for each entry of the first."""

    population: tuple[int, ...] = ()
    seeds: tuple[int, ...] = (0,)


ALONE = Members()


@dataclass(frozen=True)
class Sites:
    """Where a family of models can be adapted, as patterns of module names; empty where it has no such place.

    Parameters
    ----------
    linear
        Every linear module that is adapted at the most.
    query_value, attention
        Projections to query and value, and to query, key and value; of a network without attention, its linear
        modules.
    rescaled, feedforward
        Modules whose outputs, and whose inputs, (IA)3 rescales.
    outputs
        Modules that write to the residual stream, after which adapters in series are put.
    attention_modules
        Modules that call ``scaled_dot_product_attention``.
    blocks
        Modules whose output is a hidden representation.
    width
        Width of that representation; None where the blocks are linear and say so themselves.
    key_width
        Width of the keys where it is another: with grouped queries they are narrower. None where it is not.
    frozen
        Modules that stay as they are even where everything learns.
    prefix_tokens
        Tokens of a real text, whose keys and values a prefix starts from; none for a random start.
    identity_start
        Whether methods that can start as the identity do, though they were published with a random start.
    """

    linear: tuple[str, ...]
    query_value: tuple[str, ...]
    attention: tuple[str, ...]
    rescaled: tuple[str, ...]
    feedforward: tuple[str, ...]
    outputs: tuple[str, ...]
    attention_modules: tuple[str, ...]
    blocks: tuple[str, ...]
    width: int | None
    key_width: int | None = None
    frozen: tuple[str, ...] = ()
    prefix_tokens: tuple[int, ...] = ()
    identity_start: bool = False


@dataclass(frozen=True)
class Sizes:
    """How large the study's adapters are: one size for every method of a kind."""

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    bottleneck: int = 16
    virtual_tokens: int = 10


@dataclass(frozen=True)
class StudySetting:
    """A method as a study trains it; ``label`` names it in tables and figures, ``setting`` tells two apart."""

    label: str
    setting: str | None
    method: Method


class Method(ABC):
    """Base of all methods; a subclass is a frozen dataclass whose fields are its settings.

    Attributes
    ----------
    name : str
        Name, spelt as in the tables and figures.
    paper : str
        Where it is defined.
    target_modules : tuple of str
        Patterns of the names of the modules to wrap: the last dotted parts, each by shell rules, so that
        ``query`` and ``layer.*`` and ``output.dense`` select as peft's suffixes do. One string is one pattern: a
        name, else a regular expression that a whole name fits, as peft takes it, or ``"all-linear"``.
    peft_type : str or None
        Type under which `peft` knows the method, None where it has none.
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    peft_type: ClassVar[str | None] = None
    # Settings that change nothing of what a trained adapter computes, or that its tensors show.
    inert: ClassVar[frozenset[str]] = frozenset({"target_modules", "lora_dropout", "width"})
    wraps_nothing: ClassVar[bool] = False
    target_modules: Patterns

    @classmethod
    @abstractmethod
    def study_settings(cls, sites: Sites, sizes: Sizes) -> Sequence[StudySetting]:
        """Return the settings that a study of a model with these sites trains; none where it cannot be attached."""

    @abstractmethod
    def wrap(self, base: nn.Module, name: str, members: Members) -> nn.Module:
        """Return a target module wrapped; ``name`` is its place in the network and keys its random streams."""

    @abstractmethod
    def module_params(self, base: nn.Module, name: str) -> int:
        """Return the parameters that wrapping a target module adds, in closed form, for one member."""

    def trains(self, parameter: str) -> bool:
        """Return whether a parameter of the network itself, of this dotted name, learns."""
        return False

    def saves(self, buffer: str) -> bool:
        """Return whether a buffer of the network itself, of this dotted name, is part of an adapter's file."""
        return False

    def watch(self, model: nn.Module, wrapped: Mapping[str, nn.Module]) -> list[RemovableHandle]:
        """Return the hooks on a network by which the method learns what its wrapped modules are not given."""
        return []

    def begin(self, model: nn.Module, wrapped: Mapping[str, nn.Module]) -> None:  # noqa: B027
        """Set what a start takes from the network, which is still as it was, on its wrapped modules."""

    def rate_factor(self, parameter: str) -> float:
        """Return what the learning rate of a trained parameter is multiplied by."""
        return 1.0

    def trainable_params(self, model: nn.Module, head: Collection[str] = ()) -> int:
        """Return the parameters of one member that training changes, in closed form, those of the head left out.

        Parameters
        ----------
        model
            The network without the method, its parameters those of one member.
        head
            Patterns of the names of the head's modules, as given to `attach`.
        """
        chosen = chosen_places(model, self.target_modules, head)
        wrapped = sum(self.module_params(bare(place.module), place.name) for place in chosen)
        apart = head_parameters(model, head)
        trained = [
            own for own in own_parameters(model) if apart.isdisjoint(own.names) and any(map(self.trains, own.names))
        ]
        return wrapped + sum(own.parameter.numel() for own in trained)

    def check_for_peft(self, model: nn.Module, names: Sequence[str]) -> None:  # noqa: B027
        """Raise an AtlasError if `peft` would make another function of this method's file on a network."""

    def check_from_peft(  # noqa: B027
        self, config: Mapping[str, Any], model: nn.Module, names: Sequence[str]
    ) -> None:
        """Raise an AtlasError unless a configuration of peft's means the same modules in the same roles."""

    def peft_settings(self) -> dict[str, Any]:
        """Return the settings as `peft`'s configuration of the same method names them."""
        return {}

    def peft_modules(self, names: Sequence[str], head: Sequence[str]) -> dict[str, Any]:
        """Return the wrapped modules and the head's as `peft`'s configuration names them."""
        return {"target_modules": list(names), "modules_to_save": list(head) or None}

    def to_peft(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return an adapter's tensors under the names and in the shapes in which `peft` saves them."""
        return {f"base_model.model.{name}": tensor for name, tensor in state.items()}

    def from_peft(self, state: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
        """Return the tensors of a saved adapter under our names; the inverse of `to_peft`.

        Parameters
        ----------
        state
            Tensors by the names in the file.
        names
            Names of the wrapped modules, in the network's order.
        """
        return {name.removeprefix("base_model.model."): tensor for name, tensor in state.items()}


class Unwrapped(Method):
    """Base of the methods that wrap nothing and at most train parameters that the network has."""

    wraps_nothing: ClassVar[bool] = True
    target_modules: Patterns = ()

    def wrap(self, base: nn.Module, name: str, members: Members) -> nn.Module:
        """Return the module as it is."""
        return base

    def module_params(self, base: nn.Module, name: str) -> int:
        """Return 0: nothing is added."""
        return 0


def renamed(state: Mapping[str, Tensor], ends: Mapping[str, str]) -> dict[str, Tensor]:
    """Return tensors with the ends of their names replaced, where a name has one of them."""

    def name_of(name: str) -> str:
        end = next((end for end in ends if name.endswith(end)), "")
        return name.removesuffix(end) + ends.get(end, "")

    return {name_of(name): tensor for name, tensor in state.items()}


def target_names(model: nn.Module, method: Method, head: Collection[str] = ()) -> list[str]:
    """Return the names of the modules that a method wraps, in the network's order.

    Raises
    ------
    AtlasError
        If a pattern fits no module, or one that it selects is held in two places.
    """
    return [place.name for place in chosen_places(model, method.target_modules, head)]
