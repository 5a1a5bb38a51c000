"""Contract of the laboratory's own table."""

from __future__ import annotations

from peft_atlas.tables.columns import flag, integer, number, text
from peft_atlas.tables.contract import Contract

INTRUDERS = Contract(
    "laboratory_intruders",
    1,
    ("method", "rank", "learning_rate", "seed"),
    (
        text("method", "fine-tuning method; or the network before, or with the weights that solve the task"),
        integer("rank", "rank r; null if the method has none"),
        number("learning_rate", "optimiser learning rate; null where nothing was trained"),
        integer("seed", "seed of the network", required=True),
        flag("selected", "validation selected this learning rate; null where nothing was trained"),
        number("validation_accuracy", "accuracy on the target task's validation split", "fraction"),
        integer("intruders", "intruders among the first left singular vectors of the first layer", required=True),
    ),
)
