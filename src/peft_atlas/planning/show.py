"""Plans and counts as rows, and rows as JSON and CSV, for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from enum import Enum
from typing import Any

from peft_atlas.errors import AtlasError
from peft_atlas.planning.counts import Attachment, Counts
from peft_atlas.planning.planner import Plan


class Output(Enum):
    """For whom a command prints."""

    PEOPLE = "people"
    JSON = "json"
    CSV = "csv"

    @classmethod
    def of(cls, *, json: bool, csv: bool) -> Output:
        """Return what two flags choose; both at once are refused."""
        if json and csv:
            raise AtlasError("--json with --csv; allowed: one of them")
        return cls.JSON if json else cls.CSV if csv else cls.PEOPLE


def plan_row(found: Plan) -> dict[str, Any]:
    """Return a plan as one flat row: bytes, numbers and words, without the evidence."""
    counts = found.counts
    return {
        "model": found.model, "method": found.method, "rank": found.rank, "targets": "|".join(found.targets),
        **asdict(found.settings),
        "trained_parameters": counts.trained, "adapter_parameters": counts.adapter, "head_parameters": counts.head,
        "base_parameters": counts.base, "percent_of_base": counts.percent_of_base,
        "percent_of_total": counts.percent_of_total,
        **{f"{name}_bytes": value for name, value in asdict(found.parts).items()},
        "peak_bytes": found.peak_bytes, "low_bytes": found.low_bytes, "high_bytes": found.high_bytes,
        "moment": found.moment, "card_gb": found.card_gb, "verdict": found.verdict,
        "largest_micro_batch": found.largest_micro_batch, "longest_sequence": found.longest_sequence,
        "file_bytes": found.file_bytes,
        "step_time_of_full_low": None if found.time is None else found.time.low,
        "step_time_of_full_high": None if found.time is None else found.time.high,
        "step_time_source": None if found.time is None else found.time.source,
    }  # fmt: skip


def count_row(model: str, attachment: Attachment, counts: Counts) -> dict[str, Any]:
    """Return a count as one flat row."""
    return {
        "model": model, "method": attachment.method.name, "rank": attachment.rank,
        "targets": "|".join(attachment.targets), "adapter_parameters": counts.adapter, "head_parameters": counts.head,
        "trained_parameters": counts.trained, "base_parameters": counts.base,
        "percent_of_base": counts.percent_of_base, "percent_of_total": counts.percent_of_total,
    }  # fmt: skip


def as_json(value: object) -> str:
    """Return dataclasses, rows and lists of them as JSON."""
    return json.dumps(value, indent=2, default=_plain, allow_nan=False)


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} is no JSON")


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as CSV with a header; what is None is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().rstrip("\n")
