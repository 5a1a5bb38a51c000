"""Plans, counts and audits as tables that people read at 80 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from rich.console import Console
from rich.table import Table

from peft_atlas.planning.audit import Audit, Candidate
from peft_atlas.planning.closed_form import Parts
from peft_atlas.planning.planner import Plan
from peft_atlas.planning.verdict import CANNOT_TELL, DOES_NOT_FIT, FITS

COLOURS = {FITS: "green", DOES_NOT_FIT: "red", CANNOT_TELL: "yellow"}
GB = 1e9
WORDS, WRAPPED = ("verdict", "of what, source", "of", "targets"), ("of what, source", "of", "targets")


def _table(title: str, *columns: str) -> Table:
    """Return an empty table whose first column is text and whose others are numbers."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for place, name in enumerate(columns):
        table.add_column(name, justify="left" if place == 0 or name in WORDS else "right", no_wrap=name not in WRAPPED)
    return table


def print_plans(plans: Sequence[Plan], console: Console | None = None) -> None:
    """Print what fits, and for a single method its parts and the evidence for its settings."""
    out = console or Console()
    first, settings = plans[0], plans[0].settings
    base = settings.precision if settings.quantization == "none" else f"{settings.quantization} base"
    card = "" if first.card_gb is None else f" on {first.card_gb:g} GB"
    title = f"{first.model}, {settings.micro_batch} x {settings.sequence} tokens, {base}, {settings.optimizer}{card}"
    out.print(_plans_table(title, plans))
    out.print(f"GB of 10^9 bytes; 90 % interval from errors on {first.interval.runs} measured runs of "
              f"{first.interval.sources} sources. Batch and length: the largest that fits. "
        "Step: seconds in units of full fine-tuning's, in peft's benchmark.")  # fmt: skip
    if len(plans) == 1:
        out.print(_parts_table(first))
        _print_evidence(first, out)


def _plans_table(title: str, plans: Sequence[Plan]) -> Table:
    table = _table(title, "method", "trained", "%", "peak", "interval", "verdict", "batch", "length", "step")
    for one in plans:
        interval = f"{one.low_bytes / GB:.1f}-{one.high_bytes / GB:.1f}"
        word = one.verdict or ""
        table.add_row(
            one.method, f"{one.counts.trained:,}", _short(one.counts.percent_of_base), f"{one.peak_bytes / GB:.1f}",
            interval, f"[{COLOURS[word]}]{word}[/]" if word else "", _or_dash(one.largest_micro_batch),
            _or_dash(one.longest_sequence), "" if one.time is None else f"{one.time.low:.2f}",
        )  # fmt: skip
    return table


def _short(percent: float) -> str:
    return f"{percent:.2g}" if percent < 99.5 else "100"


def _or_dash(value: int | None) -> str:
    return "-" if value is None else f"{value}"


def _parts_table(one: Plan) -> Table:
    table = _table(f"\nBytes alive when {one.moment}", "part", "GB", "share")
    for field in fields(Parts):
        size = getattr(one.parts, field.name)
        if size:
            table.add_row(field.name.replace("_", " "), f"{size / GB:.3f}", f"{100 * size / one.peak_bytes:.1f} %")
    table.add_row("peak", f"{one.peak_bytes / GB:.3f}", "")
    table.add_row("file to save", f"{one.file_bytes / GB:.3f}", "")
    return table


def _print_evidence(one: Plan, out: Console) -> None:
    """Print settings that somebody ran with this method."""
    if not one.evidence:
        out.print(f"\nNo measured or published setting of {one.method} is known here.")
        return
    table = _table("\nSettings that were run", "model", "rank", "rate", "score", "of what, source")
    for row in one.evidence:
        table.add_row(
            row.model, row.rank or "-", f"{row.learning_rate:g}", f"{row.score:.4g}", f"{row.score_name}; {row.source}"
        )
    out.print(table)


def print_counts(model: str, rows: Sequence[Mapping[str, Any]], console: Console | None = None) -> None:
    """Print counts, one method per line."""
    out = console or Console()
    base = f"{rows[0]['base_parameters']:,}"
    table = _table(f"{model}: {base} parameters", "method", "rank", "adapter", "head", "% of base", "% of total")
    for row in rows:
        table.add_row(row["method"], str(row["rank"]), f"{row['adapter_parameters']:,}", f"{row['head_parameters']:,}",
                      f"{row['percent_of_base']:.4g}", f"{row['percent_of_total']:.4g}")  # fmt: skip
    out.print(table)


def print_audit(found: Audit, console: Console | None = None) -> None:
    """Print whether a percentage follows, and what else would give it."""
    out = console or Console()
    table = _table("The configuration gives", "of", "percent", "trained")
    for one in found.given:
        table.add_row(one.denominator, f"{one.percent:.6g} %", f"{one.trained:,}")
    out.print(table)
    if found.follows:
        out.print(f"{found.printed}: follows, in percent of {found.follows}{', cut off' if found.truncated else ''}.")
        return
    if not found.others:
        out.print(f"{found.printed}: does not follow, and no configuration that was tried gives it.")
        return
    out.print(f"{found.printed}: does not follow. These would give it:")
    out.print(_others_table(found.others))


def _others_table(others: Sequence[Candidate]) -> Table:
    table = _table("", "method", "rank", "targets", "head", "percent", "of")
    for one in others:
        table.add_row(one.method, str(one.rank), ", ".join(one.targets), "yes" if one.head else "no",
                      f"{one.percent:.5g}", one.denominator)  # fmt: skip
    return table
