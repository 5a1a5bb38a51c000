"""Language models to adapt: loaded from a folder, or drawn at random; and the places where they can be adapted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from peft_atlas.methods.method import Sites
from peft_atlas.models.bert import load_weights
from peft_atlas.models.folder import read_tokenizer
from peft_atlas.models.llama import Llama
from peft_atlas.models.llama_shape import LlamaShape, check_decoder_weights, read_shape, weight_name
from peft_atlas.rng import generator

# The tables of tokens, which are frozen whatever the method.
TOKEN_TABLES = ("embed_tokens", "lm_head")
# What a prefix starts from: plain words that say nothing about a task.
PREFIX_TEXT = (
    "The following is a short and correct text about everyday things and the people who use them at home, at work and "
    "in town, written for readers of any age."
)
# Two layers with grouped queries, for the smoke study and the tests.
SMALL = LlamaShape(
    vocab_size=264, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    intermediate_size=48, head_dim=8, max_position_embeddings=256, tie_word_embeddings=True,
)  # fmt: skip


def load_decoder(folder: Path) -> Llama:
    """Load a language model, in float32, from a folder with ``config.json`` and safetensors.

    Weights that are in float32 in the file stay mapped to it until they change, so that loading takes no memory.

    Raises
    ------
    AtlasError
        If the family is not one that is known, or the files lack a weight, or one has another shape.
    """
    shape = read_shape(folder)
    check_decoder_weights(folder, shape)
    with torch.device("meta"):
        model = Llama(shape)
    found = {weight_name(name): tensor for name, tensor in load_weights(folder).items()}
    if shape.tie_word_embeddings:
        found["lm_head.weight"] = found["embed_tokens.weight"]
    model.load_state_dict({name: found[name].float() for name in model.state_dict()}, assign=True)
    return _settled(model)


@torch.no_grad()
def random_llama(shape: LlamaShape, seed: int) -> Llama:
    """Initialise a language model as `transformers` does: normal weights, zero biases, normalisation of scale 1."""
    with torch.device("meta"):
        model = Llama(shape)
    model.to_empty(device="cpu")
    model.tie_weights()
    draws = generator(seed, "base/decoder")
    for module in model.modules():
        if isinstance(module, nn.RMSNorm):
            module.weight.fill_(1.0)
        if isinstance(module, nn.Embedding) or (isinstance(module, nn.Linear) and module is not model.lm_head):
            module.weight.normal_(0.0, shape.initializer_range, generator=draws)
        if isinstance(module, nn.Linear) and module.bias is not None:
            module.bias.zero_()
    if not shape.tie_word_embeddings:
        model.lm_head.weight.normal_(0.0, shape.initializer_range, generator=draws)
    return _settled(model)


def _settled(model: Llama) -> Llama:
    """Return a model built on the meta device with its ties and rotary frequencies, which are no weights, as usual."""
    model.tie_weights()
    model.rotary_emb.reset()
    return model


def decoder_sites(shape: LlamaShape, prefix_tokens: Sequence[int] = ()) -> Sites:
    """Name the places where a decoder can be adapted, under the names of `transformers` and `peft`.

    Methods that have a start near the identity take it: from a random one a deep decoder does not recover.

    Parameters
    ----------
    shape
        The decoder's sizes.
    prefix_tokens
        Tokens of a text of the model's language, at least as many as a prefix has; their keys and values are what a
        prefix starts from. None for the random start.
    """
    query, key, value = "q_proj", "k_proj", "v_proj"
    outputs = ("o_proj", "down_proj")
    return Sites(
        linear=(query, key, value, "o_proj", "gate_proj", "up_proj", "down_proj"),
        query_value=(query, value),
        attention=(query, key, value),
        rescaled=(key, value),
        feedforward=("down_proj",),
        outputs=outputs,
        attention_modules=("self_attn",),
        blocks=("layers.*",),
        width=shape.hidden_size,
        key_width=shape.key_width,
        frozen=TOKEN_TABLES,
        prefix_tokens=tuple(prefix_tokens),
        identity_start=True,
    )


def folder_sites(folder: Path) -> Sites:
    """Return `decoder_sites` of the decoder in a folder, with `PREFIX_TEXT` in its tokens.

    Raises
    ------
    AtlasError
        If the folder holds no decoder that is known, or no tokenizer.
    """
    return decoder_sites(read_shape(folder), read_tokenizer(folder).encode(PREFIX_TEXT, add_special_tokens=False).ids)


def parameter_counts(model: Llama) -> tuple[int, int]:
    """Return how many parameters a model has, each tensor once, and how many without its tables of tokens."""
    total = sum(parameter.numel() for parameter in model.parameters())
    tables = {id(module.weight): module.weight.numel() for module in (model.embed_tokens, model.lm_head)}
    return total, total - sum(tables.values())
