"""The notebook study's section of the configuration."""

from __future__ import annotations

from pydantic import Field, model_validator

from peft_atlas.config_types import Alpha, Alphas, Count, Dropout, Epochs, Rank, Ranks, Rates, Section


class DataConfig(Section):
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


class BaselineConfig(Section):
    """The notebook's section 3: the full model next to one LoRA setting."""

    rank: Rank = Field(8, description="LoRA rank r")
    alpha: Alpha = Field(16.0, description="LoRA alpha; the update is scaled by alpha / r")
    epochs: Epochs = Field(10, description="passes over the training examples")


class TuningConfig(Section):
    """The baseline again, its learning rate chosen on validation for the full model and for LoRA."""

    learning_rates: Rates = Field(
        (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1), description="AdamW learning rates that both search"
    )


class NotebookConfig(Section):
    """The notebook study, sections 2-4."""

    data: DataConfig = DataConfig()
    hidden_features: Count = Field(256, description="width of the hidden layer")
    batch_size: Count = Field(32, description="examples in one optimiser step")
    learning_rate: float = Field(1e-3, gt=0, le=10, description="AdamW learning rate")
    dropout: Dropout = Field(0.1, description="LoRA dropout probability, on the input of A")
    baseline: BaselineConfig = BaselineConfig()
    tuning: TuningConfig = TuningConfig()
    ranks: Ranks = Field((1, 2, 4, 8, 16, 32), description="ranks r of the sweep")
    alphas: Alphas = Field((1.0, 4.0, 16.0, 32.0, 64.0), description="alphas of the sweep")
    epochs: Epochs = Field(5, description="epochs of each run of the sweep")
    seeds_per_job: Count = Field(10, description="seeds trained together as one job; results do not depend on it")
