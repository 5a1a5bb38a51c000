"""The decoder study's section of the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from peft_atlas.config_types import Count, Epochs, Precision, Ranks, Rates, Section, Seeds
from peft_atlas.methods.names import setting_names
from peft_atlas.studies.decoder.packaged import COMMONSENSE, PACKAGED_MODEL, PACKAGED_TASKS

# What the study can train: the settings of every method that leaves no head of its own.
DECODER_SETTINGS = tuple(name for name in setting_names() if name != "head only")
if TYPE_CHECKING:
    DecoderSetting: TypeAlias = str
else:
    DecoderSetting = Literal[DECODER_SETTINGS]
RANK_CURVE = "LoRA (all linear modules)"
_FEW: tuple[DecoderSetting, ...] = ("full", RANK_CURVE, "(IA)3")


class DecoderRatesConfig(Section):
    """One grid of learning rates for each family of methods, which grows where validation prefers its end."""

    full: Rates = Field((3e-5, 1e-4, 3e-4), description="full fine-tuning, BitFit")
    low_rank: Rates = Field((3e-4, 1e-3, 3e-3), description="LoRA, LoRA+, DoRA, BitFit + LoRA")
    adapter: Rates = Field((3e-4, 1e-3, 3e-3), description="series and parallel adapters")
    prefix: Rates = Field((1e-3, 3e-3, 1e-2), description="prefix tuning")
    reft: Rates = Field((3e-4, 1e-3, 3e-3), description="LoReFT")
    ia3: Rates = Field((1e-2, 3e-2, 1e-1), description="(IA)3")

    def of(self, setting: str) -> tuple[float, ...]:
        """Return the grid of a setting; that of low rank where it has none of its own."""
        families = {"full": self.full, "BitFit": self.full, "PrefT": self.prefix, "LoReFT": self.reft}
        families |= {"AdapterS": self.adapter, "AdapterP": self.adapter, "(IA)3": self.ia3}
        return families.get(setting, self.low_rank)


class DecoderTaskConfig(Section):
    """A task: one that is made here or comes inside a package, or the user's own prompts and answers."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")] = Field(description="name of the task")
    file: str | None = Field(None, description="JSONL or CSV file, relative to where the workflow runs")
    methods: Annotated[tuple[DecoderSetting, ...], Field(min_length=1, strict=False)] = Field(
        _FEW, description="what is trained on the task; full must be among them"
    )
    train_examples: Count = Field(120, description="training rows of a seed, drawn from the pool")
    validation_examples: Count = Field(50, description="rows that rates are chosen on")
    test_examples: Count = Field(180, description="rows that are read once, after training")
    epochs: Epochs = Field(3, description="passes over the training rows")

    @model_validator(mode="after")
    def _one_source(self) -> DecoderTaskConfig:
        if self.file is not None and self.name in PACKAGED_TASKS:
            raise ValueError(f"name = {self.name!r} is a task of this study: give your file another name")
        if self.file is None and self.name not in PACKAGED_TASKS:
            raise ValueError(f"give file, or one of the tasks that need none: {', '.join(PACKAGED_TASKS)}")
        if any(mark in (self.file or "") for mark in "{}\n\0"):
            raise ValueError(f"file = {self.file!r}: a path without braces, which Snakemake takes for wildcards")
        if "full" not in self.methods:
            raise ValueError("methods: full must be among them, since every other is compared with it")
        return self


class DecoderConfig(Section):
    """The decoder study: methods on a language model of the LLaMA family."""

    model: str = Field(PACKAGED_MODEL, description="language model: the packaged one, random, a hub name, or a folder")
    tasks: Annotated[tuple[DecoderTaskConfig, ...], Field(min_length=1, strict=False)] = Field(
        (DecoderTaskConfig(name=COMMONSENSE),), description="tasks; methods are compared on each"
    )
    plain_texts: Count = Field(48, description="texts that are not trained on, whose loss shows what is forgotten")
    few_shots: Count = Field(4, description="rows with their answers before the prompt of the few-shot reference")
    few_shot_examples: Count = Field(60, description="test rows that this reference is read on")
    batch_size: Count = Field(16, description="rows in one optimiser step")
    warmup: float = Field(0.1, ge=0, lt=1, description="fraction of the steps in which the rate rises")
    seeds: Seeds = Field(5, validate_default=True, description="number of seeds, or a list of them")
    search_seeds: Annotated[int, Field(ge=1, le=100)] = Field(1, description="seeds that rates are chosen with")
    keep: Annotated[int, Field(ge=1, le=100)] = Field(2, description="rates that go on after the first epoch")
    extensions: Annotated[int, Field(ge=0, le=10)] = Field(2, description="how often a grid may grow")
    rates: DecoderRatesConfig = DecoderRatesConfig()
    ranks: Ranks = Field((8,), description=f"ranks of {RANK_CURVE}, each with a rate of its own; 8 is that of all else")
    shuffled_seeds: Annotated[int, Field(ge=0, le=100)] = Field(
        1, description="seeds of the control that trains on shuffled answers; 0 leaves it out"
    )
    precision: Precision = Field("float32", description="auto: bfloat16 where the device has it")

    @model_validator(mode="after")
    def _names_once(self) -> DecoderConfig:
        names = [task.name for task in self.tasks]
        if len(set(names)) != len(names):
            raise ValueError(f"tasks: each name once, got {', '.join(names)}")
        return self
