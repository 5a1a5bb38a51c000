"""The notebook's network: two linear layers with a ReLU between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from peft_atlas.accounting.closed_forms import lora_params
from peft_atlas.methods.wrapper import Wrapper
from peft_atlas.population import PopulationLinear


@dataclass(frozen=True)
class MLPShape:
    """Widths of the input, the hidden layer and the output."""

    in_features: int
    hidden_features: int
    classes: int = 2

    def layers(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """List ``(in, out)`` of each linear layer, in order."""
        return (self.in_features, self.hidden_features), (self.hidden_features, self.classes)

    def params(self) -> int:
        """Count weights and biases."""
        return sum(out_features * (in_features + 1) for in_features, out_features in self.layers())

    def lora_params(self, rank: int) -> int:
        """Count the parameters of LoRA of this rank on both layers."""
        return lora_params(rank, self.layers())


class SimpleNN(nn.Module):
    """The notebook's SimpleNN, ``fc2(relu(fc1(x)))``, for a whole population of runs.

    Parameters
    ----------
    fc1, fc2
        Plain or adapted linear layers.
    """

    def __init__(self, fc1: nn.Module, fc2: nn.Module) -> None:
        super().__init__()
        self.fc1, self.fc2 = fc1, fc2

    def forward(self, x: Tensor, first_frozen: Tensor | None = None) -> Tensor:
        """Compute logits, shape ``(*population, *batch, classes)``.

        Parameters
        ----------
        x
            Inputs, shape ``(*population, *batch, in)``.
        first_frozen
            Cached result of `frozen_first` on x.
        """
        if first_frozen is None:
            first = self.fc1(x)
        else:
            first = self.fc1(x, base_output=first_frozen) if isinstance(self.fc1, Wrapper) else first_frozen
        return self.fc2(F.relu(first))

    def frozen_first(self, x: Tensor) -> Tensor | None:
        """Compute the part of the first layer's output that training never changes, or None if all of it is trained."""
        base = self.fc1.base if isinstance(self.fc1, Wrapper) else self.fc1
        learns = any(parameter.requires_grad for parameter in base.parameters())
        return None if learns else base(x).detach()


def simple_nn(shape: MLPShape, population: Sequence[int], seeds: Sequence[int]) -> SimpleNN:
    """Build the network with every parameter trainable and one initialisation per seed."""
    layers = [
        PopulationLinear(*widths, population, seeds, name)
        for widths, name in zip(shape.layers(), ("fc1", "fc2"), strict=True)
    ]
    return SimpleNN(*layers)


def adapt(model: SimpleNN, layer: Callable[[nn.Module, str], nn.Module]) -> SimpleNN:
    """Wrap both linear layers with ``layer(base, name)``."""
    return SimpleNN(layer(model.fc1, "fc1"), layer(model.fc2, "fc2"))
