"""Controls without a language model: the most frequent answer, and counts of words."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from math import log

from peft_atlas.step import Step
from peft_atlas.studies.decoder.config import DecoderConfig
from peft_atlas.studies.decoder.data.examples import Rows, read_rows
from peft_atlas.studies.decoder.jobs import CONTROLS_PART, COUNTS, PRIOR
from peft_atlas.studies.decoder.rows import Untrained, rows_of_untrained
from peft_atlas.studies.decoder.run import Answered
from peft_atlas.tables.contract import write_table
from peft_atlas.tables.schemas import ITEMS
from peft_atlas.training.tuning import Tables


class WordCounts:
    """Naive Bayes on the words of a prompt: how often a word came with an answer among the training rows.

    Counts are raised by one, so that a word or an answer that was not seen has a small probability and not none.

    Parameters
    ----------
    prompts, answers
        The training rows.
    """

    def __init__(self, prompts: Sequence[str], answers: Sequence[str]) -> None:
        self._answers = Counter(answers)
        self._words: dict[str, Counter[str]] = defaultdict(Counter)
        for prompt, answer in zip(prompts, answers, strict=True):
            self._words[answer].update(words_of(prompt))
        self._vocabulary = len({word for counts in self._words.values() for word in counts})

    def prior(self, answer: str) -> float:
        """Return how often an answer was right, raised by one; only the order counts."""
        return log(self._answers[answer] + 1)

    def score(self, prompt: str, answer: str) -> float:
        """Return the logarithm of an answer's probability given the words, up to what all answers have in common."""
        counts = self._words.get(answer, Counter())
        total = counts.total() + self._vocabulary
        return self.prior(answer) + sum(log((counts[word] + 1) / total) for word in words_of(prompt))


def words_of(text: str) -> list[str]:
    """Return the words of a text in small letters, without marks at their ends."""
    return [word for each in text.lower().split() if (word := each.strip(".,;:!?()\"'"))]


def counted(rows: Rows, train_examples: int, seed: int) -> list[Untrained]:
    """Return what the most frequent answer and the counts of words get right, from the training rows of a seed.

    A task of choices is answered from its choices. Else every answer of the training rows is a candidate.
    """
    train, test = rows.drawn(train_examples, seed), rows.split("test")
    counts = WordCounts(train["prompt"].tolist(), train["answer"].tolist())
    seen = sorted(set(train["answer"]))
    right: dict[str, list[bool]] = {PRIOR: [], COUNTS: []}
    for prompt, answer, choices in zip(test["prompt"], test["answer"], test["choices"], strict=True):
        candidates = seen if choices is None else list(choices)
        right[PRIOR].append(max(candidates, key=counts.prior) == answer)
        right[COUNTS].append(max(candidates, key=lambda each: counts.score(prompt, each)) == answer)
    return [
        Untrained(CONTROLS_PART, name, None, seed, test, Answered(tuple(correct), (None,) * len(correct), None))
        for name, correct in right.items()
    ]


def counts_step(step: Step) -> None:
    """Fit the controls without a language model on the training rows of every seed."""
    config, rows = DecoderConfig.model_validate(step.params["config"]), read_rows(step.path("examples"))
    (task,), tables = config.tasks, Tables()
    for seed in step.params["seeds"]:
        for each in counted(rows, task.train_examples, seed):
            tables.add(rows_of_untrained(task, "none", "cpu", each, {}))
    write_tables(step, tables)


def write_tables(step: Step, tables: Tables) -> None:
    """Write the rows of runs, curves, costs and items."""
    step.write("runs", tables.runs)
    step.write("curves", tables.curves)
    step.write("costs", tables.costs)
    write_table(ITEMS, tables.items, step.output("per_item"))
