"""Checks of the encoder study that run its code: against `peft`, and the counts of the seed notebook's section 5."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import BertConfig, BertForSequenceClassification

from peft_atlas.analysis.finding import ATLAS, POINTS, SEED_NOTEBOOK, Effect, Finding, as_rows
from peft_atlas.methods.attach import Attached, attach
from peft_atlas.methods.lora import LoRA
from peft_atlas.methods.method import Members
from peft_atlas.models.encoder import HEAD, TextClassifier, load_encoder, parameter_count
from peft_atlas.rng import generator
from peft_atlas.step import Step
from peft_atlas.studies.encoder.config import EncoderConfig
from peft_atlas.studies.encoder.data.examples import read_texts
from peft_atlas.studies.encoder.jobs import NAME
from peft_atlas.studies.encoder.peft_run import PeftAttached, adapter_gradients, peft_gradients, through_peft
from peft_atlas.studies.encoder.train import Part, find_setting, model_width, plan_of, selected_rate
from peft_atlas.training.finetune import Finetuning, Labelled

TOLERANCE = 1e-4
# Test rows that peft's run may classify otherwise than ours.
ROWS = 2
# By how much bfloat16 may change a run's test accuracy.
ROUNDING = 0.01
# The seed notebook's section 5: LoRA of rank 8 on query, key and value of bert-base-uncased with two labels.
SECTION_5 = (443_906, 109_927_684)


@dataclass(frozen=True)
class Pair:
    """Our run and peft's of one setting: same weights, start, examples, batches and optimiser."""

    name: str
    rate: float
    ours: Attached
    peft: PeftAttached


def encoder_checks(part: Part, runs: pd.DataFrame, names: Sequence[str], seed: int) -> list[Finding]:
    """Return the checks of the encoder study.

    Parameters
    ----------
    part
        The study's first task.
    runs
        Runs of the settings on that task, every seed.
    names
        Settings that peft has too.
    seed
        Seed whose runs are repeated by peft.
    """
    found = [_section_5()]
    for name in names:
        own = runs[runs["method"] == find_setting(name, model_width(part)).label]
        pair = _pair(part, name, selected_rate(own), seed)
        found += [_first_step(part, pair, seed), _end(part, pair, own, seed)]
    return found


def _pair(part: Part, name: str, rate: float, seed: int) -> Pair:
    """Return both sides at their starting values."""
    classes = len(part.texts.classes)
    classifier = TextClassifier(load_encoder(part.model), classes, seed)
    ours = attach(classifier, find_setting(name, model_width(part)).method, Members(seeds=(seed,)), HEAD)
    return Pair(name, rate, ours, through_peft(ours, part.model, classes, seed))


def _first_step(part: Part, pair: Pair, seed: int) -> Finding:
    """Return how far loss and gradients of the first step are apart."""
    train = part.labelled(part.texts.drawn(part.config.train_examples, seed))
    rows = train.rows.shuffled(part.config.batch_size, generator(seed, "order/0"))[0]
    losses = []
    for model in (pair.ours.model, pair.peft.model):
        loss = F.cross_entropy(model(*train.rows.batch(rows)), train.labels[rows])
        loss.backward()
        losses.append(float(loss.detach()))
    apart = max([abs(losses[0] / losses[1] - 1), _apart(adapter_gradients(pair.ours), peft_gradients(pair.peft))])
    for parameter in [*pair.ours.trainable().values(), *pair.peft.trainable().values()]:
        parameter.grad = None
    return Finding(
        "check",
        f"encoder_peft_first_step_{pair.name}",
        NAME,
        f"{pair.name}: loss and gradients of the first step are those of peft within {TOLERANCE:g}",
        ATLAS,
        "pass" if apart <= TOLERANCE else "fail",
        "studies/encoder/checks.py: the first batch of the first task",
        f"Losses {losses[0]:.6f} and {losses[1]:.6f} nats; largest difference relative to the largest entry of its "
        f"tensor: {apart:.1e}.",
        effect=Effect(apart, "relative", n=1),
    )


def _apart(ours: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Return the largest difference of two sets of tensors, each relative to the largest entry of its tensor."""
    if set(ours) != set(other):
        return float("inf")
    scales = {name: other[name].abs().max().clamp_min(torch.finfo(torch.float32).tiny) for name in other}
    return max(float((ours[name] - other[name].reshape_as(ours[name])).abs().max() / scales[name]) for name in ours)


def _end(part: Part, pair: Pair, runs: pd.DataFrame, seed: int) -> Finding:
    """Return whether peft's whole run ends where ours did.

    Both are in float32. A run of the study in bfloat16 is repeated for it, and must be near its repetition.
    """
    train = part.labelled(part.texts.drawn(part.config.train_examples, seed))
    test = part.labelled(part.rows("test"))
    plan = replace(plan_of(part, pair.rate), bfloat16=False)
    theirs = _accuracy(Finetuning(pair.peft, train, plan, seed), test)
    own = runs[runs["selected"].fillna(value=False)].set_index("seed").loc[seed]
    exact = own["precision"] == "float32"
    measured = float(own["test_accuracy"])
    ours = measured if exact else _accuracy(Finetuning(pair.ours, train, plan, seed), test)
    # Rounding may tip single rows whose two best classes are as good as equal.
    allowed = (ROWS + 0.5) / len(test.labels)
    agrees = abs(theirs - ours) <= allowed and abs(measured - ours) <= max(allowed, ROUNDING)
    rounded = "" if exact else f", and {100 * measured:.2f} % in {own['precision']}, as the study trains"
    return Finding(
        "check",
        f"encoder_peft_end_{pair.name}",
        NAME,
        f"{pair.name}: the same run by peft classifies as many test texts rightly, give or take {ROWS}",
        ATLAS,
        "pass" if agrees else "fail",
        f"runs: study=encoder, experiment=methods, task={part.task}, learning_rate={pair.rate:g}",
        f"Test accuracy of seed {seed} on {len(test.labels)} texts, in float32: peft {100 * theirs:.2f} %, here "
        f"{100 * ours:.2f} %{rounded}.",
        effect=Effect(100 * (theirs - ours), POINTS, n=1),
    )


def _accuracy(run: Finetuning, test: Labelled) -> float:
    """Return the accuracy on test rows after training."""
    run.train()
    return run.predict(run.advanced(test)).accuracy


def _section_5() -> Finding:
    """Return the counts that the seed notebook's section 5 prints, from this study's way of attaching a method."""
    config = BertConfig()
    config.num_labels = 2
    with torch.device("meta"):
        model = BertForSequenceClassification(config)
    attached = attach(model, LoRA(r=8, lora_alpha=16.0, target_modules=("query", "key", "value")), head=("classifier",))
    head = attached.head_params()
    trained = attached.adapter_params() + head
    # peft keeps the untrained head as well as the trained one and counts both.
    total = parameter_count(model) + head
    return Finding(
        "check",
        "encoder_section_5",
        NAME,
        f"On bert-base-uncased LoRA trains {SECTION_5[0]:,} of {SECTION_5[1]:,} parameters, as peft prints it",
        SEED_NOTEBOOK,
        "pass" if (trained, total) == SECTION_5 else "fail",
        "studies/encoder/checks.py: rank 8 on query, key and value, two labels, no weights needed",
        f"{trained:,} of {total:,}, {100 * trained / total:.4f} %: {attached.adapter_params():,} of LoRA and {head:,} "
        f"of the head; of the total {head:,} are peft's second copy of the head.",
        effect=Effect(float(trained), "parameters", n=1),
    )


def check_step(step: Step) -> None:
    """Repeat runs of the study with peft and compare them."""
    config, texts = EncoderConfig.model_validate(step.params["config"]), read_texts(step.path("examples"))
    part = Part(config, step.params["task"], texts, step.path("model").parent, "cpu")
    found = encoder_checks(part, step.read_all("runs"), step.params["settings"], step.params["seed"])
    step.write("findings", as_rows(found))
