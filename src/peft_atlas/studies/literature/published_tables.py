"""The result tables that the findings on the literature rest on, and the small questions they share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from peft_atlas.analysis.evidence import select
from peft_atlas.studies.literature.families import AVERAGE, COMMONSENSE
from peft_atlas.studies.literature.printed_rows import exact_cells
from peft_atlas.studies.literature.recomputation import PERCENT
from peft_atlas.studies.literature.scores import SEED, SOURCE, scores

LORA, FULL = "LoRA", "full"
NO_INTERVAL = "No interval was published, nor a number of runs."
# How a number was seen that no other source prints: in the seed notebook, or from memory.
_OWN_WORDS = ("quoted_by_seed", "memory")


@dataclass(frozen=True)
class PublishedTables:
    """Tables of the contracts of these names."""

    published: pd.DataFrame
    parameters: pd.DataFrame
    memory: pd.DataFrame
    predictions: pd.DataFrame
    conflicts: pd.DataFrame
    application_verdicts: pd.DataFrame
    references: pd.DataFrame

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Return accuracy and percentage of each method, by base model and family of tasks."""
        return scores(self.published)

    @property
    def families(self) -> list[str]:
        """Return the families of tasks that have scores, commonsense reasoning first."""
        found = list(dict.fromkeys(self.scores["family"]))
        return sorted(found, key=lambda name: (name != COMMONSENSE, name))

    @property
    def models(self) -> list[str]:
        """Return the base models that have scores, the smaller first."""
        return list(dict.fromkeys(self._smaller_first(self.scores)["base_model"]))

    def lora_counts(self) -> pd.DataFrame:
        """Return the recomputed counts of LoRA on the models that have scores."""
        return self.counts[(self.counts["method"] == LORA) & self.counts["base_model"].isin(self.models)]

    @cached_property
    def exact(self) -> pd.DataFrame:
        """Return the cells that print a number."""
        return exact_cells(self.published)

    @cached_property
    def counts(self) -> pd.DataFrame:
        """Return the recomputed counts, one row per base model and configuration, the smaller model first."""
        rows = self.parameters.drop_duplicates(["base_model", "method", "setting"])
        return self._smaller_first(rows)

    def training_bytes(self, precision: str = "bf16_mixed") -> pd.DataFrame:
        """Return the memory table at one precision, the smaller model first."""
        return self._smaller_first(self.memory[self.memory["precision"] == precision])

    def _smaller_first(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return rows sorted by the size of their base model; models that were not counted stay last, as they are."""
        sizes = self.parameters.groupby("base_model")["base_params"].max()
        return rows.sort_values("base_model", key=lambda names: names.map(sizes), kind="stable")

    def groups(self, family: str) -> list[tuple[str, pd.DataFrame]]:
        """Return each base model of a family of tasks with its methods, indexed by method, highest accuracy first."""
        rows = self.scores[self.scores["family"] == family].sort_values("accuracy", ascending=False, kind="stable")
        rows = self._smaller_first(rows)
        return [(str(model), group.set_index("method")) for model, group in rows.groupby("base_model", sort=False)]

    def lora_groups(self, family: str) -> list[tuple[str, pd.DataFrame]]:
        """Return the groups of a family of tasks in which LoRA is one of several; a table need not have it."""
        return [(model, group) for model, group in self.groups(family) if LORA in group.index and len(group) > 1]

    @property
    def lora_families(self) -> list[str]:
        """Return the families of tasks in which LoRA can be compared with other methods."""
        return [family for family in self.families if self.lora_groups(family)]

    def averages_of(self, family: str) -> str:
        """Return the evidence of a family's scores: the averages and the percentages that their source prints."""
        cells = self.exact[self.exact["source"] == SOURCE]
        cells = cells[cells["family"] == family]
        parts = (
            select("published", rows, ("source", "table", "task", "metric"))
            for rows in (cells[cells["task"] == AVERAGE], cells[cells["metric"] == PERCENT])
        )
        return "; ".join(parts)

    def full_pairs(self) -> pd.DataFrame:
        """Return the tasks for which a source prints LoRA and full fine-tuning, with the ``gap`` between them."""
        keys = ["table", "source", "base_model", "task", "metric"]
        lora = self.exact[self.exact["method"] == LORA]
        full = self.exact[self.exact["method"].str.startswith(FULL)]
        pairs = lora.merge(full, on=keys, suffixes=("", "_full"))
        return pairs.assign(gap=pairs["value"] - pairs["value_full"])


def of_other_sources(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of LoRA that were seen in, or follow from, a source other than the seed notebook."""
    return rows[(rows["method"] == LORA) & (rows["source"] != SEED) & ~rows["seen"].isin(_OWN_WORDS)]


def both(words: list[str]) -> str:
    """Return words joined as in a sentence: ``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part) if words else "none"


def ordinal(place: int) -> str:
    """Return 1st, 2nd, 3rd, 4th ... for a place in a ranking."""
    tens, ones = place % 100, place % 10
    ending = "th" if 10 < tens < 20 else {1: "st", 2: "nd", 3: "rd"}.get(ones, "th")
    return f"{place}{ending}"


def gigabytes(number: float) -> str:
    """Return bytes as text in units of 10^9."""
    return f"{number / 1e9:.1f} GB"
