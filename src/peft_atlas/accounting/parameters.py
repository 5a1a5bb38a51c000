"""Trainable parameters of every documented configuration, in closed form; needs no torch.

The percentages in published tables depend on settings that the tables themselves do not state. This module lists each
setting, says where it is documented, and counts its parameters. `peft_atlas.accounting.attached` counts the same
settings again, from models with the adapters attached.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Protocol

import pandas as pd

from peft_atlas.accounting.architectures import BERT_BASE, DECODERS, DecoderGeometry, EncoderGeometry
from peft_atlas.accounting.closed_forms import lora_params

CLOSED_FORM = "closed_form"
COLUMNS = (
    "base_model",
    "method",
    "setting",
    "way",
    "trainable_params",
    "base_params",
    "percent_with_adapter",
    "percent_without_adapter",
    "configuration_source",
)
FIVE_MODULES = ("q_proj", "k_proj", "v_proj", "up_proj", "down_proj")
BERT_MODULES = ("query", "key", "value")
BERT_RANK = 8
BERT_LABELS = 2


def percent_of_total(trainable: int, base: int) -> float:
    """Trainable parameters as a percentage of base plus adapter, as peft and LLM-Adapters print it."""
    return 100 * trainable / (base + trainable)


def percent_of_base(trainable: int, base: int) -> float:
    """Trainable parameters as a percentage of the base alone, as defined in a caption of ReFT v3."""
    return 100 * trainable / base


# Both the classes below and those in `peft_atlas.methods` know how many parameters a method trains. They are separate
# because a method counts what it adds to an existing torch module, whereas these count a whole decoder from its
# geometry and have to work without torch. tests/unit/test_accounting.py compares the two on random shapes.
class Adapter(Protocol):
    """A configuration whose number of trainable parameters follows from the decoder's shape."""

    def trainable_params(self, geometry: DecoderGeometry) -> int:
        """Count the parameters that are trained."""


def _widths(geometry: DecoderGeometry | EncoderGeometry, modules: Collection[str]) -> list[tuple[int, int]]:
    """List the input and output width of the named modules, over all layers."""
    return [shape.widths for shape in geometry.shapes(modules)]


@dataclass(frozen=True)
class Prefix:
    """Prefix tuning (arXiv:2101.00190) without projection: one key and one value per layer and virtual token."""

    virtual_tokens: int

    def trainable_params(self, geometry: DecoderGeometry) -> int:
        """Count tokens x layers x 2 x hidden."""
        return self.virtual_tokens * geometry.layers * 2 * geometry.hidden


@dataclass(frozen=True)
class Series:
    """Bottleneck adapters in series with linear modules, on the hidden-width side of each; no biases.

    The LLM-Adapters code places the adapter before up_proj and gate_proj and after down_proj, so its width is
    ``hidden`` in every case.
    """

    bottleneck: int
    modules: tuple[str, ...]

    def trainable_params(self, geometry: DecoderGeometry) -> int:
        """Count 2 x bottleneck x hidden per module."""
        return len(geometry.shapes(self.modules)) * 2 * self.bottleneck * geometry.hidden


@dataclass(frozen=True)
class Parallel:
    """Bottleneck adapters parallel to linear modules, from each one's input to its output; no biases."""

    bottleneck: int
    modules: tuple[str, ...]

    def trainable_params(self, geometry: DecoderGeometry) -> int:
        """Count bottleneck x (inputs + outputs) per module."""
        return lora_params(self.bottleneck, _widths(geometry, self.modules))


@dataclass(frozen=True)
class LowRank:
    """LoRA or, with ``magnitude``, DoRA (arXiv:2402.09353), which adds one magnitude per output."""

    rank: int
    modules: tuple[str, ...] = FIVE_MODULES
    magnitude: bool = False

    def trainable_params(self, geometry: DecoderGeometry) -> int:
        """Count r (in + out) over all modules, plus, for DoRA, their outputs."""
        widths = _widths(geometry, self.modules)
        return lora_params(self.rank, widths) + self.magnitude * sum(outputs for _, outputs in widths)


@dataclass(frozen=True)
class Loreft:
    """LoReFT (arXiv:2404.03592, eq. 2): R (r x d) and a linear map to r with bias, one pair per layer.

    Prefix and suffix positions share the pair (``--share_weights``). R stays orthonormal during training; like the
    paper, we count its entries, not its degrees of freedom.
    """

    rank: int

    def trainable_params(self, geometry: DecoderGeometry) -> int:
        """Count layers x (2 r hidden + r)."""
        return geometry.layers * (2 * self.rank * geometry.hidden + self.rank)


@dataclass(frozen=True)
class MethodSetting:
    """A method in one documented configuration, and where that is documented."""

    method: str
    setting: str
    configuration_source: str
    adapter: Adapter


SETTINGS = (
    MethodSetting(
        "PrefT",
        "10 virtual tokens, no projection",
        "LLM-Adapters 8166572, math_running_commands (7B) and issue 32 (13B)",
        Prefix(10),
    ),
    MethodSetting(
        "PrefT", "30 virtual tokens, no projection", "LLM-Adapters 8166572, default of finetune.py", Prefix(30)
    ),
    MethodSetting(
        "AdapterS",
        "once a layer: bottleneck 256 on down_proj",
        "LLM-Adapters issue 45, the command on commonsense_170k.json",
        Series(256, ("down_proj",)),
    ),
    MethodSetting(
        "AdapterS",
        "twice a layer: bottleneck 256 on up_proj and gate_proj",
        "LLM-Adapters 8166572, math_running_commands",
        Series(256, ("up_proj", "gate_proj")),
    ),
    MethodSetting(
        "AdapterP",
        "bottleneck 256 on up_proj and down_proj",
        "LLM-Adapters 8166572",
        Parallel(256, ("up_proj", "down_proj")),
    ),
    MethodSetting("LoRA", "r=32 on q, k, v, up, down", "DoRA v6, Table 8; LLM-Adapters 8166572", LowRank(32)),
    MethodSetting("DoRA (half)", "r=16 on q, k, v, up, down", "DoRA v6, Table 8", LowRank(16, magnitude=True)),
    MethodSetting("DoRA", "r=32 on q, k, v, up, down", "DoRA v6, Table 8", LowRank(32, magnitude=True)),
    MethodSetting(
        "LoReFT",
        "r=8 on every layer, first 7 and last 7 positions sharing weights",
        "pyreft examples/loreft/README.md",
        Loreft(8),
    ),
)


@dataclass(frozen=True)
class Count:
    """The number of parameters that a setting trains, and the size of its base without the adapter."""

    base_model: str
    method: str
    setting: str
    configuration_source: str
    trainable_params: int
    base_params: int

    def row(self, way: str) -> dict[str, object]:
        """Build a row of a parameter table."""
        return {
            **vars(self),
            "way": way,
            "percent_with_adapter": percent_of_total(self.trainable_params, self.base_params),
            "percent_without_adapter": percent_of_base(self.trainable_params, self.base_params),
        }


def table_of(counts: Iterable[Count], way: str) -> pd.DataFrame:
    """Tabulate counts with the columns `COLUMNS`; counts are int64."""
    return pd.DataFrame([count.row(way) for count in counts], columns=list(COLUMNS))


def decoder_counts() -> list[Count]:
    """Count every setting on LLaMA-7B and LLaMA-13B."""
    return [
        decoder_count(geometry, setting, setting.adapter.trainable_params(geometry), geometry.total_params())
        for geometry in DECODERS
        for setting in SETTINGS
    ]


def decoder_count(geometry: DecoderGeometry, setting: MethodSetting, trainable: int, base: int) -> Count:
    """Label a number of parameters with the setting it belongs to."""
    return Count(geometry.name, setting.method, setting.setting, setting.configuration_source, trainable, base)


def bert_counts() -> list[Count]:
    """Count the seed notebook's section 5: LoRA on BERT, with and without its head."""
    adapter = lora_params(BERT_RANK, _widths(BERT_BASE, BERT_MODULES))
    return bert_parts(adapter, BERT_BASE.head_params(BERT_LABELS), BERT_BASE.total_params(BERT_LABELS))


def bert_parts(adapter: int, head: int, base: int) -> list[Count]:
    """Label three counts: adapter and head together, the adapter alone, and the head alone.

    peft trains a copy of the head and keeps the frozen original, so its total, base + adapter + head, includes the
    head twice; the first count is the one it prints. For the head alone, the base is the encoder without a head.
    """
    lora = f"r={BERT_RANK} on {', '.join(BERT_MODULES)}"
    head_of = f"classification head of {BERT_LABELS} labels"
    parts = (
        ("LoRA", f"{lora}, with the {head_of}", adapter + head, base),
        ("LoRA", f"{lora}, head apart", adapter, base),
        ("head", f"{head_of} alone", head, base - head),
    )
    return [
        Count(BERT_BASE.name, method, setting, "seed notebook, section 5", trainable, of)
        for method, setting, trainable, of in parts
    ]


def closed_form_table() -> pd.DataFrame:
    """Tabulate the closed-form counts, one row per base model and setting, with ``way`` = closed_form."""
    return table_of([*decoder_counts(), *bert_counts()], CLOSED_FORM)
