"""The adaptation study's section of the configuration."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from peft_atlas.config_types import Alphas, Count, Epochs, Rank, Ranks, Rates, Section, sorted_unique

Budgets = Annotated[tuple[Count, ...], BeforeValidator(sorted_unique), Field(min_length=1, strict=False)]
# Kinds of shifts besides that of the first weight with equal singular values: of the second weight, of the first with
# a full rank and a decaying spectrum, and of both weights with that.
SHIFT_KINDS = ("second", "decaying", "both")


class ShiftedDataConfig(Section):
    """The adaptation study's tasks and the network that is pretrained and adapted."""

    features: Count = Field(64, description="input features of one example")
    hidden_features: Count = Field(128, description="width of the hidden layer of base and teacher")
    classes: int = Field(10, ge=2, le=1000, description="classes of the source task and of every target task")
    source_examples: Count = Field(16000, description="training examples of the source task")
    validation_examples: Count = Field(1000, description="held-out examples that learning rates are chosen on")
    test_examples: Count = Field(2000, description="held-out examples that are read once, at the chosen rate")
    shift_size: float = Field(1.0, gt=0, le=100, description="size of a shift over the norm of the shifted weight")


class PretrainingConfig(Section):
    """How the base is trained on the source task."""

    epochs: Epochs = Field(10, description="passes over the source task's training examples")
    learning_rate: float = Field(1e-3, gt=0, le=10, description="AdamW learning rate")


class AdapterSizesConfig(Section):
    """How large the adapters of every method are."""

    rank: Rank = Field(8, description="rank of LoRA, DoRA and LoReFT outside the rank sweep")
    scaling: float = Field(2.0, gt=0, le=1e4, description="alpha over rank outside the alpha sweep")
    bottleneck: Rank = Field(8, description="inner width of the adapters in series and in parallel")


class AlphaSweepConfig(Section):
    """LoRA over alpha, under both scalings, the learning rate tuned for each."""

    shift_rank: Rank = Field(4, description="rank of the target task's shift")
    train_examples: Count = Field(4000, description="training examples of the target task")
    ranks: Ranks = Field((4, 16), description="ranks r of LoRA")
    alphas: Alphas = Field((1.0, 4.0, 16.0, 64.0), description="alphas")


class PlacementConfig(Section):
    """LoRA on the first layer, the second or both, with equally many parameters, whichever weight was shifted."""

    shift_rank: Rank = Field(4, description="rank of the shifts that have one")
    train_examples: Budgets = Field((400, 4000), description="training examples of the target tasks, a budget each")
    decay: float = Field(1.0, ge=0, le=10, description="singular value i of a full-rank shift is i to the power -decay")


class AdaptationConfig(Section):
    """The adaptation study: a pretrained network, and target tasks that differ by a weight shift of known rank."""

    seeds: Count = Field(10, description="how many of the study's seeds it takes, the first ones")
    data: ShiftedDataConfig = ShiftedDataConfig()
    pretraining: PretrainingConfig = PretrainingConfig()
    shift_ranks: Ranks = Field((1, 2, 4, 8, 16, 64), description="ranks of the shift in the rank sweep")
    method_shift_ranks: Ranks = Field((1, 4, 16), description="ranks of the shift that all methods are tried on")
    train_examples: Budgets = Field((400, 4000), description="training examples of the target tasks, a budget each")
    steps: Count = Field(400, description="optimiser steps of every run, whatever its budget")
    batch_size: Count = Field(64, description="examples in one optimiser step")
    learning_rates: Rates = Field(
        (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2), description="the grid that every method searches"
    )
    extensions: int = Field(2, ge=0, le=10, description="how often a grid grows where the chosen rate is at its end")
    sizes: AdapterSizesConfig = AdapterSizesConfig()
    ranks: Ranks = Field((1, 2, 4, 8, 16, 32), description="ranks r of LoRA in the rank sweep")
    alpha_sweep: AlphaSweepConfig = AlphaSweepConfig()
    placement: PlacementConfig = PlacementConfig()
    equivalence_margin: float = Field(
        0.01, gt=0, lt=1, description="difference in accuracy within which two methods count as equivalent"
    )

    def targets(self) -> dict[str, list[tuple[str, int]]]:
        """Return the target tasks of each part of the study, as (shift, training examples).

        A shift is its rank, which moves the first weight, or rank and kind, such as ``4-second``; see `SHIFT_KINDS`.
        """
        sweep, full = self.alpha_sweep, min(self.data.features, self.data.hidden_features)
        place = self.placement.shift_rank
        placed = [f"{place}", f"{place}-second", f"{full}-decaying", f"{full}-both"]
        control = (str(self.method_shift_ranks[0]), self.train_examples[-1])
        return {
            "methods": [(str(rank), examples) for rank in self.method_shift_ranks for examples in self.train_examples],
            "ranks": [(str(rank), examples) for rank in self.shift_ranks for examples in self.train_examples],
            "alphas": [(str(sweep.shift_rank), sweep.train_examples)],
            "placement": [(shift, examples) for shift in placed for examples in self.placement.train_examples],
            "shuffled_labels": [control],
        }
