"""Attach a method to a network in place: wrap its targets, freeze the rest, and take it all back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from peft_atlas.errors import AtlasError
from peft_atlas.methods.method import ALONE, Members, Method, head_parameters, target_names


@dataclass(frozen=True)
class _Wrapped:
    """A wrapped module: its name in the network, the module that wraps it, and itself."""

    name: str
    wrapper: nn.Module
    base: nn.Module

    def parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Return what the wrapper added, by name; the names do not depend on what else is wrapped."""
        for name, parameter in self.wrapper.named_parameters():
            if not name.startswith("base."):
                yield f"{self.name}.{name}", parameter


class Attached:
    """A network with a method attached; made by `attach`.

    Attributes
    ----------
    model : Module
        The network, changed in place.
    method : Method
        What is attached.
    members : Members
        The runs that train as one model.
    """

    def __init__(self, model: nn.Module, method: Method, members: Members, head: Collection[str]) -> None:
        self.model, self.method, self.members = model, method, members
        parameters = dict(model.named_parameters())
        self._before = [(parameter, parameter.data, parameter.requires_grad) for parameter in parameters.values()]
        self._head = head_parameters(model, head)
        own = [name for name in parameters if method.trains(name)]
        self._network = {name: parameters[name] for name in parameters if name in {*own, *self._head}}
        targets = target_names(model, method)
        model.requires_grad_(False)
        for name, parameter in self._network.items():
            parameter.data = _one_a_member(name, parameter.data, members)
            parameter.requires_grad_(True)
        # The deepest first, so that a name still leads to its module when what holds it is wrapped.
        self._wrapped = [self._wrap(name) for name in sorted(targets, key=lambda name: -name.count("."))]

    def _wrap(self, name: str) -> _Wrapped:
        base = self.model.get_submodule(name)
        wrapper = self.method.wrap(base, name, self.members).train(base.training)
        self.model.set_submodule(name, wrapper)
        return _Wrapped(name, wrapper, base)

    def trainable(self) -> dict[str, nn.Parameter]:
        """Return every parameter that learns, by name: the adapter's, the network's own, and the head's."""
        added = {name: parameter for wrapped in self._wrapped for name, parameter in wrapped.parameters()}
        return {**added, **self._network}

    def rate_factors(self) -> dict[str, float]:
        """Return what each trained parameter's learning rate is multiplied by, 1 unless the method says otherwise."""
        return {name: self.method.rate_factor(name) for name in self.trainable()}

    def head_params(self) -> int:
        """Return the parameters of the head that learn, for one member."""
        return self._count(name for name in self._network if name in self._head)

    def adapter_params(self) -> int:
        """Return all other parameters that learn, for one member."""
        return self._count(name for name in self.trainable() if name not in self._head)

    def _count(self, names: Iterator[str]) -> int:
        """Return the entries of trained parameters that one member has."""
        members = torch.Size(self.members.population).numel()
        trainable = self.trainable()
        return sum(trainable[name].numel() for name in names) // members

    def state(self, *, head: bool = True) -> dict[str, Tensor]:
        """Return a copy of every trained parameter, by name; without the head's where ``head`` is False."""
        chosen = {name: p for name, p in self.trainable().items() if head or name not in self._head}
        return {name: parameter.detach().clone() for name, parameter in chosen.items()}

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Set the trained parameters, all of them, or all but the head's.

        Raises
        ------
        AtlasError
            If a name is missing or unknown, or a shape differs; nothing is changed then.
        """
        own = self.trainable()
        missing = sorted(set(own) - set(state) - self._head)
        unknown = sorted(set(state) - set(own))
        if missing or unknown:
            raise AtlasError(f"adapter: lacks {missing[:3]} and has the unknown {unknown[:3]}; allowed: its own names")
        for name, tensor in state.items():
            if tensor.shape != own[name].shape:
                found, expected = tuple(tensor.shape), tuple(own[name].shape)
                raise AtlasError(f"adapter: {name} has shape {found}; allowed: {expected}")
        for name, tensor in state.items():
            own[name].copy_(tensor)

    def targets(self) -> dict[str, nn.Module]:
        """Return the wrapping modules by the names of what they wrap, the deepest first."""
        return {wrapped.name: wrapped.wrapper for wrapped in self._wrapped}

    def merge(self) -> None:
        """Fold the adapter into the weights of the modules it wraps; a second call changes nothing.

        Raises
        ------
        AtlasError
            If the method's update is not linear in the module's input, so that no weight can hold it, or a
            merged weight would not be finite.
        """
        for wrapped in self._wrapped:
            _merging(wrapped.wrapper, self.method.name)
        for wrapped in self._wrapped:
            wrapped.wrapper.merge()  # type: ignore[operator]

    def unmerge(self) -> None:
        """Restore the weights bit for bit; on a network that is not merged this changes nothing."""
        for wrapped in reversed(self._wrapped):
            _merging(wrapped.wrapper, self.method.name)
            wrapped.wrapper.unmerge()  # type: ignore[operator]

    def detach(self) -> nn.Module:
        """Return the network as it was before, the same modules, values and ``requires_grad`` flags."""
        for wrapped in reversed(self._wrapped):
            if getattr(wrapped.wrapper, "merged", False):
                wrapped.wrapper.unmerge()  # type: ignore[operator]
            self.model.set_submodule(wrapped.name, wrapped.base)
        for parameter, data, flag in self._before:
            parameter.data, parameter.grad = data, None
            parameter.requires_grad_(flag)
        self._wrapped, self._network = [], {}
        return self.model


def attach(model: nn.Module, method: Method, members: Members = ALONE, head: Collection[str] = ()) -> Attached:
    """Return the network with a method attached and all that it does not train frozen.

    Parameters
    ----------
    model
        Any network; it is changed in place, and `Attached.detach` takes everything back.
    method
        What is attached.
    members
        The runs that train as one model. With population dimensions the network's own parameters must carry
        them, as those of `peft_atlas.population.PopulationLinear` do, of size 1 where members share them.
    head
        Patterns of the names of modules that train along, such as a new classifier; counted apart.

    Raises
    ------
    AtlasError
        If a pattern fits no module, or a module is of a kind that the method cannot wrap.
    """
    return Attached(model, method, members, head)


def _one_a_member(name: str, data: Tensor, members: Members) -> Tensor:
    """Return a copy of a shared parameter for each member, shape ``(*population, ...)``."""
    population = members.population
    try:
        return data.expand(*population, *data.shape[len(population) :]).clone()
    except RuntimeError:
        shape = tuple(data.shape)
        raise AtlasError(
            f"parameter {name} of shape {shape}: allowed: leading dimensions of 1 or {population}"
        ) from None


def _merging(wrapper: nn.Module, method: str) -> None:
    """Raise an AtlasError unless a wrapper can merge."""
    if not hasattr(wrapper, "merge"):
        raise AtlasError(f"method {method}: cannot be merged; allowed: methods that change weights (LoRA, DoRA, (IA)3)")
