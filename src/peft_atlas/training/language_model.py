"""Fine-tune a language model on prompts with answers, and read what it makes of answers, choices and plain text.

The loss is that of the answers' tokens alone, and logits are computed there alone: a table of 49,152 tokens costs a
small model a fifth of its time at every position. The tables of tokens never learn, in full fine-tuning either: a
task's rows name a small part of them, and the gradient of a tied table is dense.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from peft_atlas.errors import AtlasError
from peft_atlas.methods.texts import asks_for_prompts, prompts
from peft_atlas.models.llama import Llama
from peft_atlas.training.batches import Ragged
from peft_atlas.training.checkpoint import Checkpoint
from peft_atlas.training.epochs import EVALUATION_ROWS, EpochTraining, FinetunePlan
from peft_atlas.training.history import Adapted
from peft_atlas.training.precision import autocast

# Positions whose logits are computed at once without training: 100 MB of a vocabulary of 49,152.
_EVALUATION_POSITIONS = 512
# Tokens, with padding, of which a processor keeps what the backward pass needs: about 1.3 MB each at 135 million
# weights. More at once are faster, but where most weights learn, their gradients and moments take the room.
_TOKENS_AT_ONCE, _TOKENS_AT_ONCE_IN_FULL = 400, 128


@dataclass(frozen=True)
class Prompted:
    """Prompts and the answers that follow them, as token ids; a row is both.

    Raises
    ------
    AtlasError
        If there are no rows, not as many answers as prompts, or one of them has no tokens.
    """

    prompts: list[list[int]]
    answers: list[list[int]]

    def __post_init__(self) -> None:
        if not self.prompts or len(self.prompts) != len(self.answers):
            raise AtlasError(
                f"rows: {len(self.prompts)} prompts and {len(self.answers)} answers; allowed: as many, and at least 1"
            )
        for kind, texts in (("prompt", self.prompts), ("answer", self.answers)):
            empty = next((place for place, tokens in enumerate(texts) if not tokens), None)
            if empty is not None:
                raise AtlasError(f"rows: {kind} {empty} has no tokens; allowed: at least 1")

    def check_context(self, context: int) -> None:
        """Raise an AtlasError if a row has more tokens than a model's context."""
        for place, (prompt, answer) in enumerate(zip(self.prompts, self.answers, strict=True)):
            if len(prompt) + len(answer) > context:
                raise AtlasError(
                    f"rows: row {place} has {len(prompt)} tokens of prompt and {len(answer)} of answer; allowed: at "
                    f"most {context} together, the model's context"
                )


@dataclass(frozen=True)
class Answering:
    """Rows as tensors: all their tokens but the last, and the answers' tokens, which are predicted.

    Attributes
    ----------
    rows : Ragged
        Token ids, or the states that the first ``stages`` stages make of them.
    answers : Ragged
        Token ids of the answers.
    first : Tensor
        Position at which the first token of each answer is predicted, shape ``(rows,)``.
    stages : int
        Stages that have run on the rows already.
    """

    rows: Ragged
    answers: Ragged
    first: Tensor
    stages: int = 0

    @classmethod
    def of(cls, rows: Prompted, model: Llama) -> Answering:
        """Return rows on a model's device, after checking that they fit its context."""
        rows.check_context(model.context)
        joined = [[*prompt, *answer][:-1] for prompt, answer in zip(rows.prompts, rows.answers, strict=True)]
        first = torch.tensor([len(prompt) - 1 for prompt in rows.prompts], device=model.device)
        return cls(Ragged.of(joined, model.device), Ragged.of(rows.answers, model.device), first)

    def read(self, model: Llama, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits at the answers' tokens of some rows, one row after the other, and the tokens.

        Shapes ``(positions, vocabulary)`` and ``(positions,)``.
        """
        states, mask = self.rows.batch(rows)
        at = (torch.arange(mask.shape[1], device=mask.device) >= self.first[rows, None]) & mask
        answers, present = self.answers.batch(rows)
        asking = asks_for_prompts(model)
        with prompts(model, self.first[rows] + 1) if asking else nullcontext():
            logits = model(states, mask, self.stages, at)
        return logits.float(), answers[present]


@dataclass(frozen=True)
class Scored:
    """What a model makes of answers, on the CPU, each of shape ``(rows,)``.

    Attributes
    ----------
    loss : Tensor
        Mean loss of an answer's tokens, in nats per token.
    log_likelihood : Tensor
        Sum of the log-likelihoods of an answer's tokens, in nats.
    exact : Tensor
        Whether every token of the answer is the likeliest one after those before it, which is whether writing greedily
        gives the answer.
    tokens : Tensor
        How many tokens the answer has.
    """

    loss: Tensor
    log_likelihood: Tensor
    exact: Tensor
    tokens: Tensor

    @property
    def loss_per_token(self) -> float:
        """Return the loss of all answers' tokens, in nats per token."""
        return -float(self.log_likelihood.sum()) / int(self.tokens.sum())

    @property
    def accuracy(self) -> float:
        """Return the fraction of answers that are matched exactly."""
        return int(self.exact.sum()) / len(self.exact)


class LanguageTuning(EpochTraining[Prompted, Answering]):
    """A run of a `Llama` with a method attached, on prompts with answers; see `EpochTraining`.

    The history's validation loss is that of the answers, in nats per token, and its accuracy the share of answers that
    are matched exactly. A batch's loss is the mean over its answers' tokens.

    Raises
    ------
    AtlasError
        If a row is longer than the model's context, nothing would learn, or a table of tokens would.
    """

    def __init__(
        self, attached: Adapted, train: Prompted, plan: FinetunePlan, seed: int, checkpoint: Checkpoint | None = None
    ) -> None:
        self.model = cast(Llama, attached.model)
        _check_learning(attached, self.model)
        frozen = self.model.frozen_stages()
        # To look up embeddings again costs less than to keep them.
        self._frozen = 0 if frozen == 1 else min(frozen, len(self.model.layers) + 1)
        learning = sum(parameter.numel() for parameter in attached.trainable().values())
        self._in_full = 2 * learning > sum(parameter.numel() for parameter in self.model.layers.parameters())
        super().__init__(attached, train, plan, seed, checkpoint)

    def _precision(self) -> AbstractContextManager[Any]:
        return autocast(self.model.device, self.plan.bfloat16)

    def ragged(self, part: Answering) -> Ragged:
        """Return the rows of states that batches are made of."""
        return part.rows

    @torch.no_grad()
    def advanced(self, part: Prompted) -> Answering:
        """Return rows as tensors after the frozen stages at the start, which no step will change."""
        given = Answering.of(part, self.model)
        if not self._frozen:
            return given
        with self._precision():
            rows = given.rows.mapped(lambda states, _: self.model.run(states, 0, self._frozen).float(), EVALUATION_ROWS)
        return Answering(rows, given.answers, given.first, self._frozen)

    def gradient(self, rows: Tensor) -> float:
        """Compute the gradient of the mean loss of some rows' answers' tokens, and return that loss, in nats.

        A processor takes so many rows at once as it is fast with, and adds the parts' gradients.
        """
        padded, total = len(rows) * int(self._train.rows.lengths[rows].max()), 0.0
        at_once = _TOKENS_AT_ONCE_IN_FULL if self._in_full else _TOKENS_AT_ONCE
        parts = -(-padded // at_once) if self.model.device.type == "cpu" else 1
        answers = int(self._train.answers.lengths[rows].sum())
        for part in rows.tensor_split(min(parts, len(rows))):
            with self._precision():
                logits, tokens = self._train.read(self.model, part)
            loss = F.cross_entropy(logits, tokens, reduction="sum") / answers
            del logits
            loss.backward()
            total += float(loss.detach())
        return total

    def evaluate(self, part: Answering) -> tuple[float, float]:
        """Return the answers' loss, in nats per token, and the share that is matched exactly."""
        with self._clock("evaluation_seconds"):
            found = _score(self.model, part, self.plan.bfloat16)
        return found.loss_per_token, found.accuracy


def _check_learning(attached: Adapted, model: Llama) -> None:
    """Raise an AtlasError if nothing learns, as BitFit where there are no biases, or a table of tokens does."""
    tables = {id(model.embed_tokens.weight), id(model.lm_head.weight)}
    if not attached.trainable():
        raise AtlasError("method: nothing of the language model learns; allowed: methods that have something to train")
    for name, parameter in attached.trainable().items():
        if id(parameter) in tables:
            raise AtlasError(f"{name}: a table of tokens would learn; allowed: methods that leave it frozen")


def score(model: Llama, rows: Prompted, bfloat16: bool = False) -> Scored:
    """Return what a model makes of answers, each token read after the right ones before it.

    Raises
    ------
    AtlasError
        If a row is longer than the model's context.
    """
    return _score(model, Answering.of(rows, model), bfloat16)


@torch.no_grad()
def _score(model: Llama, part: Answering, bfloat16: bool) -> Scored:
    model.eval()
    tokens = part.answers.lengths.cpu()
    likelihood, exact = torch.zeros(len(tokens), dtype=torch.float64), torch.zeros(len(tokens), dtype=torch.bool)
    at_once = min(max(_EVALUATION_POSITIONS // int(tokens.max()), 1), EVALUATION_ROWS)
    for rows in part.rows.by_length(at_once):
        with autocast(model.device, bfloat16):
            logits, answers = part.read(model, rows)
        loss = F.cross_entropy(logits, answers, reduction="none").double()
        right = logits.argmax(-1) == answers
        rows, lengths = rows.cpu(), part.answers.lengths[rows].tolist()
        likelihood[rows] = -torch.stack([each.sum() for each in loss.split(lengths)]).cpu()
        exact[rows] = torch.stack([each.all() for each in right.split(lengths)]).cpu()
    return Scored(-likelihood / tokens, likelihood, exact, tokens)


def choice_scores(
    model: Llama, prompts: Sequence[list[int]], choices: Sequence[Sequence[list[int]]], bfloat16: bool = False
) -> list[NDArray[np.float64]]:
    """Return the summed log-likelihood of each choice after its prompt, in nats: an array for each prompt.

    Raises
    ------
    AtlasError
        If there are not as many lists of choices as prompts, one is empty, or a row is longer than the context.
    """
    if len(prompts) != len(choices):
        raise AtlasError(f"rows: {len(prompts)} prompts and {len(choices)} lists of choices; allowed: as many")
    flat = [(prompt, choice) for prompt, each in zip(prompts, choices, strict=True) for choice in each]
    found = score(model, Prompted([prompt for prompt, _ in flat], [choice for _, choice in flat]), bfloat16)
    ends = np.cumsum([len(each) for each in choices])[:-1]
    return list(np.split(found.log_likelihood.numpy(), ends))


def text_loss(model: Llama, texts: Sequence[list[int]], bfloat16: bool = False) -> float:
    """Return the loss of plain text in nats per token, of all tokens but the first of each text.

    Raises
    ------
    AtlasError
        If a text has fewer than two tokens, or more than the model's context.
    """
    short = next((place for place, text in enumerate(texts) if len(text) < 2), None)
    if short is not None:
        raise AtlasError(f"texts: text {short} has {len(texts[short])} tokens; allowed: at least 2")
    return score(model, Prompted([text[:1] for text in texts], [text[1:] for text in texts]), bfloat16).loss_per_token
