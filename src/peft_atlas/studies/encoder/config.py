"""The encoder study's section of the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import Field, model_validator

from peft_atlas.config_types import Count, Epochs, Precision, Ranks, Rates, Section, Seeds
from peft_atlas.methods.names import setting_names
from peft_atlas.studies.encoder.packaged import PACKAGED_MODEL, PACKAGED_TASKS

# What the encoder study can train: the settings of every method, a new one too.
ENCODER_SETTINGS = setting_names()
if TYPE_CHECKING:
    EncoderSetting: TypeAlias = str
else:
    EncoderSetting = Literal[ENCODER_SETTINGS]
PRIMARY = "LoRA (query, value)"
# What the default leaves out on its first task for its cost; a method that is added is trained.
_WITHOUT: tuple[EncoderSetting, ...] = (
    *("LoRA+", "DoRA (half)", "BitFit + LoRA", "AdapterS", "AdapterP", "PrefT", "LoReFT"),
)


class RatesConfig(Section):
    """One grid of learning rates for each family of methods, which grows where validation prefers its end."""

    full: Rates = Field((1e-4, 3e-4, 1e-3), description="full fine-tuning")
    head_only: Rates = Field((1e-2, 3e-2, 1e-1), description="the head on frozen features")
    bitfit: Rates = Field((2e-3, 6e-3, 2e-2), description="BitFit")
    low_rank: Rates = Field((3e-3, 1e-2, 3e-2), description="LoRA, LoRA+, DoRA, BitFit + LoRA")
    adapter: Rates = Field((3e-3, 1e-2, 3e-2), description="series and parallel adapters")
    prefix: Rates = Field((3e-2, 1e-1, 3e-1), description="prefix tuning")
    reft: Rates = Field((3e-3, 1e-2, 3e-2), description="LoReFT")
    ia3: Rates = Field((3e-2, 1e-1, 3e-1), description="(IA)3")

    def of(self, setting: str) -> tuple[float, ...]:
        """Return the grid of a setting; that of low rank where it has none of its own."""
        families = {"full": self.full, "head only": self.head_only, "BitFit": self.bitfit, "PrefT": self.prefix}
        families |= {"AdapterS": self.adapter, "AdapterP": self.adapter, "LoReFT": self.reft, "(IA)3": self.ia3}
        return families.get(setting, self.low_rank)


class TextTaskConfig(Section):
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
    without: Annotated[tuple[EncoderSetting, ...], Field(strict=False)] = Field(
        (), description="settings that are left out of these"
    )

    @model_validator(mode="before")
    @classmethod
    def _leave_out(cls, values: Any) -> Any:
        left_out = values.get("without") if isinstance(values, dict) else None
        if not isinstance(left_out, list | tuple) or not left_out:
            return values
        methods = values.get("methods", ENCODER_SETTINGS)
        kept = [name for name in methods if name not in left_out] if isinstance(methods, list | tuple) else methods
        return {**values, "methods": kept}

    @model_validator(mode="after")
    def _one_source(self) -> TextTaskConfig:
        packaged = self.file is None and self.dataset is None
        if packaged and self.name not in PACKAGED_TASKS:
            raise ValueError(f"give file or dataset, or one of the packaged tasks: {', '.join(PACKAGED_TASKS)}")
        if self.file is not None and self.dataset is not None:
            raise ValueError("give file or dataset, not both")
        if self.text == self.label:
            raise ValueError(f"text and label: two columns, got {self.text!r} for both")
        if any(mark in (self.file or "") for mark in "{}\n\0"):
            raise ValueError(f"file = {self.file!r}: a path without braces, which Snakemake takes for wildcards")
        if "full" not in self.methods:
            raise ValueError("methods: full must be among them, since every other is compared with it")
        return self


class PeftMethodConfig(Section):
    """A method that `peft` has, trained on the first task as the exploratory ones are."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 .+-]{0,29}$")] = Field(
        description="its name in tables and figures, which no other method has"
    )
    peft: dict[str, Any] = Field(description="peft_type and keys of peft's configuration of that type")
    rates: Rates | None = Field(None, description="grid of learning rates; that of low rank if left out")


class PrimaryConfig(Section):
    """The prespecified question: whether one setting is as good as full fine-tuning, on every task that trains it."""

    method: EncoderSetting = Field(PRIMARY, description="what is compared with full fine-tuning")
    seeds: Seeds = Field(15, validate_default=True, description="number of seeds, or a list of them")
    search_seeds: Annotated[int, Field(ge=1, le=100)] = Field(2, description="seeds that rates are chosen with")
    margin: float = Field(0.015, gt=0, lt=1, description="difference in accuracy that does not matter")


class ExploratoryConfig(Section):
    """All other settings and ranks, on the first task or wherever a task names them."""

    seeds: Seeds = Field(3, validate_default=True, description="number of seeds, or a list of them")
    search_seeds: Annotated[int, Field(ge=1, le=100)] = Field(1, description="seeds that rates are chosen with")
    keep: Annotated[int, Field(ge=1, le=100)] = Field(2, description="rates that go on after the first epoch")
    validation_examples: Count = Field(400, description="examples that rates are chosen on")
    test_examples: Count = Field(800, description="examples that are read once, after training")


class BudgetConfig(Section):
    """A larger budget of training for full fine-tuning and the primary method, on the first task."""

    train_examples: Count = Field(1280, description="training examples of a seed")
    epochs: Epochs = Field(2, description="passes over them")
    seeds: Seeds = Field(3, validate_default=True, description="number of seeds, or a list of them")


class EncoderConfig(Section):
    """The encoder study: methods on a pretrained transformer and labelled text."""

    model: str = Field(PACKAGED_MODEL, description="pretrained encoder: the packaged one, a hub name, or a folder")
    max_length: int = Field(32, ge=4, le=4096, description="tokens of a text that are read")
    tasks: Annotated[tuple[TextTaskConfig, ...], Field(min_length=1, strict=False)] = Field(
        (TextTaskConfig(name="trec6", without=_WITHOUT), TextTaskConfig(name="sent_movie", methods=("full", PRIMARY))),
        description="tasks; the first has the rank curve, the larger budgets and the controls as well",
    )
    peft_methods: Annotated[tuple[PeftMethodConfig, ...], Field(strict=False)] = Field(
        (), description="methods of peft, trained on the first task in addition to its own"
    )
    train_examples: Count = Field(320, description="training examples of a seed, drawn from the pool")
    validation_examples: Count = Field(818, description="examples that rates are chosen on")
    test_examples: Count = Field(1655, description="examples that are read once, after training")
    drift_texts: Count = Field(64, description="texts of another source whose embeddings are compared")
    epochs: Epochs = Field(2, description="passes over the training examples")
    batch_size: Count = Field(16, description="examples in one optimiser step")
    warmup: float = Field(0.1, ge=0, lt=1, description="fraction of the steps in which the rate rises")
    primary: PrimaryConfig = PrimaryConfig()
    exploratory: ExploratoryConfig = ExploratoryConfig()
    larger_budgets: Annotated[tuple[BudgetConfig, ...], Field(strict=False)] = Field(
        (BudgetConfig(),), description="larger budgets of training; may be empty"
    )
    rates: RatesConfig = RatesConfig()
    extensions: Annotated[int, Field(ge=0, le=10)] = Field(2, description="how often a grid may grow")
    ranks: Ranks = Field((1, 8, 64), description="ranks of the rank curve of LoRA")
    precision: Precision = Field("auto", description="auto: bfloat16 where the device has it")

    @model_validator(mode="after")
    def _names_once(self) -> EncoderConfig:
        names = [task.name for task in self.tasks]
        if len(set(names)) != len(names):
            raise ValueError(f"tasks: each name once, got {', '.join(names)}")
        if len(self.ranks) > 1 and len(self.rates.low_rank) < 2:
            raise ValueError("ranks: each has a rate of its own, so that rates.low_rank must hold two or more")
        budgets = [self.train_examples, *(budget.train_examples for budget in self.larger_budgets)]
        if len(set(budgets)) != len(budgets):
            raise ValueError(f"larger_budgets: each train_examples once, got {', '.join(map(str, budgets))}")
        return self
