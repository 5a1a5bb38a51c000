"""The numbers of the page on choosing a method: ``python -m peft_atlas.report.choice_page docs/choose-a-method.md``.

The page's prose holds no numbers. They are in blocks between two comments, which this module writes from the tables
of the released bundle, so that a new release changes the page by rule.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from peft_atlas.config import StudyConfig
from peft_atlas.errors import AtlasError
from peft_atlas.files import write_text
from peft_atlas.planning.verdict import FITS, verdict
from peft_atlas.report.front_page import cards
from peft_atlas.report.material import Material
from peft_atlas.report.method_rows import FULL, ComparedTask
from peft_atlas.report.method_table import MISSING, bytes_in_words, compared_tasks, method_table
from peft_atlas.result_sets import load, read_configuration, released_bundle, tables_in
from peft_atlas.studies.study import Study, studies_of

_BLOCK = re.compile(r"(<!-- released: (\w+) -->\n).*?(<!-- end -->)", flags=re.DOTALL)
# Which answers are quoted where, by patterns of their findings.
_ANSWERS = {
    "decoders": ("decoder_against_full_*", "record_against_full", "published_best"),
    "order": ("encoder_order",),
    "rank": ("encoder_rank", "adaptation_higher_ranks_*", "record_rate_with_rank"),
    "rate": ("record_rates",),
    "modules": ("encoder_modules", "record_modules"),
    "forgetting": ("encoder_forgetting", "adaptation_forgetting", "decoder_forgetting_*"),
    "time": ("encoder_cost", "decoder_cost_*", "record_time"),
}
_LORA = "LoRA"
# Bytes per saved number in 16 bits.
_HALF = 2


def fill(page: str, blocks: Mapping[str, str]) -> str:
    """Return a page with each of its blocks written again.

    Parameters
    ----------
    page
        Markdown with blocks from ``<!-- released: NAME -->`` to ``<!-- end -->``.
    blocks
        The content of each block by name.

    Raises
    ------
    AtlasError
        If the page has a block of another name.
    """
    unknown = {name for _, name, _ in _BLOCK.findall(page)} - set(blocks)
    if unknown:
        raise AtlasError(f"block {sorted(unknown)[0]!r}: unknown; allowed: {', '.join(sorted(blocks))}")
    return _BLOCK.sub(lambda match: f"{match[1]}\n{blocks[match[2]]}\n\n{match[3]}", page)


def released_blocks(bundle: Path) -> dict[str, str]:
    """Return the content of every block, by name, from the tables of a released bundle."""
    tables = {name: load(name, bundle) for name in tables_in(bundle)}
    config = StudyConfig.model_validate(yaml.safe_load(read_configuration(bundle) or b"{}"))
    # Runs that a user added are in no release.
    studies = [study for study in studies_of(config.studies) if not study.needs]
    material = Material(
        tables, (), tuple(study.name for study in studies), "", tuple(config.seeds), config.statistics.confidence,
        versions={}, code="", machine="", settings=config,
    )  # fmt: skip
    findings = tables["findings"]
    return {
        "advice": "\n".join(_advice(findings, studies)),
        # A chapter has one rate for all methods, so that its difference says little of them.
        "size": _size(compared_tasks(material, [study for study in studies if not study.chapter])),
        "methods": _methods(material, studies),
        "card": _card(tables["memory"]),
        **{name: "\n\n".join(_answers(findings, patterns)) for name, patterns in _ANSWERS.items()},
    }


def _advice(findings: pd.DataFrame, studies: Sequence[Study]) -> Iterator[str]:
    """Yield the cards of the report's first page as items of a list."""
    for card in cards(findings, studies):
        yield f"- **{_plain(card.statement)}** {_plain(card.detail)}"


def _answers(findings: pd.DataFrame, patterns: Sequence[str]) -> Iterator[str]:
    """Yield the answers whose ids fit a pattern, each a paragraph that its question begins."""
    answers = findings[findings["kind"] == "answer"].sort_values("position")
    for pattern in patterns:
        for row in answers[[fnmatch(name, pattern) for name in answers["id"]]].itertuples():
            yield f"**{_plain(str(row.statement))}** {_plain(str(row.detail))}"


def _size(tasks: Sequence[ComparedTask]) -> str:
    """Tabulate the difference between LoRA and full fine-tuning on every task, with what would have been detected."""
    rows = [
        (
            task.title,
            row.name,
            row.difference.in_words(unit=""),
            MISSING if row.difference.detectable is None else f"{row.difference.detectable:.1f}",
            MISSING if row.difference.n is None else str(row.difference.n),
        )
        for task in tasks
        for row in task.rows
        if row.method == _LORA and row.difference is not None
    ]
    return _table(("task and training examples", "method", "points against full", "detectable", "seeds"), rows)


def _methods(material: Material, studies: Sequence[Study]) -> str:
    """Tabulate all methods on the task on which most of them have a measured time, as in the report's first page."""
    shown = method_table(material, studies)
    if shown is None:
        raise AtlasError("table of methods: no study of the bundle compares methods; allowed: a finished default run")
    time = shown.header.index("time")
    timed = [task for task in shown.tasks if time in task.columns]
    task = max(timed or shown.tasks, key=lambda each: len(each.lines))
    places = [place for place in task.columns if not shown.header[place].endswith("arithmetic")]
    header = ("method", "points against full", *(shown.header[place] for place in places))
    # Without the mark of a bar that is off its scale.
    rows = [(line.name, line.difference.lstrip("◂▸ "), *(line.cells[place] for place in places)) for line in task.lines]
    return f"{_plain(task.about)}\n\n{_table(header, rows)}"


def _card(memory: pd.DataFrame) -> str:
    """Tabulate trained weights, size of the saved file and peak of the published models' methods that are predicted."""
    rows = memory[(memory["precision"] == "bf16_mixed") & memory["peak_bytes"].notna()]
    header = ("model", "method", "setting", "trained", "saved, 16 bits", "predicted peak", "card")
    ordered = rows.sort_values(["base_params", "trainable_params"])
    # The table of memory has a column per card.
    sizes = sorted(int(name[len("fits_") : -len("gb")]) for name in memory.columns if name.startswith("fits_"))
    steps = rows[["micro_batch", "sequence"]].drop_duplicates().itertuples(index=False)
    about = " and ".join(f"{step.micro_batch} × {step.sequence:,} tokens" for step in steps)
    return f"A step of {about}.\n\n{_table(header, [_card_row(row, sizes) for row in ordered.to_dict('records')])}"


def _card_row(row: Mapping[Any, Any], sizes: Sequence[int]) -> tuple[str, ...]:
    """Return a row of that table; the card is the smallest that holds the whole interval, or the largest's verdict."""
    saved = row["base_params"] if row["method"] == FULL else row["trainable_params"]
    peak, low, high = (float(row[name]) for name in ("peak_bytes", "peak_low_bytes", "peak_high_bytes"))
    verdicts = {size: verdict(low, high, size) for size in sizes}
    fitting = [f"{size} GB" for size in sizes if verdicts[size] == FITS]
    return (
        row["base_model"], row["method"], row["setting"], f"{row['trainable_params']:,}", bytes_in_words(_HALF * saved),
        f"{peak / 1e9:.1f} GB [{low / 1e9:.1f}, {high / 1e9:.1f}]",
        next(iter(fitting), f"{sizes[-1]} GB: {verdicts[sizes[-1]]}"),
    )  # fmt: skip


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(_plain(cell).replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _plain(text: str) -> str:
    """Return text whose characters mean nothing to Markdown."""
    return re.sub(r"([*_<`])", r"\\\1", text)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    write_text(path, fill(path.read_text(encoding="utf-8"), released_blocks(released_bundle())))
