"""What the adaptation study trains: a job's share of its seeds, the target tasks, and the cells of each part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from peft_atlas.accounting.closed_forms import lora_params
from peft_atlas.methods.full import FullFineTuning
from peft_atlas.methods.head_only import HeadOnly
from peft_atlas.methods.lora import LoRA
from peft_atlas.methods.method import Method, Sites, Sizes
from peft_atlas.methods.names import setting_name
from peft_atlas.methods.registry import study_settings
from peft_atlas.models.mlp import MLPShape, SimpleNN, simple_nn
from peft_atlas.studies.adaptation.config import AdaptationConfig
from peft_atlas.studies.adaptation.data import Shift, ShiftedSizes, target_task
from peft_atlas.training.task import Task

# Outside the part on placement the shift is in the first layer, so that is what is adapted; fc2 is the head.
HEAD = ("fc2",)
_SITES = Sites(
    linear=("fc1",),
    query_value=("fc1",),
    attention=("fc1",),
    rescaled=("fc1",),
    feedforward=(),
    outputs=("fc1",),
    attention_modules=(),
    blocks=("fc1",),
    width=None,
)


@dataclass(frozen=True)
class Cell:
    """What one cell of the study trains on a target task: a method with its setting, in one part of the study."""

    experiment: str
    label: str
    method: Method
    setting: str | None = None


# What the name of a target task says of a shift of each kind.
_TASKS = {
    "": "shift of rank {rank}",
    "second": "shift of rank {rank} in the second layer",
    "decaying": "full-rank shift with decaying spectrum",
    "both": "full-rank shift of both layers",
}


@dataclass(frozen=True)
class Target:
    """A target task: the rank of its shift, its training examples, and the kind of the shift (`SHIFT_KINDS`)."""

    shift_rank: int
    train_examples: int
    kind: str = ""

    @classmethod
    def of(cls, shift: str, train_examples: int) -> Target:
        """Return the target task of a shift as `AdaptationConfig.targets` writes it, ``4`` or ``4-second``."""
        rank, _, kind = shift.partition("-")
        return cls(int(rank), train_examples, kind)

    @property
    def name(self) -> str:
        """Return the name that tables give to the task."""
        return _TASKS[self.kind].format(rank=self.shift_rank)

    def shift(self, size: float, decay: float) -> Shift:
        """Return what the task does to the weights; only a full-rank shift decays."""
        layers = {"second": ("fc2",), "both": ("fc1", "fc2")}.get(self.kind, ("fc1",))
        return Shift(self.shift_rank, size, layers, decay if self.kind in ("decaying", "both") else 0.0)


@dataclass(frozen=True)
class Study:
    """One job's share of the study: its settings, its seeds, and where it trains."""

    config: AdaptationConfig
    seeds: tuple[int, ...]
    device: str

    @property
    def shape(self) -> MLPShape:
        """Return the widths of the network."""
        data = self.config.data
        return MLPShape(data.features, data.hidden_features, data.classes)

    @property
    def sizes(self) -> ShiftedSizes:
        """Return the sizes of the tasks."""
        return ShiftedSizes(**self.config.data.model_dump(exclude={"shift_size"}))

    @property
    def network(self) -> SimpleNN:
        """Return the network before pretraining, one per seed, parameters of shape ``(seeds, 1, ...)``."""
        return simple_nn(self.shape, (len(self.seeds), 1), self.seeds)

    def data(self, base: Mapping[str, Tensor], target: Target) -> Task:
        """Return a target task for each seed."""
        shift = target.shift(self.config.data.shift_size, self.config.placement.decay)
        return target_task(base, shift, target.train_examples, self.sizes, self.seeds)


def cells(config: AdaptationConfig, experiment: str) -> list[Cell]:
    """Return the cells of a part of the study, for each of its target tasks.

    Raises
    ------
    ValueError
        If the part is unknown.
    """
    parts = {
        **{"methods": _methods, "ranks": _ranks, "alphas": _alphas},
        **{"placement": _placements, "shuffled_labels": _controls},
    }
    return parts[experiment](config)


def _sizes(config: AdaptationConfig) -> Sizes:
    """Return the sizes of every method's adapter."""
    sizes = config.sizes
    return Sizes(sizes.rank, sizes.scaling * sizes.rank, 0.0, sizes.bottleneck)


def _methods(config: AdaptationConfig) -> list[Cell]:
    """Return every method that can be attached to a network without attention."""
    found = study_settings(_SITES, _sizes(config))
    return [Cell("methods", setting_name(s.label, s.setting), s.method) for s in found]


def _ranks(config: AdaptationConfig) -> list[Cell]:
    """Return LoRA over the ranks, alpha in proportion, with full fine-tuning as reference."""
    scaling = config.sizes.scaling
    loras = [LoRA(rank, scaling * rank, 0.0, _SITES.linear) for rank in config.ranks]
    return [Cell("ranks", lora.name, lora) for lora in loras] + [Cell("ranks", "full", FullFineTuning())]


def _alphas(config: AdaptationConfig) -> list[Cell]:
    """Return LoRA over alpha and rank under both scalings."""
    return [
        Cell("alphas", "LoRA", LoRA(rank, alpha, 0.0, _SITES.linear, use_rslora=rooted), rule)
        for rooted, rule in ((False, "alpha / r"), (True, "alpha / sqrt(r)"))
        for rank in config.alpha_sweep.ranks
        for alpha in config.alpha_sweep.alphas
    ]


def _placements(config: AdaptationConfig) -> list[Cell]:
    """Return LoRA on either layer and on both with equally many parameters, full fine-tuning, and the head alone."""
    loras = [
        Cell("placement", "LoRA", LoRA(rank, config.sizes.scaling * rank, 0.0, layers), ", ".join(layers))
        for layers, rank in equal_ranks(config)
    ]
    return [*loras, Cell("placement", "full", FullFineTuning()), Cell("placement", "head only", HeadOnly())]


def equal_ranks(config: AdaptationConfig) -> list[tuple[tuple[str, ...], int]]:
    """Return the placements of LoRA, each with the rank that comes closest to the same number of parameters.

    That number is the second layer's at its full rank, which is the most that LoRA can use there.
    """
    data = config.data
    first, second = (data.features, data.hidden_features), (data.hidden_features, data.classes)
    wanted = lora_params(min(second), [second])
    places = {("fc1",): [first], ("fc2",): [second], ("fc1", "fc2"): [first, second]}
    return [(layers, max(1, round(wanted / lora_params(1, widths)))) for layers, widths in places.items()]


def _controls(config: AdaptationConfig) -> list[Cell]:
    """Return LoRA and full fine-tuning, to be trained on labels that say nothing."""
    lora = LoRA(config.sizes.rank, config.sizes.scaling * config.sizes.rank, 0.0, _SITES.linear)
    return [Cell("shuffled_labels", method.name, method) for method in (lora, FullFineTuning())]
