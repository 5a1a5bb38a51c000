"""Words of the report that a reader outside the field lacks, explained where they first appear."""

from __future__ import annotations

from peft_atlas.methods.names import method_summaries
from peft_atlas.report.content import MethodTable, Words

TERMS = (
    ("rank (r)", "inner width of LoRA's update: more rank, more trained weights and a richer change"),
    ("alpha (α)", "scale of LoRA's update, which is multiplied by α / r"),
    ("full", "full fine-tuning: all weights are trained"),
    ("head only", "the network stays frozen; only the classifier on top of it is trained"),
    ("query, key, value", "the linear layers of attention that LoRA is attached to"),
    ("seed", "start of the random numbers of a run: examples drawn, first weights, order. Pairs share a seed"),
    (
        "shift of rank k",
        "a task made from the first one by adding a random matrix of rank k to the first layer's weights",
    ),
    ("TREC", "a set of questions, each labelled with the kind of answer it asks for (Li and Roth 2002)"),
)
# Terms that are of use with some tasks only, and what the titles of these hold.
_OF_TASKS = {"shift of rank k": "shift", "TREC": "TREC"}


def words(table: MethodTable) -> Words:
    """Return the terms of the first page, and the methods that its table names.

    A term that belongs to some tasks is left out where the table has none of them.
    """
    titles = " ".join(task.title for task in table.tasks)
    terms = [(term, meaning) for term, meaning in TERMS if term not in _OF_TASKS or _OF_TASKS[term] in titles]
    names = {line.name for task in table.tasks for line in task.lines}
    methods = tuple(
        (method, summary.removeprefix(f"{method}: ").rstrip("."))
        for method, summary in method_summaries().items()
        if any(name.startswith(method) for name in names) and method not in dict(TERMS)
    )
    return Words("What the names mean", (*terms, *methods))
