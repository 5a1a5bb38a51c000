"""The study's configuration: types, units and limits in one place; an unknown key is an error."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from peft_atlas.errors import AtlasError
from peft_atlas.methods.names import setting_names

MAX_SEEDS = 10_000
# A message names so many faults; a list of ten thousand wrong seeds needs no ten thousand lines.
_MAX_FAULTS = 5
_BRIEF = reprlib.Repr()
_BRIEF.maxlevel, _BRIEF.maxstring, _BRIEF.maxother = 2, 60, 60


def _expand_seeds(value: object) -> object:
    """Return the seeds 0..n-1 for a count n, anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    if not 1 <= value <= MAX_SEEDS:
        raise ValueError(f"a count must be between 1 and {MAX_SEEDS}, or give a list of seeds")
    return tuple(range(value))


def _sorted_unique(values: object) -> object:
    """Return a list as a sorted tuple; a repeated value is an error, since it would train one run twice."""
    # Lists within lists go on to the type check as they are: one made of aliases can be endless when written out.
    if not isinstance(values, list | tuple) or any(isinstance(value, list | tuple | dict) for value in values):
        return values
    if len(set(map(str, values))) != len(values):
        raise ValueError("each value must be given once")
    try:
        return tuple(sorted(values))
    except TypeError:
        return tuple(values)


Seed = Annotated[int, Field(ge=0, lt=2**31)]
Rank = Annotated[int, Field(ge=1, le=4096)]
Alpha = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
Dropout = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Epochs = Annotated[int, Field(ge=1, le=10_000)]
Seeds = Annotated[
    tuple[Seed, ...],
    BeforeValidator(_sorted_unique),
    BeforeValidator(_expand_seeds),
    Field(min_length=1, max_length=MAX_SEEDS, strict=False),
]
Ranks = Annotated[tuple[Rank, ...], BeforeValidator(_sorted_unique), Field(min_length=1, strict=False)]
Formats = Annotated[
    tuple[Literal["pdf", "png", "svg"], ...], BeforeValidator(_sorted_unique), Field(min_length=1, strict=False)
]
Alphas = Annotated[tuple[Alpha, ...], BeforeValidator(_sorted_unique), Field(min_length=1, strict=False)]

Rate = Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)]
Rates = Annotated[tuple[Rate, ...], BeforeValidator(_sorted_unique), Field(min_length=1, strict=False)]

# What comes inside packages; peft_atlas.tasks.packages says in which.
PACKAGED_MODEL = "all-MiniLM-L6-v2"
PACKAGED_TASKS = ("trec6", "trec50", "sent_movie", "sent_nyt", "sent_tweets", "sent_amazon", "sms")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class DataConfig(_Section):
    """The notebook's synthetic task: sizes of its splits and its label noise."""

    features: Count = Field(100, description="input features of one example")
    train_examples: Count = Field(800, description="training examples")
    validation_examples: Count = Field(200, description="held-out examples that settings are chosen on")
    test_examples: Count = Field(1000, description="held-out examples that are read once, after training")
    published_test_examples: Count = Field(200, description="test examples of the protocol as_published")
    label_noise: float = Field(0.1, ge=0, lt=0.5, description="fraction of labels flipped in every split")

    @model_validator(mode="after")
    def _published_test_rows_exist(self) -> DataConfig:
        # as_published relabels the first rows of the training set, so the training set must hold them.
        if self.published_test_examples > self.train_examples:
            allowed = f"at most train_examples = {self.train_examples}"
            raise ValueError(f"published_test_examples = {self.published_test_examples}: allowed: {allowed}")
        return self


class BaselineConfig(_Section):
    """The notebook's section 3: the full model beside one LoRA setting."""

    rank: Rank = Field(8, description="LoRA rank r")
    alpha: Alpha = Field(16.0, description="LoRA alpha; the update is scaled by alpha / r")
    epochs: Epochs = Field(10, description="passes over the training examples")


class NotebookConfig(_Section):
    """The notebook study, sections 2-4."""

    data: DataConfig = DataConfig()
    hidden_features: Count = Field(256, description="width of the hidden layer")
    batch_size: Count = Field(32, description="examples in one optimiser step")
    learning_rate: float = Field(1e-3, gt=0, le=10, description="AdamW learning rate")
    dropout: Dropout = Field(0.1, description="LoRA dropout probability, on the input of A")
    baseline: BaselineConfig = BaselineConfig()
    ranks: Ranks = Field((1, 2, 4, 8, 16, 32), description="ranks r of the sweep")
    alphas: Alphas = Field((1.0, 4.0, 16.0, 32.0, 64.0), description="alphas of the sweep")
    epochs: Epochs = Field(5, description="epochs of each run of the sweep")
    seeds_per_job: Count = Field(10, description="seeds trained together as one job; results do not depend on it")


# What the encoder study can train: the settings of every method, a new one too.
ENCODER_SETTINGS = setting_names()
if TYPE_CHECKING:
    EncoderSetting: TypeAlias = str
else:
    EncoderSetting = Literal[ENCODER_SETTINGS]
_FEW_SETTINGS: tuple[EncoderSetting, ...] = ("full", "head only", "LoRA (query, value)")


class RatesConfig(_Section):
    """One grid of learning rates for each family of methods; validation chooses within it."""

    full: Rates = Field((1e-4, 3e-4, 1e-3), description="full fine-tuning")
    head_only: Rates = Field((1e-2, 3e-2, 1e-1), description="the head on frozen features")
    bitfit: Rates = Field((2e-3, 6e-3, 2e-2), description="BitFit")
    low_rank: Rates = Field((1e-3, 3e-3, 1e-2), description="LoRA, LoRA+, DoRA, BitFit + LoRA")
    adapter: Rates = Field((1e-3, 3e-3, 1e-2), description="series and parallel adapters")
    prefix: Rates = Field((3e-2, 1e-1, 3e-1), description="prefix tuning")
    reft: Rates = Field((3e-3, 1e-2, 3e-2), description="LoReFT")
    ia3: Rates = Field((3e-2, 1e-1, 3e-1), description="(IA)3")

    def of(self, setting: str) -> tuple[float, ...]:
        """Return the grid of a setting; that of low rank where it has none of its own."""
        families = {"full": self.full, "head only": self.head_only, "BitFit": self.bitfit, "PrefT": self.prefix}
        families |= {"AdapterS": self.adapter, "AdapterP": self.adapter, "LoReFT": self.reft, "(IA)3": self.ia3}
        return families.get(setting, self.low_rank)


class TextTaskConfig(_Section):
    """A text classification task: one that comes inside a package, the user's file, or a Hugging Face data set."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")] = Field(description="name of the task")
    file: str | None = Field(None, description="CSV or Parquet file, relative to where the workflow runs")
    dataset: str | None = Field(None, description="a Hugging Face data set, owner/name, or a folder of one")
    subset: str | None = Field(None, description="configuration of that data set, where it has several")
    text: str = Field("text", description="column of the texts")
    label: str = Field("label", description="column of the labels")
    methods: Annotated[tuple[EncoderSetting, ...], Field(min_length=1, strict=False)] = Field(
        ENCODER_SETTINGS, description="what is trained on the task"
    )

    @model_validator(mode="after")
    def _one_source(self) -> TextTaskConfig:
        packaged = self.file is None and self.dataset is None
        if packaged and self.name not in PACKAGED_TASKS:
            raise ValueError(f"give file or dataset, or one of the packaged tasks: {', '.join(PACKAGED_TASKS)}")
        if self.file is not None and self.dataset is not None:
            raise ValueError("give file or dataset, not both")
        if "full" not in self.methods:
            raise ValueError("methods: full must be among them, since every other is compared with it")
        return self


class EncoderConfig(_Section):
    """The encoder study: methods on a pretrained transformer and labelled text."""

    model: str = Field(PACKAGED_MODEL, description="pretrained encoder: the packaged one, a hub name, or a folder")
    max_length: int = Field(32, ge=4, le=4096, description="tokens of a text that are read")
    seeds: Seeds = Field(3, validate_default=True, description="number of seeds, or a list of them")
    tasks: Annotated[tuple[TextTaskConfig, ...], Field(min_length=1, strict=False)] = Field(
        (TextTaskConfig(name="trec6"), TextTaskConfig(name="sent_movie", methods=_FEW_SETTINGS)),
        description="tasks; the first has the rank curve and the controls as well",
    )
    train_examples: Count = Field(320, description="training examples of a seed, drawn from the pool")
    validation_examples: Count = Field(160, description="examples that rates are chosen on")
    test_examples: Count = Field(400, description="examples that are read once, after training")
    drift_texts: Count = Field(64, description="texts of another source whose embeddings are compared")
    epochs: Epochs = Field(2, description="passes over the training examples")
    batch_size: Count = Field(16, description="examples in one optimiser step")
    warmup: float = Field(0.1, ge=0, lt=1, description="fraction of the steps in which the rate rises")
    rates: RatesConfig = RatesConfig()
    ranks: Ranks = Field((1, 8, 64), description="ranks of the rank curve of LoRA and DoRA")
    precision: Literal["float32", "auto"] = Field("float32", description="auto: bfloat16 where the GPU has it")

    @model_validator(mode="after")
    def _names_once(self) -> EncoderConfig:
        names = [task.name for task in self.tasks]
        if len(set(names)) != len(names):
            raise ValueError(f"tasks: each name once, got {', '.join(names)}")
        return self


class ShiftedDataConfig(_Section):
    """The adaptation study's tasks and the network that is pretrained and adapted."""

    features: Count = Field(64, description="input features of one example")
    hidden_features: Count = Field(128, description="width of the hidden layer of base and teacher")
    classes: int = Field(10, ge=2, le=1000, description="classes of the source task and of every target task")
    source_examples: Count = Field(16000, description="training examples of the source task")
    validation_examples: Count = Field(1000, description="held-out examples that learning rates are chosen on")
    test_examples: Count = Field(2000, description="held-out examples that are read once, at the chosen rate")
    shift_size: float = Field(1.0, gt=0, le=100, description="size of a shift over the norm of the shifted weight")


class PretrainingConfig(_Section):
    """How the base is trained on the source task."""

    epochs: Epochs = Field(10, description="passes over the source task's training examples")
    learning_rate: float = Field(1e-3, gt=0, le=10, description="AdamW learning rate")


class AdapterSizesConfig(_Section):
    """How large the adapters of every method are."""

    rank: Rank = Field(8, description="rank of LoRA, DoRA and LoReFT outside the rank sweep")
    scaling: float = Field(2.0, gt=0, le=1e4, description="alpha over rank outside the alpha sweep")
    bottleneck: Rank = Field(8, description="inner width of the adapters in series and in parallel")


class AlphaSweepConfig(_Section):
    """LoRA over alpha, under both scalings, the learning rate tuned for each."""

    shift_rank: Rank = Field(4, description="rank of the target task's shift")
    train_examples: Count = Field(4000, description="training examples of the target task")
    ranks: Ranks = Field((4, 16), description="ranks r of LoRA")
    alphas: Alphas = Field((1.0, 4.0, 16.0, 64.0), description="alphas")


class AdaptationConfig(_Section):
    """The adaptation study: a pretrained network, and target tasks that differ by a weight shift of known rank."""

    seeds: Count = Field(10, description="how many of the study's seeds it takes, the first ones")
    data: ShiftedDataConfig = ShiftedDataConfig()
    pretraining: PretrainingConfig = PretrainingConfig()
    shift_ranks: Ranks = Field((1, 2, 4, 8, 16, 64), description="ranks of the shift in the rank sweep")
    method_shift_ranks: Ranks = Field((1, 4, 16), description="ranks of the shift that all methods are tried on")
    train_examples: Annotated[tuple[Count, ...], BeforeValidator(_sorted_unique), Field(min_length=1, strict=False)] = (
        Field((400, 4000), description="training examples of the target tasks, a budget each")
    )
    steps: Count = Field(400, description="optimiser steps of every run, whatever its budget")
    batch_size: Count = Field(64, description="examples in one optimiser step")
    learning_rates: Rates = Field(
        (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2), description="the grid that every method searches"
    )
    sizes: AdapterSizesConfig = AdapterSizesConfig()
    ranks: Ranks = Field((1, 2, 4, 8, 16, 32), description="ranks r of LoRA in the rank sweep")
    alpha_sweep: AlphaSweepConfig = AlphaSweepConfig()
    equivalence_margin: float = Field(
        0.01, gt=0, lt=1, description="difference in accuracy within which two methods count as equivalent"
    )

    def targets(self) -> dict[str, list[tuple[int, int]]]:
        """Return the target tasks of each part of the study, as (rank of the shift, training examples)."""
        sweep = self.alpha_sweep
        control = (self.method_shift_ranks[0], self.train_examples[-1])
        return {
            "methods": [(rank, examples) for rank in self.method_shift_ranks for examples in self.train_examples],
            "ranks": [(rank, examples) for rank in self.shift_ranks for examples in self.train_examples],
            "alphas": [(sweep.shift_rank, sweep.train_examples)],
            "shuffled_labels": [control],
        }


class StatisticsConfig(_Section):
    """How uncertainty is stated."""

    confidence: float = Field(0.95, gt=0.5, lt=1, description="confidence level of every interval")


class FigureStyle(_Section):
    """How figures look; changing it redraws figures and report only."""

    preset: Literal["one_column", "two_columns", "slide"] = Field(
        "two_columns", description="where the figures are to stand: a column, a page, a slide"
    )
    one_column: float = Field(3.25, ge=1, le=20, description="width of a one-column figure, inches")
    two_columns: float = Field(6.75, ge=1, le=40, description="width of a two-column figure, inches")
    slide: float = Field(12.0, ge=4, le=60, description="width of a figure on a slide, inches")
    font_size: float = Field(8.0, ge=4, le=30, description="font size over two columns, points")
    formats: Formats = Field(("pdf", "png", "svg"), description="file formats; svg is always among them")
    dpi: int = Field(200, ge=50, le=1200, description="resolution of the PNG files, dots an inch")
    palette: Literal["colorblind", "grey"] = Field("colorblind", description="colours of the methods")
    heatmap: Literal["viridis", "cividis", "mako"] = Field("cividis", description="colour map of the heatmaps")

    @property
    def narrow(self) -> bool:
        """Return whether a figure must fit one column; its panels then stand one below the other."""
        return self.preset == "one_column"

    @model_validator(mode="after")
    def _the_report_needs_svg(self) -> FigureStyle:
        if "svg" not in self.formats:
            raise ValueError(f"formats = {list(self.formats)}: svg must be among them, since the report shows it")
        return self


class FiguresConfig(_Section):
    """Settings of the figures."""

    style: FigureStyle = FigureStyle()


Study = Literal["adaptation", "encoder", "notebook"]
STUDIES: tuple[Study, ...] = get_args(Study)


class StudyConfig(_Section):
    """The whole configuration."""

    studies: Annotated[tuple[Study, ...], BeforeValidator(_sorted_unique), Field(min_length=1, strict=False)] = Field(
        STUDIES, description="measured studies that the default target runs; the published tables are always part"
    )
    seeds: Seeds = Field(20, validate_default=True, description="number of seeds, or a list of them")
    device: Literal["auto", "cpu", "cuda"] = Field("cpu", description="where training runs")
    statistics: StatisticsConfig = StatisticsConfig()
    notebook: NotebookConfig = NotebookConfig()
    encoder: EncoderConfig = EncoderConfig()
    adaptation: AdaptationConfig = AdaptationConfig()
    figures: FiguresConfig = FiguresConfig()

    @model_validator(mode="after")
    def _shifts_fit_the_weight(self) -> StudyConfig:
        # Of the whole study alone: a rule is given a part of the section, whose other keys are then defaults.
        own = self.adaptation
        full = min(own.data.features, own.data.hidden_features)
        for key, rank in (
            ("shift_ranks", own.shift_ranks[-1]),
            ("method_shift_ranks", own.method_shift_ranks[-1]),
            ("alpha_sweep.shift_rank", own.alpha_sweep.shift_rank),
        ):
            if rank > full:
                allowed = f"at most {full}, the full rank of the shifted weight"
                raise ValueError(f"adaptation.{key} = {rank}: allowed: {allowed}")
        return self

    def seed_blocks(self) -> dict[int, tuple[int, ...]]:
        """Return the seeds of each training job, by block number; the last block may be shorter."""
        size = self.notebook.seeds_per_job
        starts = range(0, len(self.seeds), size)
        return {block: self.seeds[start : start + size] for block, start in enumerate(starts)}


def load_config(values: Mapping[str, Any]) -> StudyConfig:
    """Return the checked configuration.

    Parameters
    ----------
    values
        Parsed YAML, as Snakemake merged it from ``config.yaml``, ``--configfile`` and ``--config``.

    Raises
    ------
    AtlasError
        One line that names each offending key, its value and what is allowed.
    """
    try:
        return StudyConfig.model_validate(dict(values))
    except ValidationError as error:
        faults = error.errors()
        more = [f"and {len(faults) - _MAX_FAULTS} more"] if len(faults) > _MAX_FAULTS else []
        raise AtlasError("; ".join([*map(_describe, faults[:_MAX_FAULTS]), *more])) from None


def _short(value: object) -> str:
    """Return a value as one short line, however long, deep or strange it is."""
    # reprlib looks at the first parts only, where repr would first write out all of a value made to be endless.
    text = " ".join(_BRIEF.repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."


def _describe(fault: Mapping[str, Any]) -> str:
    """Return one fault of pydantic's as ``config: key = value: what is allowed``."""
    parts = [str(part) for part in fault["loc"]]
    key = ".".join(part if part.isidentifier() or part.isdecimal() else _short(part) for part in parts) or "(top level)"
    shown = _short(fault["input"])
    if fault["type"] == "extra_forbidden":
        section = _section_at(fault["loc"][:-1])
        return f"config: {key} = {shown}: unknown key; allowed here: {', '.join(sorted(section))}"
    # YAML knows lists; that they become tuples is our own affair.
    allowed = fault["msg"].removeprefix("Value error, ").replace("valid tuple", "list").replace("Tuple", "List")
    return f"config: {key} = {shown}: {allowed}"


def _section_at(path: tuple[object, ...]) -> list[str]:
    """Return the keys allowed in the section that a path of keys leads to."""
    section: type[BaseModel] = StudyConfig
    for part in path:
        # The place of an entry in a list leads to no other section.
        if isinstance(part, str):
            annotation = section.model_fields[part].annotation
            section = next(kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type(BaseModel)))
    return list(section.model_fields)


def config_schema() -> dict[str, Any]:
    """Return the JSON schema of the configuration file."""
    return StudyConfig.model_json_schema()


def write_schema(path: Path) -> None:
    """Write the JSON schema that editors and the test of drift read."""
    path.write_text(json.dumps(config_schema(), indent=2, sort_keys=True) + "\n", encoding="utf-8")
