"""The planner of the page: what its script computes with, and the answer that is there without a script.

The script in ``templates/planner.js`` is the closed form of `peft_atlas.planning` for transformers with peft once more;
tests/browser/test_planner.py holds the two equal on random inputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from peft_atlas.errors import AtlasError
from peft_atlas.planning.architecture import Architecture, Attention, Block, Linear
from peft_atlas.planning.closed_form import QUANTIZED_BYTES, Parts
from peft_atlas.planning.counts import LARGEST_RANK, bias_parameters, norm_parameters
from peft_atlas.planning.intervals import PLAIN, QUANTIZED, shipped_interval
from peft_atlas.planning.methods import METHODS, Method, find_method
from peft_atlas.planning.planner import LARGEST_CARD, LEARNED_POSITIONS, Plan, plan
from peft_atlas.planning.settings import LARGEST_BATCH, LARGEST_SEQUENCE, OPTIMIZERS, Settings
from peft_atlas.planning.shapes import find_architecture, names
from peft_atlas.planning.stacks import EAGER_ONLY, RULES
from peft_atlas.planning.targets import KINDS, of_kind
from peft_atlas.planning.verdict import CONTEXT_BYTES, GIB, LARGEST_SHARE, LEAST_SHARE
from peft_atlas.report.content import Paragraph, Planner, PlannerAnswer, Section
from peft_atlas.report.material import Material
from peft_atlas.report.memory_section import accuracy_in_words

STACK = "transformers"
# What the page opens with: a question that people ask.
MODEL, METHOD, CARD, BATCH, SEQUENCE = "Llama-3-8B", "lora", 24, 4, 1024
CARDS = (8, 12, 16, 24, 32, 40, 48, 80, 96, 141)
# What the page calls a precision, and the precision and quantisation that it means.
PRECISIONS: Mapping[str, tuple[str, str, str]] = {
    "bf16": ("bf16", "bf16", "none"),
    "bf16-mixed": ("bf16 mixed: fp32 weights, autocast", "bf16-mixed", "none"),
    "fp32": ("fp32", "fp32", "none"),
    "int8": ("bf16 over an 8-bit base", "bf16", "int8"),
    "nf4": ("bf16 over a 4-bit base (nf4)", "bf16", "nf4"),
    "nf4-dq": ("bf16 over a 4-bit base, doubly quantised", "bf16", "nf4-dq"),
}
METHOD_NAMES = {
    "full": "full fine-tuning", "lora": "LoRA", "rslora": "rsLoRA", "dora": "DoRA", "lora-fa": "LoRA-FA",
    "adalora": "AdaLoRA", "loha": "LoHa", "lokr": "LoKr", "hira": "HiRA", "fourierft": "FourierFT", "oft": "OFT",
    "ia3": "(IA)3", "vera": "VeRA", "miss": "MiSS", "delora": "DeLoRA", "gralora": "GraLoRA", "c3a": "C3A",
    "road": "RoAd", "pvera": "PVeRA", "randlora": "RandLoRA", "shira": "SHiRA", "beft": "BEFT",
    "prefix": "prefix tuning", "prompt": "prompt tuning", "p-tuning": "P-tuning", "ln-tuning": "LN tuning",
    "bitfit": "BitFit",
}  # fmt: skip
PART_NAMES = {
    "frozen_weights": "Base weights",
    "adapter": "Adapter",
    "gradients": "Gradients",
    "optimizer": "Optimiser",
    "activations": "Activations",
    "adapter_inputs": "Adapter's inputs and results",
    "logits": "Logits and loss",
    "working": "Working space",
}
# Ways out where a setting does not fit: name, checkpointing, precision; None leaves it as it is.
WAYS: tuple[tuple[str, bool | None, str | None], ...] = (
    ("as chosen", None, None),
    ("with checkpointing", True, None),
    ("over a 4-bit base (nf4, doubly quantised)", None, "nf4-dq"),
    ("with both", True, "nf4-dq"),
)


def planner_section(material: Material) -> Section:
    """Return the planner with what it rests on, as a section of the report."""
    intro = Paragraph(
        f"Memory of one training step on one GPU, by the closed form of peft-atlas plan: {STACK} with peft, fused "
        "attention where the model has it, adapters in fp32, one micro-batch per step, the loss over all tokens at "
        "once. "
        f"{accuracy_in_words(material.tables['predictions'])}",
        "predictions: predicted_gb, measured_gb, relative_error",
    )
    return Section("fit", "Will it fit?", [planner(), intro])


def planner() -> Planner:
    """Return the planner as a block of the report."""
    return Planner(_data(), opening())


def opening() -> PlannerAnswer:
    """Return the answer to the question that the page opens with, as its script would give it."""
    chosen = plan(MODEL, METHOD, gpu_gb=CARD, micro_batch=BATCH, sequence=SEQUENCE)
    return PlannerAnswer(
        sentence(chosen), str(chosen.verdict), _gb(chosen.peak_bytes, 2), tuple(_facts(chosen)), tuple(_bars(chosen)),
        tuple(_ways(chosen)),
    )  # fmt: skip


def sentence(found: Plan) -> str:
    """Return the verdict on a plan with a card, as a sentence."""
    assert found.card_gb is not None
    settings = found.settings
    said = {"fits": "fits", "does not fit": "does not fit", "cannot tell": "may or may not fit"}[str(found.verdict)]
    method = METHOD_NAMES[found.method]
    return (
        f"{method[0].upper()}{method[1:]} on {found.model}, {settings.micro_batch:,} × {settings.sequence:,} tokens, "
        f"{said} in {found.card_gb:g} GB: the predicted peak is {_gb(found.peak_bytes)} GB, 90\u00a0% interval "
        f"{_gb(found.low_bytes)} to {_gb(found.high_bytes)} GB."
    )


def _gb(size: float, digits: int = 1) -> str:
    return f"{size / 1e9:.{digits}f}"


def _facts(found: Plan) -> Iterator[tuple[str, str]]:
    """Yield what is listed under the sentence."""
    yield "Setting", _setting(found)
    yield "Trained parameters", f"{found.counts.trained:,} ({found.counts.percent_of_base:.3g} % of the base)"
    yield "Largest micro-batch at this length", _largest(found.largest_micro_batch)
    yield "Longest sequence at this batch", _largest(found.longest_sequence)
    yield "Adapter file", f"{found.file_bytes / 1e6:,.1f} MB"
    yield "Peak occurs when", found.moment


def _setting(found: Plan) -> str:
    """Return the rest of the setting, as the page's fields have it."""
    settings, method = found.settings, find_method(found.method)
    chosen = (settings.precision, settings.quantization)
    words = [next(name for name, *pair in PRECISIONS.values() if tuple(pair) == chosen), settings.optimizer]
    if method.rank_name != "unused" and method.acts_on in ("linear", "tokens"):
        words.append(f"{method.rank_name} {found.rank:,}")
    words += [f"on {' '.join(found.targets)}"] if method.acts_on == "linear" else []
    return ", ".join([*words, f"{'' if settings.checkpointing else 'no '}checkpointing"])


def _largest(value: int | None) -> str:
    """Return the largest value that fits, as text."""
    return "fixed by the model" if value is None else f"{value:,}" if value else "none"


def _bars(found: Plan) -> Iterator[tuple[str, str, float, float]]:
    """Yield each part's name, gigabytes, and its start and width in percent of the peak."""
    start = 0
    for field in fields(Parts):
        size = getattr(found.parts, field.name)
        if size:
            yield PART_NAMES[field.name], _gb(size, 2), 100 * start / found.peak_bytes, 100 * size / found.peak_bytes
        start += size


def _ways(found: Plan) -> Iterator[tuple[str, str, str, str]]:
    """Yield ways to need less: name, peak with its interval in GB, verdict and largest micro-batch."""
    seen = set()
    for name, checkpointing, precision in WAYS:
        settings = found.settings if checkpointing is None else replace(found.settings, checkpointing=checkpointing)
        if precision is not None:
            _, weights, base = PRECISIONS[precision]
            settings = replace(settings, precision=weights, quantization=base)
        if settings not in seen:
            seen.add(settings)
            one = plan(found.model, found.method, rank=found.rank, gpu_gb=found.card_gb, settings=settings)
            peak = f"{_gb(one.peak_bytes)} [{_gb(one.low_bytes)},\u00a0{_gb(one.high_bytes)}]"
            yield name, peak, str(one.verdict), _largest(one.largest_micro_batch)


def _data() -> dict[str, Any]:
    """Return the shapes and constants that the script computes with."""
    logits = RULES[STACK].adapter_logits
    return {
        "start": {
            "model": MODEL, "card": CARD, "method": METHOD, "batch": BATCH, "sequence": SEQUENCE, "precision": "bf16",
            "optimizer": Settings().optimizer, "targets": "", "rank": find_method(METHOD).default_rank,
        },
        "cards": CARDS,
        "limits": {
            "card": LARGEST_CARD, "batch": LARGEST_BATCH, "sequence": LARGEST_SEQUENCE, "rank": LARGEST_RANK,
        },
        "precisions": [_precision(key) for key in PRECISIONS],
        "optimizers": OPTIMIZERS,
        "kinds": KINDS,
        "methods": [_method(method) for method in METHODS],
        "parts": PART_NAMES,
        "ways": WAYS,
        "logits": logits,
        "intervals": {group: _ends(group) for group in (PLAIN, QUANTIZED)},
        "memory": {"gib": GIB, "least": LEAST_SHARE, "most": LARGEST_SHARE, "context": CONTEXT_BYTES},
        **_models(),
    }  # fmt: skip


def _ends(group: str) -> tuple[float, float]:
    interval = shipped_interval(group)
    return interval.low, interval.high


def _precision(key: str) -> dict[str, Any]:
    """Return a precision as bytes of a weight, of a product's entry, of a quantised entry, and whether it casts."""
    name, precision, quantization = PRECISIONS[key]
    settings = Settings(precision=precision, quantization=quantization)
    return {
        "key": key, "name": name, "weight": settings.weight_bytes, "compute": settings.compute_bytes,
        "adapter": settings.adapter_bytes, "casts": settings.casts,
        "quantised": QUANTIZED_BYTES.get(settings.quantization, 0),
    }  # fmt: skip


def _method(method: Method) -> dict[str, Any]:
    keeps = {name: size for name, size in asdict(method.footprint).items() if size}
    return {
        "key": method.name, "name": METHOD_NAMES.get(method.name, method.name), "acts": method.acts_on,
        "targets": method.targets, "rank": method.default_rank, "unit": method.rank_name,
        "keeps": keeps,
    }  # fmt: skip


def _models() -> dict[str, Any]:
    """Return the shipped models, one name for each shape, and the names of the tensors that matrices read."""
    sources: dict[str, int] = {}
    shapes: dict[str, dict[str, Any]] = {}
    for name in names():
        try:
            shape = _shape(find_architecture(name), sources)
        except AtlasError:
            continue
        shapes.setdefault(repr(shape), {"name": name, **shape})
    models = sorted(shapes.values(), key=lambda model: str(model["name"]).lower())
    return {"models": models, "sources": list(sources)}


def _shape(model: Architecture, sources: dict[str, int]) -> dict[str, Any]:
    """Return what memory depends on of a model; what is missing is 0 or false to the script."""
    learned = model.model_type in LEARNED_POSITIONS
    found = {
        "hidden": model.hidden, "words": model.vocabulary, "task": model.task, "size": model.parameters,
        "head": model.head_parameters, "norms": norm_parameters(model), "biases": bias_parameters(model),
        "tokens": model.tokens, "capped": model.softcap, "eager": model.model_type in EAGER_ONLY,
        "positions": model.max_positions, "learned": learned,
        "outer": [[norm.kind, norm.width, norm.rows] for norm in model.outer_norms],
        "blocks": [_block(block, sources) for block in model.blocks],
    }  # fmt: skip
    return {name: value for name, value in found.items() if value not in (None, False, 0)}


def _block(block: Block, sources: dict[str, int]) -> dict[str, Any]:
    feed = block.feed_forward
    return {
        "layers": block.layers, "hidden": block.hidden, "shared": int(block.shared_input), "dropouts": block.dropouts,
        "linears": [_linear(linear, sources) for linear in block.linears],
        "norms": [[norm.kind, norm.width, norm.rows, int(norm.shares_input)] for norm in block.norms],
        "attentions": [_attention(attention) for attention in block.attentions],
        "feed": [feed.width, int(feed.gated), feed.activation, feed.experts_per_token],
    }  # fmt: skip


def _linear(linear: Linear, sources: dict[str, int]) -> list[int]:
    """Return inputs, outputs, number of the source, bits of the kinds that select it, copies, and if it is stacked."""
    kinds = sum(of_kind(kind, linear) << place for place, kind in enumerate(KINDS))
    source = sources.setdefault(linear.source, len(sources))
    return [linear.inputs, linear.outputs, source, kinds, linear.copies, int(linear.stacked)]


def _attention(attention: Attention) -> list[int]:
    flags = (attention.fused, attention.rotary, attention.softcap, attention.upcast)
    return [attention.heads, attention.kv_heads, attention.head_size, *map(int, flags)]
