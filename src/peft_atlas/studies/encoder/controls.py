"""Controls without a pretrained model: the majority class, and logistic regression on TF-IDF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from peft_atlas.step import Step
from peft_atlas.studies.encoder.data.examples import Texts, read_texts
from peft_atlas.studies.encoder.jobs import MAJORITY, NAME, TFIDF
from peft_atlas.training.rows import Row, curve_row, run_row

# Three strengths, as many as a method has rates: the inverse of the L2 penalty of the regression.
_STRENGTHS = (1.0, 10.0, 100.0)


@dataclass(frozen=True)
class Fitted:
    """A fitted control: its class probabilities of each split, its parameters, and its setting.

    A control that cannot be fitted has no probabilities, and a ``reason``.
    """

    method: str
    setting: str | None
    probabilities: dict[str, NDArray[np.float64]]
    params: int
    reason: str | None = None


def control_runs(texts: Texts, task: str, train_examples: int, seeds: Sequence[int]) -> tuple[list[Row], list[Row]]:
    """Return runs and curves of both controls, a seed each on the examples that its other runs train on."""
    rows = [
        _rows(fitted, texts, task, train_examples, seed)
        for seed in seeds
        for fitted in (_majority(texts, train_examples, seed), _regression(texts, train_examples, seed))
    ]
    return [run for run, _ in rows], [curve for _, curve in rows]


def _majority(texts: Texts, count: int, seed: int) -> Fitted:
    """Return the frequencies of the classes among the training examples, whatever the text."""
    numbers = texts.numbers(texts.drawn(count, seed))
    # Add one half, so that a class that was not drawn does not cost infinitely much.
    frequencies = np.bincount(numbers, minlength=len(texts.classes)) + 0.5
    sizes = {name: len(texts.split(name)) for name in ("validation", "test")}
    frequencies = frequencies / frequencies.sum()
    return Fitted(MAJORITY, None, {name: np.tile(frequencies, (size, 1)) for name, size in sizes.items()}, 0)


def _regression(texts: Texts, count: int, seed: int) -> Fitted:
    """Return the regression of the strength that validation chooses, on words and pairs of words."""
    setting = f"C chosen from {', '.join(f'{c:g}' for c in _STRENGTHS)}"
    train = texts.drawn(count, seed)
    labels = texts.numbers(train)
    words = _words(train["text"])
    if words is None or len(set(labels)) < 2:
        drawn = f"{count} training examples drawn with seed {seed}"
        reason = f"no word among the {drawn}" if words is None else f"one class among the {drawn}"
        return Fitted(TFIDF, setting, {}, 0, reason)
    inputs = words.transform(train["text"])
    models = [LogisticRegression(C=strength, max_iter=2000).fit(inputs, labels) for strength in _STRENGTHS]
    held_out = texts.split("validation")
    seen = words.transform(held_out["text"])
    best = max(models, key=lambda model: model.score(seen, texts.numbers(held_out)))
    probabilities = {
        name: _all_classes(best, words.transform(texts.split(name)["text"]), len(texts.classes))
        for name in ("validation", "test")
    }
    return Fitted(TFIDF, setting, probabilities, best.coef_.size)


def _words(texts: Sequence[str]) -> TfidfVectorizer | None:
    """Return the words and pairs of words of texts, None where there is none, as in texts of emoji."""
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    found = words.build_analyzer()
    return words.fit(texts) if any(found(text) for text in texts) else None


def _all_classes(model: LogisticRegression, inputs: Any, classes: int) -> NDArray[np.float64]:
    """Return probabilities of every class, shape ``(rows, classes)``; 0 for one that was not among the examples."""
    probabilities = np.zeros((inputs.shape[0], classes))
    probabilities[:, model.classes_] = model.predict_proba(inputs)
    return probabilities


def _rows(fitted: Fitted, texts: Texts, task: str, count: int, seed: int) -> tuple[Row, Row]:
    """Return the run and its one point of the curves."""
    identity = {
        "run_id": f"encoder/controls/{task}/{fitted.method}/seed={seed}",
        "study": NAME,
        "experiment": "controls",
        "task": task,
        "model": "none",
        "method": fitted.method,
        "setting": fitted.setting,
        "train_examples": count,
        "epochs": 1,
        "trainable_params": None,
        "seed": seed,
    }
    measured: Row = {}
    for name, probabilities in fitted.probabilities.items():
        labels = np.array(texts.numbers(texts.split(name)))
        measured[f"{name}_loss"] = float(log_loss(labels, probabilities, labels=range(len(texts.classes))))
        measured[f"{name}_accuracy"] = float((probabilities.argmax(1) == labels).mean())
    ended = {
        **measured,
        "status": "ok" if fitted.reason is None else "failed",
        "reason": fitted.reason,
        "validation_examples": len(texts.split("validation")),
        "test_examples": len(texts.split("test")),
    }
    run = run_row(identity, ended, total_params=fitted.params, device="cpu", precision=None)
    return run, curve_row(identity, 1, measured)


def controls_step(step: Step) -> None:
    """Fit the controls of one task: majority class, and TF-IDF with logistic regression."""
    params, texts = step.params, read_texts(step.path("examples"))
    runs, curves = control_runs(texts, params["task"], params["train_examples"], params["seeds"])
    step.write("runs", runs)
    step.write("curves", curves)
