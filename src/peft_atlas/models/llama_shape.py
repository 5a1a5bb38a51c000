"""Sizes of a decoder of the LLaMA family, read from a folder without torch: which models the module can build.

LLaMA (arXiv:2302.13971, 2407.21783), Mistral (arXiv:2310.06825), Qwen 2 (arXiv:2407.10671) and Qwen 3
(arXiv:2505.09388) differ in biases and in a normalisation of queries and keys, which the shape states.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peft_atlas.errors import AtlasError
from peft_atlas.models.folder import CONFIG, check_size, check_tensors, check_tokenizer, read_json, weights_header

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
SCALINGS = ("default", "linear", "llama3")
_SIZES = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
# What transformers takes where a file does not say it.
_POSITIONS = {"llama": 2048, "mistral": 131_072, "qwen2": 32_768, "qwen3": 32_768}
_PREFIX = "model."


@dataclass(frozen=True)
class RopeScaling:
    """How rotary frequencies are stretched for contexts longer than those of pretraining; see `llama.frequencies`.

    ``kind`` is "linear", which divides all frequencies by ``factor``, or "llama3", which divides those whose waves are
    longer than ``original / low_frequency`` positions and blends up to ``original / high_frequency``.
    """

    kind: str
    factor: float
    low_frequency: float = 1.0
    high_frequency: float = 4.0
    original: int = 8192


@dataclass(frozen=True)
class LlamaShape:
    """Sizes of a decoder, named as in ``config.json`` where it names them.

    Parameters
    ----------
    attention_bias, output_bias, mlp_bias
        Whether q, k and v, the attention's output, and the feed-forward network have biases.
    query_key_norm
        Whether queries and keys are normalised per head, as in Qwen 3.
    sliding_window
        Positions that a token sees; None for all before it. Within the window the network is one without.
    """

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    intermediate_size: int
    head_dim: int
    max_position_embeddings: int = 2048
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10_000.0
    rope_scaling: RopeScaling | None = None
    attention_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    query_key_norm: bool = False
    tie_word_embeddings: bool = False
    sliding_window: int | None = None
    initializer_range: float = 0.02
    model_type: str = "llama"

    @property
    def context(self) -> int:
        """Return how many tokens it can read: its positions, or a sliding window that is shorter."""
        return min(self.max_position_embeddings, self.sliding_window or self.max_position_embeddings)

    @property
    def key_width(self) -> int:
        """Return the width of the keys of a layer, and of its values."""
        return self.num_key_value_heads * self.head_dim


def read_shape(folder: Path) -> LlamaShape:
    """Read the sizes from a folder's ``config.json``.

    Raises
    ------
    AtlasError
        If it describes no decoder of `FAMILIES`, or one with parts that the module does not build.
    """
    stated = read_json(folder / CONFIG)
    family = stated.get("model_type")
    if family not in FAMILIES:
        raise AtlasError(f"model {folder}: model_type = {str(family)[:40]!r}: allowed: {', '.join(FAMILIES)}")
    for name in _SIZES:
        check_size(folder, name, stated.get(name))
    heads = stated["num_attention_heads"]
    groups = _own(stated, "num_key_value_heads", heads)
    head_dim = _own(stated, "head_dim", 128 if family == "qwen3" else stated["hidden_size"] // heads)
    positions = _own(stated, "max_position_embeddings", _POSITIONS[family])
    for name, value in (
        ("num_key_value_heads", groups), ("head_dim", head_dim), ("max_position_embeddings", positions)
    ):  # fmt: skip
        check_size(folder, name, value)
    if heads % groups:
        raise AtlasError(f"{folder}/{CONFIG}: num_key_value_heads = {groups}: allowed: a divisor of the {heads} heads")
    if head_dim % 2:
        raise AtlasError(f"{folder}/{CONFIG}: head_dim = {head_dim}: allowed: an even number, for rotary positions")
    if stated.get("hidden_act", "silu") != "silu":
        raise AtlasError(f"{folder}/{CONFIG}: hidden_act = {str(stated['hidden_act'])[:40]!r}: allowed: 'silu'")
    theta, scaling = _rotary(folder, stated)
    biased = bool(stated.get("attention_bias", False)) and family in ("llama", "qwen3")
    return LlamaShape(
        **{name: stated[name] for name in _SIZES},
        num_key_value_heads=groups,
        head_dim=head_dim,
        max_position_embeddings=positions,
        rms_norm_eps=float(_own(stated, "rms_norm_eps", 1e-6)),
        rope_theta=theta,
        rope_scaling=scaling,
        attention_bias=biased or family == "qwen2",
        output_bias=biased,
        mlp_bias=bool(stated.get("mlp_bias", False)) and family == "llama",
        query_key_norm=family == "qwen3",
        tie_word_embeddings=bool(stated.get("tie_word_embeddings", False)),
        sliding_window=_window(stated, family),
        initializer_range=float(_own(stated, "initializer_range", 0.02)),
        model_type=str(family),
    )


def _own(stated: Mapping[str, Any], name: str, usual: Any) -> Any:
    """Return a value, or the usual one where the file gives none."""
    return usual if stated.get(name) is None else stated[name]


def _window(stated: Mapping[str, Any], family: str) -> int | None:
    """Return the sliding window of a family's attention, None where it has none."""
    used = family == "mistral" or (family.startswith("qwen") and stated.get("use_sliding_window"))
    window = stated.get("sliding_window") if used else None
    return window if isinstance(window, int) and window > 0 else None


def _rotary(folder: Path, stated: Mapping[str, Any]) -> tuple[float, RopeScaling | None]:
    """Return the base of the rotary frequencies and how they are scaled, from old files or new."""
    given = stated.get("rope_parameters") or stated.get("rope_scaling") or {}
    if not isinstance(given, dict):
        raise AtlasError(f"{folder}/{CONFIG}: rope_scaling = {str(given)[:40]!r}: allowed: a mapping, or null")
    theta = given.get("rope_theta", stated.get("rope_theta", 10_000.0))
    kind = given.get("rope_type", given.get("type", "default"))
    if kind not in SCALINGS:
        raise AtlasError(f"{folder}/{CONFIG}: rope_type = {str(kind)[:40]!r}: allowed: {', '.join(SCALINGS)}")
    if kind == "default":
        return float(theta), None
    names = {
        "factor": "factor", "low_frequency": "low_freq_factor", "high_frequency": "high_freq_factor",
        "original": "original_max_position_embeddings",
    }  # fmt: skip
    lacking = [name for name in list(names.values())[: 1 if kind == "linear" else None] if name not in given]
    if lacking:
        raise AtlasError(f"{folder}/{CONFIG}: rope_type = {kind!r} without {lacking[0]}; allowed: with it")
    return float(theta), RopeScaling(kind, **{ours: given[name] for ours, name in names.items() if name in given})


def check_decoder(folder: Path) -> LlamaShape:
    """Check that a folder holds a decoder that can be trained, without loading it, and return its sizes.

    Raises
    ------
    AtlasError
        If a file is missing or damaged, the family or a part of the network is unknown, or weights or tokenizer do not
        fit the sizes.
    """
    shape = read_shape(folder)
    check_decoder_weights(folder, shape)
    check_tokenizer(folder, shape.vocab_size)
    return shape


def check_decoder_weights(folder: Path, shape: LlamaShape) -> None:
    """Raise an AtlasError unless the files hold every weight of the decoder in its shape."""
    found = {weight_name(name): entry for name, entry in weights_header(folder).items()}
    check_tensors(folder, found, dict(weight_shapes(shape)), "the decoder")


def weight_name(name: str) -> str:
    """Return a weight's name within the decoder: files of a language model put ``model.`` before it."""
    return name.removeprefix(_PREFIX)


def weight_shapes(shape: LlamaShape) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield name and shape of every weight of a decoder."""
    width, inner = shape.hidden_size, shape.intermediate_size
    queries = shape.num_attention_heads * shape.head_dim
    yield "embed_tokens.weight", (shape.vocab_size, width)
    for number in range(shape.num_hidden_layers):
        layer = f"layers.{number}"
        for part, inputs, outputs, bias in (
            ("self_attn.q_proj", width, queries, shape.attention_bias),
            ("self_attn.k_proj", width, shape.key_width, shape.attention_bias),
            ("self_attn.v_proj", width, shape.key_width, shape.attention_bias),
            ("self_attn.o_proj", queries, width, shape.output_bias),
            ("mlp.gate_proj", width, inner, shape.mlp_bias),
            ("mlp.up_proj", width, inner, shape.mlp_bias),
            ("mlp.down_proj", inner, width, shape.mlp_bias),
        ):
            yield f"{layer}.{part}.weight", (outputs, inputs)
            if bias:
                yield f"{layer}.{part}.bias", (outputs,)
        for part in ("q_norm", "k_norm") if shape.query_key_norm else ():
            yield f"{layer}.self_attn.{part}.weight", (shape.head_dim,)
        for part in ("input_layernorm", "post_attention_layernorm"):
            yield f"{layer}.{part}.weight", (width,)
    yield "norm.weight", (width,)
    if not shape.tie_word_embeddings:
        yield "lm_head.weight", (shape.vocab_size, width)
