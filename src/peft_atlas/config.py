"""The configuration of a run: all sections with types, units and limits; unknown keys are errors."""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, get_args

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, model_validator

from peft_atlas.config_types import Formats, Section, Seeds, sorted_unique
from peft_atlas.errors import AtlasError
from peft_atlas.studies.adaptation.config import AdaptationConfig
from peft_atlas.studies.decoder.config import DecoderConfig
from peft_atlas.studies.encoder.config import EncoderConfig
from peft_atlas.studies.laboratory.config import LaboratoryConfig
from peft_atlas.studies.notebook.config import NotebookConfig
from peft_atlas.studies.study import default_studies, measured_studies

# Maximum number of faults in one message: a list of ten thousand wrong seeds should not print as many lines.
_MAX_FAULTS = 5
# Faults of a value that should have been a number; a list of seeds may be given as their number.
_NUMERIC_FAULTS = {"float_type", "int_type", "tuple_type"}
_SPELT_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_MAX_DIGITS = 40
_BRIEF = reprlib.Repr()
_BRIEF.maxlevel, _BRIEF.maxstring, _BRIEF.maxother = 2, 60, 60


class StatisticsConfig(Section):
    """How uncertainty is reported."""

    confidence: float = Field(0.95, gt=0.5, lt=1, description="confidence level of every interval")


class FigureStyle(Section):
    """How figures look. Changing it only redraws the figures and rewrites the report."""

    preset: Literal["one_column", "two_columns", "slide"] = Field(
        "two_columns", description="where the figures will be used: in a column, across a page, on a slide"
    )
    one_column: float = Field(3.25, ge=1, le=20, description="width of a one-column figure, inches")
    two_columns: float = Field(6.75, ge=1, le=40, description="width of a two-column figure, inches")
    slide: float = Field(12.0, ge=4, le=60, description="width of a figure on a slide, inches")
    font_size: float = Field(8.0, ge=4, le=30, description="font size in the two-column preset, points")
    formats: Formats = Field(("pdf", "png", "svg"), description="file formats; must include svg")
    dpi: int = Field(200, ge=50, le=1200, description="resolution of the PNG files, dots per inch")
    palette: Literal["colorblind", "grey"] = Field("colorblind", description="colours of the methods")
    heatmap: Literal["viridis", "cividis", "mako"] = Field("cividis", description="colour map of the heatmaps")

    @property
    def narrow(self) -> bool:
        """Whether figures must fit in one column; their panels are then stacked."""
        return self.preset == "one_column"

    @model_validator(mode="after")
    def _the_report_needs_svg(self) -> FigureStyle:
        if "svg" not in self.formats:
            raise ValueError(f"formats = {list(self.formats)}: must include svg, which the report shows")
        return self


class FiguresConfig(Section):
    """Settings of the figures."""

    style: FigureStyle = FigureStyle()


STUDIES = measured_studies()
if TYPE_CHECKING:
    StudyName: TypeAlias = str
else:
    StudyName = Literal[STUDIES]
StudyNames = Annotated[tuple[StudyName, ...], BeforeValidator(sorted_unique), Field(min_length=1, strict=False)]


class StudyConfig(Section):
    """The whole configuration."""

    studies: Annotated[tuple[StudyName, ...], BeforeValidator(sorted_unique), Field(min_length=1, strict=False)] = (
        Field(default_studies(), description="measured studies of a run; the published tables are always included")
    )
    later: Annotated[tuple[StudyName, ...], BeforeValidator(sorted_unique), Field(strict=False)] = Field(
        (), description="studies that a later run adds; the report says that they are still running"
    )
    seeds: Seeds = Field(20, validate_default=True, description="number of seeds, or a list of them")
    device: Literal["auto", "cpu", "cuda"] = Field("cpu", description="where training runs")
    statistics: StatisticsConfig = StatisticsConfig()
    notebook: NotebookConfig = NotebookConfig()
    encoder: EncoderConfig = EncoderConfig()
    adaptation: AdaptationConfig = AdaptationConfig()
    laboratory: LaboratoryConfig = LaboratoryConfig()
    decoder: DecoderConfig = DecoderConfig()
    figures: FiguresConfig = FiguresConfig()

    @model_validator(mode="after")
    def _shifts_fit_the_weight(self) -> StudyConfig:
        # Checked for the whole study only: a rule gets part of the section, with defaults for the remaining keys.
        own = self.adaptation
        full = min(own.data.features, own.data.hidden_features)
        for key, rank in (
            ("shift_ranks", own.shift_ranks[-1]),
            ("method_shift_ranks", own.method_shift_ranks[-1]),
            ("alpha_sweep.shift_rank", own.alpha_sweep.shift_rank),
            ("placement.shift_rank", own.placement.shift_rank),
        ):
            if rank > full:
                allowed = f"at most {full}, the full rank of the shifted weight"
                raise ValueError(f"adaptation.{key} = {rank}: allowed: {allowed}")
        second = min(own.data.hidden_features, own.data.classes)
        if own.placement.shift_rank > second:
            allowed = f"at most {second}, the full rank of the second weight"
            raise ValueError(f"adaptation.placement.shift_rank = {own.placement.shift_rank}: allowed: {allowed}")
        return self


def load_config(values: Mapping[str, Any]) -> StudyConfig:
    """Validate the configuration.

    Parameters
    ----------
    values
        Parsed YAML, as merged by Snakemake from ``config.yaml``, ``--configfile`` and ``--config``.

    Raises
    ------
    AtlasError
        With a one-line message naming each offending key, its value and what is allowed.
    """
    try:
        return _checked(values)
    except ValidationError as error:
        faults = error.errors()
        more = [f"and {len(faults) - _MAX_FAULTS} more"] if len(faults) > _MAX_FAULTS else []
        raise AtlasError("; ".join([*map(_describe, faults[:_MAX_FAULTS]), *more])) from None


def _checked(values: Mapping[str, Any]) -> StudyConfig:
    """Return the configuration of values, whose numbers may be text.

    YAML takes ``1e-4`` for a text, since it has no point, and Snakemake hands over the inner values of ``--config
    'statistics={"confidence": 0.9}'`` as texts.
    """
    try:
        return StudyConfig.model_validate(dict(values))
    except ValidationError as error:
        faults = [fault for fault in error.errors() if fault["type"] in _NUMERIC_FAULTS]
        wanted = [fault["loc"] for fault in faults if _number(fault["input"]) is not None]
        if not wanted:
            raise
    return StudyConfig.model_validate(_with_numbers(dict(values), wanted))


def _number(value: object) -> float | None:
    """Return the number that a text spells, None of anything else."""
    if not isinstance(value, str) or len(value) > _MAX_DIGITS or not _SPELT_NUMBER.fullmatch(value):
        return None
    number = float(value)
    # 1e3 examples are a whole number, 1.0 is written as a fraction.
    return int(value) if value.lstrip("+-").isdecimal() else int(number) if _is_power(value, number) else number


def _is_power(text: str, number: float) -> bool:
    return "." not in text and number.is_integer()


def _with_numbers(value: Any, places: Sequence[tuple[int | str, ...]]) -> Any:
    """Return a copy of nested values in which the texts at some places are the numbers that they spell."""
    if () in places:
        return value if (number := _number(value)) is None else number
    inner: dict[int | str, list[tuple[int | str, ...]]] = {}
    for place in places:
        if place:
            inner.setdefault(place[0], []).append(place[1:])
    if isinstance(value, Mapping):
        return {key: _with_numbers(each, inner[key]) if key in inner else each for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_with_numbers(each, inner[at]) if at in inner else each for at, each in enumerate(value)]
    return value


def _short(value: object) -> str:
    """Abbreviate a value to one short line, however long or deeply nested it is."""
    # Unlike repr, reprlib stops early, even for a value whose aliases make it endless.
    text = " ".join(_BRIEF.repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."


def _describe(fault: Mapping[str, Any]) -> str:
    """Describe a pydantic error as ``config: key = value: what is allowed``."""
    parts = [str(part) for part in fault["loc"]]
    key = ".".join(part if part.isidentifier() or part.isdecimal() else _short(part) for part in parts) or "(top level)"
    shown = _short(fault["input"])
    if fault["type"] == "extra_forbidden":
        section = _section_at(fault["loc"][:-1])
        return f"config: {key} = {shown}: unknown key; allowed here: {', '.join(sorted(section))}"
    # Users write YAML lists; that we turn them into tuples is an implementation detail.
    allowed = fault["msg"].removeprefix("Value error, ").replace("valid tuple", "list").replace("Tuple", "List")
    return f"config: {key} = {shown}: {allowed}"


def _section_at(path: tuple[object, ...]) -> list[str]:
    """List the keys allowed in the section at the end of a path of keys."""
    section: type[BaseModel] = StudyConfig
    for part in path:
        # The index of a list entry does not lead to another section.
        if isinstance(part, str):
            annotation = section.model_fields[part].annotation
            section = next(kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type(BaseModel)))
    return list(section.model_fields)


def config_schema() -> dict[str, Any]:
    """Generate the JSON schema of the configuration file."""
    return StudyConfig.model_json_schema()


def write_schema(path: Path) -> None:
    """Write the JSON schema for editors; a test checks that it is up to date."""
    path.write_text(json.dumps(config_schema(), indent=2, sort_keys=True) + "\n", encoding="utf-8")
