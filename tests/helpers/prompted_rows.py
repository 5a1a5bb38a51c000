"""Prompts with answers for a small language model."""

import random

from peft_atlas.training.language_model import Prompted


def rows(count, seed=0):
    """Return rows of different lengths whose answers repeat the prompt's ends."""
    draw = random.Random(seed)
    prompts = [[draw.randrange(20) for _ in range(draw.randint(1, 9))] for _ in range(count)]
    return Prompted(prompts, [[each[-1], each[0], *[7] * draw.randint(0, 3)] for each in prompts])
