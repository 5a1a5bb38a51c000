"""A tiny language model with random weights and a tokenizer of bytes, written as a folder; its numbers mean nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from peft_atlas.files import write_text, write_whole
from peft_atlas.models.decoder import SMALL, random_llama
from peft_atlas.models.llama_shape import LlamaShape

# Prompts with examples are a few hundred bytes long.
SHAPE = replace(SMALL, max_position_embeddings=2048)


def write_random_model(folder: Path, shape: LlamaShape = SHAPE, seed: int = 0) -> None:
    """Write ``config.json``, weights and tokenizer of a random model into a folder.

    Parameters
    ----------
    folder
        Where to write.
    shape
        Its sizes; the vocabulary must hold the 256 bytes.
    seed
        Keys the weights.
    """
    model = random_llama(shape, seed)
    # A tied output is not stored twice.
    names = [name for name in model.state_dict() if not (shape.tie_word_embeddings and name == "lm_head.weight")]
    stored = {_stored_name(name): model.state_dict()[name].contiguous() for name in names}
    write_text(folder / "config.json", json.dumps(_config(shape), indent=2) + "\n")
    write_whole(folder / "model.safetensors", lambda part: save_file(stored, part, metadata={"format": "pt"}))
    write_text(folder / "tokenizer.json", byte_tokenizer().to_str())


def _stored_name(name: str) -> str:
    return name if name.startswith("lm_head") else f"model.{name}"


def _config(shape: LlamaShape) -> dict[str, object]:
    """Return what ``config.json`` says of a shape of the LLaMA family."""
    names = (
        *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads"),
        *("intermediate_size", "head_dim", "max_position_embeddings", "rms_norm_eps", "rope_theta"),
        *("tie_word_embeddings", "initializer_range"),
    )
    return {"model_type": "llama", "hidden_act": "silu", **{name: getattr(shape, name) for name in names}}


def byte_tokenizer() -> Tokenizer:
    """Return a tokenizer that makes a token of each byte."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = Tokenizer(models.BPE({letter: place for place, letter in enumerate(alphabet)}, []))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    return words
