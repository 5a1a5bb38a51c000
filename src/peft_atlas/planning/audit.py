"""Whether a printed percentage of trained parameters follows from a configuration, and if not, from which one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from peft_atlas.errors import AtlasError
from peft_atlas.planning.architecture import Architecture
from peft_atlas.planning.counts import Counts, attach, count
from peft_atlas.planning.methods import Method, find_method

PEFT_TYPES = {
    "LORA": "lora", "ADALORA": "adalora", "IA3": "ia3", "VERA": "vera", "LOHA": "loha", "LOKR": "lokr", "OFT": "oft",
    "PREFIX_TUNING": "prefix", "PROMPT_TUNING": "prompt", "P_TUNING": "p-tuning", "LN_TUNING": "ln-tuning",
    "FOURIERFT": "fourierft", "MISS": "miss", "BONE": "miss", "HIRA": "hira", "DELORA": "delora",
    "GRALORA": "gralora", "C3A": "c3a", "ROAD": "road", "PVERA": "pvera", "SHIRA": "shira",
    "RANDLORA": "randlora", "BEFT": "beft",
}  # fmt: skip
_RANKS = {"adalora": "init_r", "prefix": "num_virtual_tokens", "prompt": "num_virtual_tokens",
          "p-tuning": "num_virtual_tokens", "fourierft": "n_frequency", "c3a": "block_size"}  # fmt: skip
DENOMINATORS = ("base and adapter", "base", "base without embeddings and head")
SEARCHED_RANKS = (1, 2, 4, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
SEARCHED_TARGETS = ("query-value", "attention", "mlp", "all-linear")
SHOWN = 12


@dataclass(frozen=True)
class Adapter:
    """What an ``adapter_config.json`` says that the count depends on."""

    method: Method
    rank: int | None
    targets: tuple[str, ...]
    head: bool


@dataclass(frozen=True)
class Candidate:
    """A configuration and the percentage that follows from it; ``changes`` counts how far it is from the given one."""

    method: str
    rank: int | None
    targets: tuple[str, ...]
    head: bool
    denominator: str
    trained: int
    percent: float
    changes: int


@dataclass(frozen=True)
class Audit:
    """The percentages that follow from the configuration, whether the printed one does, and what else would give it.

    ``follows`` names the denominator, and is None where no denominator gives the printed digits. ``truncated`` is
    True where they were cut off instead of rounded.
    """

    printed: str
    given: tuple[Candidate, ...]
    follows: str | None
    truncated: bool
    others: tuple[Candidate, ...]


def read_adapter(path: Path) -> Adapter:
    """Return the adapter that peft's ``adapter_config.json`` describes; what cannot be counted exactly is refused."""
    try:
        found = json.loads((path / "adapter_config.json" if path.is_dir() else path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise AtlasError(f"adapter {path}: {error}; allowed: a JSON object in UTF-8") from None
    if not isinstance(found, dict):
        raise AtlasError(f"adapter {path}: {type(found).__name__}; allowed: a JSON object")
    return adapter_of(found, str(path))


def adapter_of(config: Mapping[str, Any], name: str) -> Adapter:
    """Return the adapter that the fields of peft's configuration describe."""
    kind = str(config.get("peft_type"))
    if kind not in PEFT_TYPES:
        raise AtlasError(f"adapter {name}: peft_type {kind!r}; known: {', '.join(PEFT_TYPES)}")
    for field in ("rank_pattern", "layers_to_transform", "target_parameters", "layer_replication"):
        if config.get(field):
            raise AtlasError(f"adapter {name}: {field} is set; known: the same rank on every layer")
    method = "dora" if config.get("use_dora") else PEFT_TYPES[kind]
    rank = config.get(_RANKS.get(method, "r"))
    saved = config.get("modules_to_save") or []
    return Adapter(find_method(method), rank, _targets(config, name), bool(saved))


def _targets(config: Mapping[str, Any], name: str) -> tuple[str, ...]:
    targets = config.get("target_modules") or ()
    if targets == "all-linear":
        return ("all-linear",)
    if isinstance(targets, str) or not all(isinstance(target, str) for target in targets):
        raise AtlasError(f"adapter {name}: target_modules {targets!r}; known: a list of names, or 'all-linear'")
    return tuple(targets)


def read_percent(text: str) -> Decimal:
    """Return a printed percentage, such as ``0.83 %``, with its printed decimals."""
    cleaned = text.replace("%", "").replace(",", ".").strip()
    try:
        value = Decimal(cleaned)
    except InvalidOperation:
        raise AtlasError(f"percentage {text!r}; allowed: a number such as '0.83 %'") from None
    if not value.is_finite() or not 0 < value <= 100:
        raise AtlasError(f"percentage {text!r}; allowed: above 0 and up to 100")
    return value


def audit(architecture: Architecture, adapter: Adapter, printed: str) -> Audit:
    """Return whether a printed percentage follows from an adapter on an architecture, and what else would give it.

    The search goes over targets, rank, method (LoRA or DoRA), a trained head, the output matrix and the embeddings
    next to the targets, and three denominators. It keeps what rounds to the printed digits, nearest first.
    """
    wanted = read_percent(printed)
    given = tuple(_candidates(architecture, adapter, 0))
    rounded = next((one for one in given if _rounds_to(one.percent, wanted)), None)
    cut = next((one for one in given if _cuts_to(one.percent, wanted)), None)
    matched = rounded or cut
    others = () if matched else tuple(search(architecture, adapter, wanted))
    return Audit(printed, given, matched.denominator if matched else None, rounded is None and cut is not None, others)


def search(architecture: Architecture, adapter: Adapter, wanted: Decimal) -> list[Candidate]:
    """Return the configurations that round to a percentage, those with the fewest changes first."""
    found: dict[tuple[str, int | None, tuple[str, ...], bool, str], Candidate] = {}
    for other, changes in _variants(architecture, adapter):
        for candidate in _candidates(architecture, other, changes):
            if _rounds_to(candidate.percent, wanted):
                key = (candidate.method, candidate.rank, candidate.targets, candidate.head, candidate.denominator)
                found.setdefault(key, candidate)
    return sorted(found.values(), key=lambda one: (one.changes, one.rank or 0))[:SHOWN]


def _variants(architecture: Architecture, adapter: Adapter) -> Iterator[tuple[Adapter, int]]:
    """Yield adapters like the given one, each with the number of its changes."""
    ranks = dict.fromkeys((adapter.rank, *SEARCHED_RANKS))
    choices = dict.fromkeys((adapter.targets, *((name,) for name in SEARCHED_TARGETS)))
    outer = ((), ("lm_head",), ("embed_tokens",), ("lm_head", "embed_tokens"))
    beside = outer if architecture.task != "labels" and architecture.head is not None else ((),)
    heads = (adapter.head, not adapter.head) if architecture.task == "labels" else (False,)
    methods = dict.fromkeys(
        (adapter.method.name, *(("lora", "dora") if adapter.method.name in ("lora", "dora") else ()))
    )
    for name in methods:
        for rank in ranks if adapter.method.acts_on in ("linear", "tokens") else (adapter.rank,):
            for targets in choices if adapter.method.acts_on == "linear" else ((),):
                for extra in beside if adapter.method.acts_on == "linear" else ((),):
                    for head in heads:
                        changes = (name != adapter.method.name) + (rank != adapter.rank) + (targets != adapter.targets)
                        changes += len(extra) + (head != adapter.head)
                        yield Adapter(find_method(name), rank, tuple(dict.fromkeys((*targets, *extra))), head), changes


def _candidates(architecture: Architecture, adapter: Adapter, changes: int) -> Iterator[Candidate]:
    """Yield an adapter's percentage under each denominator."""
    try:
        attachment = attach(architecture, adapter.method, adapter.rank, adapter.targets)
        counts = count(architecture, attachment, head=adapter.head)
    except AtlasError:
        if changes == 0:
            raise
        return
    for denominator, whole in _wholes(architecture, counts).items():
        percent = 100 * counts.trained / whole
        yield Candidate(adapter.method.name, adapter.rank, adapter.targets, adapter.head, denominator, counts.trained,
                        percent, changes + (denominator == DENOMINATORS[2]))  # fmt: skip


def _wholes(architecture: Architecture, counts: Counts) -> dict[str, int]:
    inner = counts.base - architecture.embedding_parameters - architecture.head_parameters
    return dict(zip(DENOMINATORS, (counts.base + counts.added, counts.base, inner), strict=True))


def _rounds_to(percent: float, wanted: Decimal) -> bool:
    return Decimal(percent).quantize(_unit(wanted), ROUND_HALF_UP) == wanted


def _cuts_to(percent: float, wanted: Decimal) -> bool:
    return Decimal(percent).quantize(_unit(wanted), ROUND_DOWN) == wanted


def _unit(wanted: Decimal) -> Decimal:
    return Decimal(1).scaleb(min(int(wanted.as_tuple().exponent), 0))
