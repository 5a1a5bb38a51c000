"""Checks of the notebook study that run its code: splits, forward pass, counts, merging, repeatability."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from peft_atlas.analysis.finding import ATLAS, SEED_NOTEBOOK, Effect, Finding, as_rows
from peft_atlas.analysis.statistics import interval_name, mean_interval
from peft_atlas.methods.lora import MERGE_TOLERANCE, LoRALinear
from peft_atlas.models.mlp import MLPShape, adapt, simple_nn
from peft_atlas.population import PopulationLinear
from peft_atlas.rng import generator
from peft_atlas.step import Step
from peft_atlas.studies.notebook.config import NotebookConfig
from peft_atlas.studies.notebook.data import PROTOCOLS, make_task, published_label_agreement, shared_rows
from peft_atlas.studies.notebook.train import Block, task_sizes, train_sweep
from peft_atlas.training.task import Split, Task

NOTEBOOK_SEED = 42


def notebook_checks(
    config: NotebookConfig, seeds: Sequence[int], sweep: pd.DataFrame, device: str, confidence: float
) -> list[Finding]:
    """Return the checks of the notebook study, each measured on this machine.

    Parameters
    ----------
    config
        The study.
    seeds
        Its seeds.
    sweep
        Runs of the sweep's first block, which one run alone is compared with.
    device
        Where the sweep was trained.
    confidence
        Confidence level of the intervals.
    """
    return [
        *_leakage(config, seeds),
        _label_agreement(config, seeds, confidence),
        _forward_as_published(config),
        _counted_parameters(config),
        *(_merging(dtype, tolerance) for dtype, tolerance in MERGE_TOLERANCE.items()),
        _repeatability(config, sweep, device),
    ]


def _verdict(passed: bool) -> str:
    return "pass" if passed else "fail"


def _leakage(config: NotebookConfig, seeds: Sequence[int]) -> list[Finding]:
    """Return, for each protocol, how many rows two of its splits share; the published one is known to fail."""
    findings = []
    for protocol in PROTOCOLS:
        task = make_task(protocol, task_sizes(config), seeds)
        shared = sum(sum(shared_rows(left, right)) for left, right in _pairs_of_splits(task))
        findings.append(
            Finding(
                "check",
                f"leakage_{protocol}",
                "notebook",
                f"Under {protocol} no input is in two splits",
                SEED_NOTEBOOK if protocol == "as_published" else ATLAS,
                _verdict(shared == 0),
                f"studies/notebook/data.py: {protocol}, all seeds",
                f"{shared:,} inputs are in two splits, over {len(seeds)} seeds.",
                effect=Effect(float(shared), "rows", n=len(seeds)),
            )
        )
    return findings


def _pairs_of_splits(task: Task) -> list[tuple[Split, Split]]:
    """Return every pair of a task's splits."""
    splits = [split for split in (task.train, task.validation, task.test) if split is not None]
    return [(left, right) for index, left in enumerate(splits) for right in splits[index + 1 :]]


def _label_agreement(config: NotebookConfig, seeds: Sequence[int], confidence: float) -> Finding:
    """Return how far the two labels of the published test rows agree: chance is 0.5."""
    sizes = task_sizes(config)
    estimate = mean_interval([published_label_agreement(seed, sizes)[0] for seed in seeds], confidence)
    estimate = estimate.within(0, 1)
    clean, noisy = published_label_agreement(NOTEBOOK_SEED, sizes)
    return Finding(
        "check",
        "label_agreement_as_published",
        "notebook",
        "The notebook labels its test rows by the rule it labels its training rows by",
        SEED_NOTEBOOK,
        _verdict(clean == 1),
        "studies/notebook/data.py: published_label_agreement, all seeds and 42",
        f"At the notebook's seed {NOTEBOOK_SEED} the two labels of a test row agree on {clean:.3f} of the rows before "
        f"label noise and {noisy:.3f} after; over {estimate.n} seeds the mean is {estimate.mean:.3f}. Chance is 0.5.",
        effect=Effect(
            estimate.mean,
            "fraction",
            low=estimate.low,
            high=estimate.high,
            interval=interval_name(confidence),
            n=estimate.n,
        ),
    )


def published_forward(x: torch.Tensor, lora_a: torch.Tensor, lora_b: torch.Tensor) -> torch.Tensor:
    """Return the notebook's low-rank update as it is written, which transposes B once more than `F.linear` does.

    Raises
    ------
    RuntimeError
        From torch, wherever rank and output width differ.
    """
    return F.linear(F.linear(x, lora_a), lora_b.t())


def _forward_as_published(config: NotebookConfig) -> Finding:
    """Return for how many ranks of the grid the notebook's forward pass runs through both layers."""
    shape = MLPShape(config.data.features, config.hidden_features)
    running = [rank for rank in config.ranks if all(_runs(rank, *widths) for widths in shape.layers())]
    return Finding(
        "check",
        "forward_as_published",
        "notebook",
        "The notebook's forward pass runs",
        SEED_NOTEBOOK,
        _verdict(len(running) == len(config.ranks)),
        "studies/notebook/checks.py: published_forward, every rank of the grid",
        f"It runs for {len(running)} of the {len(config.ranks)} ranks: F.linear(h, B.t()) transposes B a second time, "
        "so the shapes fit only where rank and output width are equal.",
        effect=Effect(float(len(running)), "ranks", n=len(config.ranks)),
    )


def _runs(rank: int, in_features: int, out_features: int) -> bool:
    """Return whether the published forward pass accepts a layer's shapes and gives its output's."""
    x, a, b = torch.zeros(1, in_features), torch.zeros(rank, in_features), torch.zeros(out_features, rank)
    try:
        return published_forward(x, a, b).shape[-1] == out_features
    except RuntimeError:
        return False


def _counted_parameters(config: NotebookConfig) -> Finding:
    """Return whether the parameters that really learn are as many as the closed form says, for every rank."""
    shape = MLPShape(config.data.features, config.hidden_features)
    wrong = [rank for rank in config.ranks if _learning(shape, rank) != shape.lora_params(rank)]
    return Finding(
        "check",
        "counted_parameters",
        "notebook",
        "Counted trainable parameters equal the sum of r (in + out) over the adapted layers",
        ATLAS,
        _verdict(not wrong),
        "models/mlp.py: every rank of the grid",
        f"Equal for {len(config.ranks) - len(wrong)} of {len(config.ranks)} ranks.",
        effect=Effect(float(len(wrong)), "ranks", n=len(config.ranks)),
    )


def _learning(shape: MLPShape, rank: int) -> int:
    """Return how many parameters of one adapted network learn."""

    def wrap(base: torch.nn.Module, name: str) -> LoRALinear:
        assert isinstance(base, PopulationLinear)
        return LoRALinear(base, rank, 1.0, name=name)

    model = adapt(simple_nn(shape, (), (0,)), wrap)
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def _merging(dtype: torch.dtype, tolerance: float) -> Finding:
    """Return the largest relative difference between merged and unmerged outputs of one wide layer."""
    draws = generator(0, "adapter/check")
    base = torch.nn.Linear(1024, 1024, dtype=dtype)
    layer = LoRALinear(base, 8, 16.0)
    with torch.no_grad():
        base.weight.copy_(torch.randn(1024, 1024, generator=draws) / 32)
        base.bias.zero_()
        layer.lora_B.copy_(torch.randn(1024, 8, generator=draws) / 32)
        x = torch.randn(64, 1024, generator=draws).to(dtype)
        before, frozen = layer(x), base.weight.clone()
        layer.merge()
        error = float((layer(x) - before).abs().max() / before.abs().max())
        layer.unmerge()
    restored = bool((base.weight == frozen).all())
    name = str(dtype).removeprefix("torch.")
    return Finding(
        "check",
        f"merge_{name}",
        "notebook",
        f"In {name} a merged LoRA layer gives the unmerged one's output within {tolerance:g}, and unmerging restores "
        "its weight exactly",
        ATLAS,
        _verdict(error <= tolerance and restored),
        "methods/lora.py: 1024 x 1024, r = 8, 64 inputs",
        f"Largest difference over the largest output: {error:.1e}; weight restored "
        f"{'bit for bit' if restored else 'with a difference'}.",
        effect=Effect(error, "relative", n=1),
    )


def _repeatability(config: NotebookConfig, sweep: pd.DataFrame, device: str) -> Finding:
    """Return whether one seed trained alone gives the bits it gave inside its block."""
    seed, rank = int(sweep["seed"].min()), max(config.ranks)
    alone, _ = train_sweep(Block(config.model_copy(update={"ranks": (rank,)}), "held_out", (seed,), device))
    inside = sweep[(sweep["seed"] == seed) & (sweep["rank"] == rank)].sort_values("alpha")
    metrics = ["train_loss", "validation_loss", "validation_accuracy", "test_loss", "test_accuracy"]
    left = pd.DataFrame(alone).sort_values("alpha")[metrics].to_numpy(dtype=np.float64)
    right = inside[metrics].to_numpy(dtype=np.float64)
    equal = left.shape == right.shape and np.array_equal(left, right, equal_nan=True)
    largest = float(np.nanmax(np.abs(left - right))) if left.shape == right.shape else None
    return Finding(
        "check",
        "repeatability",
        "notebook",
        "A run trained alone equals the same run trained in a block, bit for bit",
        ATLAS,
        _verdict(equal),
        f"runs: study=notebook, experiment=sweep, rank={rank}, seed={seed}",
        f"{len(alone)} runs of seed {seed} were trained again by themselves; largest difference "
        f"{'not defined' if largest is None else f'{largest:g}'}.",
        effect=Effect(largest, "largest absolute difference", n=len(alone)),
    )


def check_step(step: Step) -> None:
    """Run the checks of the study."""
    params = step.params
    config = NotebookConfig.model_validate(params["config"])
    sweep = step.read("sweep", "runs")
    found = notebook_checks(config, params["seeds"], sweep, params["device"], params["confidence"])
    step.write("findings", as_rows(found))
