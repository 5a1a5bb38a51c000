"""A GGUF file of a LLaMA written as a folder of `transformers`: configuration, weights in float32, and tokenizer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers, processors
from tokenizers.models import BPE

from peft_atlas.errors import AtlasError
from peft_atlas.files import write_text, write_whole
from peft_atlas.models.folder import CONFIG, TOKENIZER, WEIGHTS
from peft_atlas.models.gguf import Gguf

# llama.cpp's names of a block's parts.
_PARTS = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
}  # fmt: skip
_OUTER = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
# How a kind of tokenizer cuts a text before it looks up pieces; SmolLM cuts numbers into digits.
_PIECES = {"smollm": [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]}
_CONTROL, _USER_DEFINED = 3, 4


def write_gguf_folder(file: Gguf, folder: Path) -> None:
    """Write ``config.json``, ``model.safetensors`` and ``tokenizer.json`` of a GGUF file, each whole or not at all.

    Quantized weights become the float32 values that they stand for. The configuration comes last, so that a folder
    that has it is complete.

    Raises
    ------
    AtlasError
        If the file's architecture or tokenizer is another than what is known here, or a part is missing.
    """
    configuration = _configuration(file)
    tokenizer = gguf_tokenizer(file)
    weights = dict(_weights(file, configuration["num_attention_heads"], configuration["num_key_value_heads"]))
    write_whole(folder / WEIGHTS, lambda part: save_file(weights, part, {"format": "pt"}))
    write_whole(folder / TOKENIZER, lambda part: tokenizer.save(str(part)))
    write_text(folder / CONFIG, json.dumps(configuration, indent=2, sort_keys=True) + "\n")


def _configuration(file: Gguf) -> dict[str, Any]:
    """Return ``config.json``'s content."""
    architecture = file.value("general.architecture")
    if architecture != "llama":
        raise AtlasError(f"{file.path}: general.architecture = {architecture!r}: allowed: 'llama'")
    if "rope_freqs.weight" in file.tensors or "llama.rope.scaling.type" in file.metadata:
        raise AtlasError(f"{file.path}: scales rotary frequencies; allowed: the model's folder of safetensors")
    heads, width = file.value("llama.attention.head_count"), file.value("llama.embedding_length")
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": file.tensors["token_embd.weight"].shape[0] if "token_embd.weight" in file.tensors else 0,
        "hidden_size": width,
        "intermediate_size": file.value("llama.feed_forward_length"),
        "num_hidden_layers": file.value("llama.block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": file.metadata.get("llama.attention.head_count_kv", heads),
        "head_dim": file.metadata.get("llama.attention.key_length", width // heads),
        "max_position_embeddings": file.value("llama.context_length"),
        # The file has it in float32.
        "rms_norm_eps": float(np.format_float_positional(np.float32(file.value(_EPSILON)), trim="-")),
        "rope_theta": file.metadata.get("llama.rope.freq_base", 10_000.0),
        "hidden_act": "silu",
        "tie_word_embeddings": "output.weight" not in file.tensors,
        "bos_token_id": file.metadata.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": file.metadata.get("tokenizer.ggml.eos_token_id"),
        "dtype": "float32",
    }


_EPSILON = "llama.attention.layer_norm_rms_epsilon"


def _weights(file: Gguf, heads: int, groups: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield every tensor in float32 under its name in `transformers`."""
    for name in file.tensors:
        values = file.tensor(name)
        part = name.split(".")[-2] if name.startswith("blk.") else ""
        if part in ("attn_q", "attn_k"):
            values = _halves_apart(values, heads if part == "attn_q" else groups)
        yield _name(file, name), values


def _name(file: Gguf, name: str) -> str:
    """Return a tensor's name in `transformers`."""
    place, _, kind = name.rpartition(".")
    if place in _OUTER:
        return f"{_OUTER[place]}.{kind}"
    words = place.split(".")
    if len(words) == 3 and words[0] == "blk" and words[2] in _PARTS:
        return f"model.layers.{words[1]}.{_PARTS[words[2]]}.{kind}"
    raise AtlasError(f"{file.path}: tensor {name!r} is no part of a LLaMA; allowed: {', '.join([*_OUTER, *_PARTS])}")


def _halves_apart(values: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Return the rows of queries or keys in the order of `transformers`.

    llama.cpp puts the two entries that a rotary position turns side by side; `transformers` puts them half a head
    apart.
    """
    paired = values.reshape(heads, -1, 2, *values.shape[1:])
    return np.ascontiguousarray(paired.swapaxes(1, 2)).reshape(values.shape)


def gguf_tokenizer(file: Gguf) -> Tokenizer:
    """Return the tokenizer that a GGUF file's metadata describe.

    Raises
    ------
    AtlasError
        If it is another kind than byte-level BPE with a known cutting of texts.
    """
    kind, cut = file.value("tokenizer.ggml.model"), file.metadata.get("tokenizer.ggml.pre", "")
    if kind != "gpt2" or cut not in _PIECES:
        raise AtlasError(
            f"{file.path}: tokenizer {str(kind)[:40]!r} with {str(cut)[:40]!r}; allowed: 'gpt2' with "
            f"{', '.join(map(repr, _PIECES))}; else the model's folder of safetensors"
        )
    tokens, kinds = file.value("tokenizer.ggml.tokens"), file.value("tokenizer.ggml.token_type")
    merges = [(left, right) for left, _, right in (each.partition(" ") for each in file.value("tokenizer.ggml.merges"))]
    tokenizer = Tokenizer(BPE({token: place for place, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(_PIECES[cut])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    for token, each in zip(tokens, kinds, strict=True):
        if each in (_CONTROL, _USER_DEFINED):
            tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=each == _CONTROL)])
    return tokenizer
