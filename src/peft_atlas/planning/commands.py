"""The commands `plan`, `count` and `audit`: what they take, and what they print for people and for programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from peft_atlas.errors import AtlasError
from peft_atlas.planning.architecture import Architecture
from peft_atlas.planning.audit import audit as audit_percentage
from peft_atlas.planning.audit import read_adapter
from peft_atlas.planning.counts import attach
from peft_atlas.planning.counts import count as count_parameters
from peft_atlas.planning.methods import METHODS, find_method
from peft_atlas.planning.planner import Plan, plan_all, refuse_impossible
from peft_atlas.planning.settings import KERNELS, OPTIMIZERS, PRECISIONS, QUANTIZATIONS, STACKS, Settings
from peft_atlas.planning.shapes import find_architecture
from peft_atlas.planning.show import Output, as_csv, as_json, count_row, plan_row

Command = TypeVar("Command", bound=Callable[..., Any])


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) + "."


_MODEL = click.argument("model")
_METHODS = click.option("--method", "-m", multiple=True, help="A method, several times if wanted; by default all.")
_RANK = click.option("--rank", "-r", type=int, help="Rank, or virtual tokens, of the methods.")
_TARGETS = click.option(
    "--targets", "-t", default="", help="Names by commas, or query-value, attention, mlp, all-linear."
)
_FORMATS = (
    click.option("--json", is_flag=True, help="Print JSON."),
    click.option("--csv", is_flag=True, help="Print CSV."),
)
_SETTINGS = (
    click.option(
        "--batch", "-b", "micro_batch", type=int, default=1, show_default=True, help="Sequences of a micro-batch."
    ),
    click.option("--sequence", "-s", type=int, default=1024, show_default=True, help="Tokens of a sequence, padded."),
    click.option("--precision", default="bf16", show_default=True, help=_listed(PRECISIONS)),
    click.option(
        "--base", "quantization", default="none", show_default=True, help="Frozen base: " + _listed(QUANTIZATIONS)
    ),
    click.option("--adapter-dtype", default="fp32", show_default=True, help="fp32 (peft's default over bf16) or bf16."),
    click.option("--autocast", is_flag=True, help="bf16 base under autocast, as with Trainer's bf16=True."),
    click.option("--optimizer", default="adamw", show_default=True, help=_listed(OPTIMIZERS)),
    click.option("--checkpointing", is_flag=True, help="Recompute each layer in the backward pass."),
    click.option("--attention", "kernel", default="sdpa", show_default=True, help=_listed(KERNELS)),
    click.option("--accumulation", type=int, default=1, show_default=True, help="Micro-batches of a step."),
    click.option("--fused-step", is_flag=True, help="Optimiser inside the backward pass."),
    click.option("--chunked-loss", is_flag=True, help="Loss over pieces of the sequence."),
    click.option("--dropout", type=float, default=0.0, show_default=True, help="Dropout of the adapter's input."),
    click.option("--stack", default="transformers", show_default=True, help="Whose code runs: " + _listed(STACKS)),
)


def _with(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return a decorator that puts options on a command, in the order given."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@click.command()
@_with(
    _MODEL, click.option("--gpu", "-g", type=float, help="The card's memory in GB, as on its label."), _METHODS, _RANK
)
@_with(_TARGETS, *_SETTINGS, *_FORMATS)
def plan(
    model: str,
    gpu: float | None,
    method: tuple[str, ...],
    rank: int | None,
    targets: str,
    json: bool,
    csv: bool,
    **settings: Any,
) -> None:
    """Say what fits on a card: memory by part, peak with interval, settings with evidence.

    MODEL is a config.json, its folder, or a name such as Llama-3.2-3B.
    """
    output = Output.of(json=json, csv=csv)
    architecture, chosen = find_architecture(model), Settings(**settings)
    plans = plan_all(architecture, methods=method, rank=rank, targets=_split(targets), gpu_gb=gpu, settings=chosen)
    _print_plans(plans, output)


@click.command()
@_with(_MODEL, _METHODS, _RANK, _TARGETS)
@_with(click.option("--head/--no-head", default=None, help="Whether a classification head is trained."), *_FORMATS)
def count(
    model: str, method: tuple[str, ...], rank: int | None, targets: str, head: bool | None, json: bool, csv: bool
) -> None:
    """Count trained parameters, in percent of the base and of base and adapter, the head apart.

    MODEL is a config.json, its folder, or a name such as Llama-3.2-3B.
    """
    output = Output.of(json=json, csv=csv)
    architecture = find_architecture(model)
    rows = [
        _counted(
            architecture,
            name,
            rank if method or find_method(name).default_rank == 8 else None,
            targets,
            head,
            bool(method),
        )
        for name in method or [one.name for one in METHODS]
    ]
    found = [row for row in rows if row is not None]
    if output is Output.PEOPLE:
        from peft_atlas.planning.print_tables import print_counts

        print_counts(architecture.name, found)
    else:
        click.echo(as_json(found) if output is Output.JSON else as_csv(found))


def _counted(
    architecture: Architecture, name: str, rank: int | None, targets: str, head: bool | None, explicit: bool
) -> dict[str, Any] | None:
    """Return a method's count as a row; one that the model cannot take is left out unless it was asked for."""
    found = find_method(name)
    chosen = _split(targets) if found.acts_on == "linear" else ()
    try:
        attachment = attach(architecture, found, rank, chosen)
        refuse_impossible(architecture, attachment, Settings(sequence=1))
    except AtlasError:
        if explicit or name == "lora":
            raise
        return None
    return count_row(architecture.name, attachment, count_parameters(architecture, attachment, head=head))


@click.command()
@_with(click.argument("adapter_config", type=click.Path(path_type=Path)), click.argument("config"))
@_with(click.argument("percentage"), *_FORMATS)
def audit(adapter_config: Path, config: str, percentage: str, json: bool, csv: bool) -> None:
    """Say whether a printed PERCENTAGE ("0.83 %") follows, and if not, what would give it.

    ADAPTER_CONFIG is peft's adapter_config.json, CONFIG the base model's config.json or a name. The exit status is 1
    where the percentage does not follow.
    """
    output = Output.of(json=json, csv=csv)
    found = audit_percentage(find_architecture(config), read_adapter(adapter_config), percentage)
    if output is Output.PEOPLE:
        from peft_atlas.planning.print_tables import print_audit

        print_audit(found)
    else:
        rows = [vars(one) for one in (*found.given, *found.others)]
        click.echo(as_json(found) if output is Output.JSON else as_csv(rows))
    if found.follows is None:
        raise SystemExit(1)


def _print_plans(plans: tuple[Plan, ...], output: Output) -> None:
    if output is Output.PEOPLE:
        from peft_atlas.planning.print_tables import print_plans

        print_plans(plans)
    elif output is Output.JSON:
        click.echo(as_json([plan_row(one) | {"evidence": one.evidence} for one in plans]))
    else:
        click.echo(as_csv([plan_row(one) for one in plans]))


def _split(names: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in names.split(",") if part.strip())
