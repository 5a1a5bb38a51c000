"""Attach a method to a network in place: wrap its targets, freeze the rest, and take it all back."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from peft_atlas.errors import AtlasError
from peft_atlas.methods.ledger import Ledger, merged_while_loading
from peft_atlas.methods.method import ALONE, Members, Method
from peft_atlas.methods.patterns import Patterns, chosen_places, head_modules, head_parameters
from peft_atlas.methods.places import Own, Place, own_modules, own_parameters, replace
from peft_atlas.methods.wrapper import MergingWrapper, Wrapper

__all__ = ["ALONE", "Attached", "attach"]


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
    head : tuple of str
        Names of the modules that train along as its head.
    """

    def __init__(self, model: nn.Module, method: Method, members: Members, head: Patterns) -> None:
        self.model, self.method, self.members = model, method, members
        # All that may be refused comes before anything changes.
        self.head = tuple(head_modules(model, head))
        self._head = head_parameters(model, head)
        own = own_parameters(model)
        _refuse_blank(own)
        trained = [each for each in own if self._learns(each)]
        copies = [_one_a_member(each.names[0], each.parameter.data, members) for each in trained]
        # The deepest first, so that what is inside another target is wrapped when that one is.
        chosen = sorted(_targets(model, method, head), key=lambda place: -place.name.count("."))
        wrapped = [(place, method.wrap(place.module, place.name, members)) for place in chosen]
        watched = {place.name: wrapper for place, wrapper in wrapped if wrapper is not place.module}
        method.begin(model, watched)
        self._hooks = method.watch(model, watched)
        self._network = {self._name(each): each.parameter for each in trained}
        self._ledger = Ledger.of(model)
        self._ledger.enter([each.parameter for each in own], [each.parameter for each in trained], copies)
        self._wrapped = [_put(place, wrapper) for place, wrapper in wrapped]
        self._ledger.mark(model)
        if not self.trainable():
            warnings.warn(f"{method.name}: nothing of the network learns", stacklevel=3)

    def _learns(self, own: Own) -> bool:
        return not self._head.isdisjoint(own.names) or any(map(self.method.trains, own.names))

    def _name(self, own: Own) -> str:
        """Return the name of a trained parameter: of several, one for which it is trained."""
        return next(name for name in own.names if name in self._head or self.method.trains(name))

    def trainable(self) -> dict[str, nn.Parameter]:
        """Return every parameter that learns, by name: the adapter's, the network's own, and the head's."""
        added = {name: parameter for wrapped in self._wrapped for name, parameter in wrapped.parameters()}
        return {**added, **self._network}

    def rate_factors(self) -> dict[str, float]:
        """Return what each trained parameter's learning rate is to be multiplied by, 1 unless the method sets it.

        The optimiser has to be given them: ``AdamW([{"params": [p], "lr": rate * factors[name]} ...])``.
        """
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

    def buffers(self) -> dict[str, Tensor]:
        """Return the buffers that training moves besides what learns: the head's, and those the method saves."""
        tops = tuple(f"{name}." for name in self.head)
        found: dict[str, Tensor] = {}
        for module_name, module in own_modules(self.model):
            held = module.state_dict()
            for key, buffer in module.named_buffers(recurse=False):
                name = f"{module_name}.{key}".removeprefix(".")
                if key in held and (name.startswith(tops or (" ",)) or self.method.saves(name)):
                    found[name] = buffer
        return found

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Set the trained parameters, all of them, or all but the head's.

        Buffers of `buffers` may come along.

        Raises
        ------
        AtlasError
            If a name is missing or unknown, a shape or kind of number differs, a value is not finite, or the
            adapter is merged; nothing is changed then.
        """
        if any(isinstance(each.wrapper, MergingWrapper) and each.wrapper.merged for each in self._wrapped):
            raise AtlasError("adapter: merged into the network; allowed: loading after unmerge()")
        own = self.trainable()
        known: dict[str, Tensor] = {**own, **self.buffers()}
        with_head = any(name in self._head for name in state)
        missing = sorted(set(own) - set(state) - (set() if with_head else self._head))
        unknown = sorted(set(state) - set(known))
        if missing or unknown:
            raise AtlasError(f"adapter: lacks {missing[:3]} and has the unknown {unknown[:3]}; allowed: its own names")
        for name, tensor in state.items():
            _check_fits(name, tensor, known[name])
        for name, tensor in state.items():
            known[name].copy_(tensor)

    def targets(self) -> dict[str, nn.Module]:
        """Return the wrapping modules by the names of what they wrap, the deepest first."""
        return {wrapped.name: wrapped.wrapper for wrapped in self._wrapped}

    def merge(self) -> None:
        """Fold the adapter into the weights of the modules it wraps; a second call changes nothing.

        A weight that is tied to another module's becomes the wrapped module's own until `unmerge`; the other keeps
        its values. While gradients are asked for, the network computes with the frozen weights and the adapter, so
        that it may be trained; what is loaded into it must be its own state.

        Raises
        ------
        AtlasError
            If the method's update is not linear in the module's input, so that no weight can hold it, or a merged
            weight would not be finite, or is computed from others; the network is left as it was.
        """
        merging = self._merging()
        fresh = [wrapper for wrapper in merging if not wrapper.merged]
        try:
            for wrapper in fresh:
                wrapper.merge()
        except AtlasError:
            for wrapper in fresh:
                wrapper.unmerge()
            raise
        if fresh:
            self._hooks.append(self.model.register_load_state_dict_pre_hook(merged_while_loading))

    def unmerge(self) -> None:
        """Restore the weights bit for bit; on a network that is not merged this changes nothing."""
        for wrapper in reversed(self._merging()):
            wrapper.unmerge()

    def _merging(self) -> list[MergingWrapper]:
        """Return the wrapping modules, or raise an AtlasError unless all can merge."""
        found = [each.wrapper for each in self._wrapped if isinstance(each.wrapper, MergingWrapper)]
        if len(found) < len(self._wrapped):
            allowed = "methods that change weights (LoRA, DoRA, (IA)3)"
            raise AtlasError(f"method {self.method.name}: cannot be merged; allowed: {allowed}")
        return found

    def merge_and_unload(self) -> nn.Module:
        """Return the network with the adapter in its weights for good: plain modules under their plain names.

        What was trained of the network itself keeps its trained values. The ``requires_grad`` flags are as before
        `attach`, unless another adapter is attached.

        Raises
        ------
        AtlasError
            As `merge`; the network is left as it was.
        """
        tied = _tied(self.model, self._wrapped)
        self.merge()
        if tied:
            text = (
                f"{tied[0]} was tied to {tied[1]} and no longer is: set config.tie_word_embeddings = False to save it"
            )
            warnings.warn(text, stacklevel=2)
        for wrapper in self._merging():
            self._ledger.replace(wrapper.settle())
        return self._take_off(keep=True)

    def detach(self) -> nn.Module:
        """Return the network as it was before, the same modules, values and ``requires_grad`` flags.

        Of several adapters any may be taken off first: what another one trains or keeps frozen stays so. If the
        network was cast or moved meanwhile, what is restored is too.
        """
        for wrapped in reversed(self._wrapped):
            if isinstance(wrapped.wrapper, MergingWrapper):
                wrapped.wrapper.unmerge()
        return self._take_off(keep=False)

    def _take_off(self, *, keep: bool) -> nn.Module:
        """Return the network without the wrappers; what was trained of it keeps its values, or takes its old ones."""
        for hook in self._hooks:
            hook.remove()
        for wrapped in reversed(self._wrapped):
            # Another adapter may have been taken off from within.
            base = wrapped.wrapper.base if isinstance(wrapped.wrapper, Wrapper) else wrapped.base
            replace(self.model, wrapped.wrapper, base)
        self._ledger.leave(list(self._network.values()), keep=keep)
        self._wrapped, self._network, self._hooks = [], {}, []
        return self.model


def attach(model: nn.Module, method: Method, members: Members = ALONE, head: Patterns = ()) -> Attached:
    """Return the network with a method attached and all that it does not train frozen.

    Parameters
    ----------
    model
        Any network; it is changed in place, and `Attached.detach` takes everything back. Adapters that are
        attached to it already go on training.
    method
        What is attached.
    members
        The runs that train as one model, with their seeds. A seed keys all that the adapter draws, its start and
        its dropout; ``torch.manual_seed`` changes neither. With population dimensions the network's own parameters
        must carry them, as those of `peft_atlas.population.PopulationLinear` do, of size 1 where members share them.
    head
        Patterns of the names of modules that train along, such as a new classifier; counted apart.

    Raises
    ------
    AtlasError
        If a pattern fits no module, a module is of a kind that the method cannot wrap, or a setting is not allowed;
        the network is left as it was.
    """
    return Attached(model, method, members, head)


def _refuse_blank(own: list[Own]) -> None:
    """Raise an AtlasError if a lazy module has not been given its shape yet."""
    for each in own:
        if isinstance(each.parameter, nn.UninitializedParameter):
            raise AtlasError(f"network: {each.names[0]} has no shape yet; allowed: a network that has been called once")


def _targets(model: nn.Module, method: Method, head: Patterns) -> list[Place]:
    """Return the places that a method wraps, or raise an AtlasError if one would be passed by."""
    chosen = chosen_places(model, method.target_modules, head)
    if not chosen and not method.wraps_nothing:
        raise AtlasError(f"target_modules = {method.target_modules!r}: allowed for {method.name}: at least one pattern")
    for place in chosen:
        if isinstance(place.parent, nn.MultiheadAttention):
            raise AtlasError(f"target_modules: MultiheadAttention reads the weight of {place.name} and never calls it")
    return chosen


def _put(place: Place, wrapper: nn.Module) -> _Wrapped:
    """Put a wrapper around a module, in the modes of both, and return both."""
    base = place.module
    within = set(map(id, base.modules()))
    for module in wrapper.modules():
        if id(module) not in within:
            module.training = base.training
    if isinstance(place.parent, nn.TransformerEncoderLayer):
        # Its fast path reads weights and never calls the modules; torch takes it only where there are no hooks.
        wrapper.register_forward_hook(_slow_path)
    place.parent.set_submodule(place.key, wrapper)
    return _Wrapped(place.name, wrapper, base)


def _slow_path(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
    """Change nothing."""


def _tied(model: nn.Module, wrapped: list[_Wrapped]) -> tuple[str, str] | None:
    """Return a merged weight's name and that of another module's to which it is tied, if there is one."""
    tops = {f"{each.name}.weight" for each in wrapped}
    for own in own_parameters(model):
        if len(own.names) > 1 and not tops.isdisjoint(own.names):
            first = next(name for name in own.names if name in tops)
            return first, next(name for name in own.names if name != first)
    return None


def _check_fits(name: str, tensor: Tensor, own: Tensor) -> None:
    """Raise an AtlasError unless a tensor can be put into another of the adapter's."""
    if tensor.shape != own.shape:
        raise AtlasError(f"adapter: {name} has shape {tuple(tensor.shape)}; allowed: {tuple(own.shape)}")
    plain = tensor.dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    if tensor.dtype != own.dtype and not (plain and own.is_floating_point()):
        found, expected = (str(dtype).removeprefix("torch.") for dtype in (tensor.dtype, own.dtype))
        raise AtlasError(f"adapter: {name} holds {found}; allowed: {expected} or another floating-point type")
    if not tensor.is_meta and not bool(tensor.isfinite().all()):
        raise AtlasError(f"adapter: {name} holds values that are not finite; allowed: finite numbers")


def _one_a_member(name: str, data: Tensor, members: Members) -> Tensor:
    """Return a copy of a shared parameter for each member, shape ``(*population, ...)``."""
    population = members.population
    try:
        return data.expand((*population, *data.shape[len(population) :])).clone()
    except RuntimeError:
        shape = tuple(data.shape)
        raise AtlasError(
            f"parameter {name} of shape {shape}: allowed: leading dimensions of 1 or {population}"
        ) from None
