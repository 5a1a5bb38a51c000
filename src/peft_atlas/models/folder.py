"""A pretrained model's folder, looked at without loading it: whether its files can be trained on.

It imports no torch, so that the workflow can look before it starts a job; of the weights it reads the header alone.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peft_atlas.errors import AtlasError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# Families whose modules are named as BERT's are, so that the same sites fit.
FAMILIES = ("bert", "camembert", "electra", "roberta", "xlm-roberta")
# Families that count positions from behind the padding token, so that the first ones are never used.
_SHIFTED = ("camembert", "roberta", "xlm-roberta")
_PREFIXES = ("bert.", "roberta.", "electra.")
CONFIG, WEIGHTS, INDEX, TOKENIZER = "config.json", "model.safetensors", "model.safetensors.index.json", "tokenizer.json"
_LFS = b"version https://git-lfs"
# The format's own limit of the header.
_MAX_HEADER = 100_000_000
_DTYPES = ("F16", "BF16", "F32", "F64")
_SIZES = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
_MAX_SIZE, _MAX_LAYERS = 2**31, 1_000
# Of `transformers`; our own BERT has the first alone.
_ACTIVATIONS = ("gelu", "gelu_fast", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "tanh")


def check_folder(folder: Path, max_length: int) -> None:
    """Check that a folder holds an encoder that can be trained on texts of ``max_length`` tokens.

    Raises
    ------
    AtlasError
        If a file is missing, damaged or of another kind, the family is unknown, the weights do not fit the sizes, or
        tokens or positions go beyond the embeddings.
    """
    stated = read_config(folder)
    positions = usable_positions(stated)
    if max_length > positions:
        raise AtlasError(f"encoder.max_length = {max_length}: allowed: at most {positions}, the positions of {folder}")
    check_weights(folder, stated)
    check_tokenizer(folder, stated["vocab_size"])


def read_config(folder: Path) -> dict[str, Any]:
    """Return a folder's ``config.json`` with its family and sizes checked.

    Raises
    ------
    AtlasError
        If it is not that of an encoder of `FAMILIES`.
    """
    stated = read_json(folder / CONFIG)
    family = stated.get("model_type")
    if family not in FAMILIES:
        raise AtlasError(f"model {folder}: model_type = {str(family)[:40]!r}: allowed: {', '.join(FAMILIES)}")
    for name in _SIZES:
        check_size(folder, name, stated.get(name))
    for name, usual in (("max_position_embeddings", 512), ("type_vocab_size", 2)):
        check_size(folder, name, stated.setdefault(name, usual))
    _check_built(folder, stated)
    if stated["hidden_size"] % stated["num_attention_heads"]:
        raise AtlasError(
            f"{folder}/{CONFIG}: hidden_size = {stated['hidden_size']}: allowed: a multiple of the "
            f"{stated['num_attention_heads']} heads"
        )
    return stated


def check_size(folder: Path, name: str, value: object) -> None:
    """Raise an AtlasError unless a size in ``config.json`` is a whole number within reason."""
    largest = _MAX_LAYERS if name == "num_hidden_layers" else _MAX_SIZE
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= largest:
        raise AtlasError(f"{folder}/{CONFIG}: {name} = {str(value)[:40]}: allowed: a whole number from 1 to {largest}")


def _check_built(folder: Path, stated: Mapping[str, Any]) -> None:
    """Raise an AtlasError where the network is not built as an encoder with BERT's parts."""
    acts = ("gelu",) if stated["model_type"] == "bert" else _ACTIVATIONS
    for name, usual, allowed, words in (
        ("hidden_act", "gelu", acts, f"{stated['model_type']} with {', '.join(acts)}"),
        ("position_embedding_type", "absolute", ("absolute", None), "absolute positions"),
        ("is_decoder", False, (False, None), "false, an encoder"),
    ):
        value = stated.get(name, usual)
        if value not in allowed:
            raise AtlasError(f"{folder}/{CONFIG}: {name} = {str(value)[:40]!r}: allowed: {words}")


def read_json(path: Path) -> dict[str, Any]:
    """Return the mapping that a JSON file holds.

    Raises
    ------
    AtlasError
        If it is not there, or holds something else.
    """
    if not path.is_file():
        raise AtlasError(f"{path}: no such file; allowed: a folder with {CONFIG}, {WEIGHTS} and {TOKENIZER}")
    data = path.read_bytes()
    _refuse_pointer(path, data)
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise AtlasError(f"{path}: not whole JSON ({str(error)[:80]}); allowed: the file as it was published") from None
    if not isinstance(found, dict):
        raise AtlasError(f"{path}: holds a {type(found).__name__}; allowed: a JSON object")
    return found


def _refuse_pointer(path: Path, data: bytes) -> None:
    if data.startswith(_LFS):
        raise AtlasError(f"{path}: is a pointer of Git LFS, not the file; allowed: the file; run git lfs pull")


def usable_positions(stated: Mapping[str, Any]) -> int:
    """Return how many tokens a model can read at once."""
    positions = int(stated["max_position_embeddings"])
    padding = stated.get("pad_token_id", 1)
    shift = padding + 1 if stated["model_type"] in _SHIFTED and isinstance(padding, int) else 0
    return positions - shift


def weight_files(folder: Path) -> list[str]:
    """Return the names of the files that hold the weights: one, or the index and its shards.

    A folder without either gives the usual name, whose absence is then the fault to name.
    """
    if (folder / WEIGHTS).is_file() or not (folder / INDEX).is_file():
        return [WEIGHTS]
    return [INDEX, *shards(folder)]


def shards(folder: Path) -> list[str]:
    """Return the names of the files that hold the weights, without the index.

    Raises
    ------
    AtlasError
        If the index names no files, or files elsewhere.
    """
    if (folder / WEIGHTS).is_file() or not (folder / INDEX).is_file():
        return [WEIGHTS]
    places = read_json(folder / INDEX).get("weight_map")
    names = sorted({str(name) for name in places.values()}) if isinstance(places, dict) else []
    if not names or any(Path(name).name != name or not name.endswith(".safetensors") for name in names):
        raise AtlasError(f"{folder}/{INDEX}: weight_map names {names[:3]}; allowed: safetensors files of the folder")
    return names


def our_name(name: str) -> str:
    """Return a weight's name without the family's prefix, and with the newer names of normalisation."""
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")


def check_weights(folder: Path, stated: Mapping[str, Any]) -> None:
    """Raise an AtlasError unless the files hold every weight of the encoder in its shape."""
    found = {our_name(name): entry for name, entry in weights_header(folder).items()}
    check_tensors(folder, found, dict(_shapes(stated)), "the encoder")


def check_tensors(
    folder: Path, found: Mapping[str, Any], expected: Mapping[str, tuple[int, ...]], network: str
) -> None:
    """Raise an AtlasError unless the headers of a folder's files have every weight of a network in its shape."""
    missing = [name for name in expected if name not in found]
    if missing:
        raise AtlasError(
            f"{folder / WEIGHTS}: lacks {missing[0]} and {len(missing) - 1} more of {network}; it has "
            f"{', '.join(sorted(found)[:2])[:120]}; allowed: weights that save_pretrained wrote"
        )
    for name, shape in expected.items():
        if found[name].get("dtype") not in _DTYPES or found[name].get("shape") != list(shape):
            given = f"{found[name].get('dtype')} {found[name].get('shape')}"
            allowed = f"{list(shape)} of {', '.join(_DTYPES)}, as {CONFIG} states"
            raise AtlasError(f"{folder}: weight {name} is {given[:80]}; allowed: {allowed}")


def weights_header(folder: Path) -> dict[str, Any]:
    """Return type, shape and place of every tensor in a folder's weights, by its name in the file."""
    return {key: value for name in shards(folder) for key, value in _header(folder / name).items()}


def _header(path: Path) -> dict[str, Any]:
    """Return the header of a safetensors file: type, shape and place of each tensor, by name."""
    if not path.is_file():
        others = ", ".join(sorted(each.name for each in path.parent.glob("*.bin"))[:3])
        have = f"; it has {others}" if others else ""
        raise AtlasError(f"{path}: no such file{have}; allowed: weights as safetensors, {WEIGHTS} or {INDEX}")
    with path.open("rb") as stream:
        start = stream.read(8)
        _refuse_pointer(path, start + stream.read(len(_LFS)))
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else _MAX_HEADER + 1
        stream.seek(8)
        data = stream.read(length) if length <= _MAX_HEADER else b""
    header = _parsed(data)
    ends = [_end_of(entry) for entry in header.values()]
    if not ends or None in ends or 8 + length + max(end for end in ends if end is not None) != path.stat().st_size:
        raise AtlasError(f"{path}: not a whole safetensors file ({path.stat().st_size:,} bytes); fetch it again")
    return header


def _parsed(data: bytes) -> dict[str, Any]:
    """Return a header's entries, none where it cannot be read."""
    try:
        header = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return {key: value for key, value in header.items() if key != "__metadata__"} if isinstance(header, dict) else {}


def _end_of(entry: object) -> int | None:
    """Return where a tensor's data end, None where its entry is damaged."""
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    whole = isinstance(offsets, list) and len(offsets) == 2 and all(isinstance(each, int) for each in offsets)
    return offsets[1] if whole and offsets is not None else None


def _shapes(stated: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield name and shape of every weight of an encoder with BERT's names."""
    width, inner = stated["hidden_size"], stated["intermediate_size"]
    narrow = stated.get("embedding_size", 128) if stated["model_type"] == "electra" else width
    tables = (("word", "vocab_size"), ("position", "max_position_embeddings"), ("token_type", "type_vocab_size"))
    for name, size in tables:
        yield f"embeddings.{name}_embeddings.weight", (stated[size], narrow)
    yield from _norm("embeddings", narrow)
    if narrow != width:
        yield from _linear("embeddings_project", narrow, width)
    for number in range(stated["num_hidden_layers"]):
        layer = f"encoder.layer.{number}"
        for part in ("query", "key", "value"):
            yield from _linear(f"{layer}.attention.self.{part}", width, width)
        for part, inputs, outputs in (
            ("attention.output", width, width),
            ("intermediate", width, inner),
            ("output", inner, width),
        ):
            yield from _linear(f"{layer}.{part}.dense", inputs, outputs)
        yield from _norm(f"{layer}.attention.output", width)
        yield from _norm(f"{layer}.output", width)


def _linear(name: str, inputs: int, outputs: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (outputs, inputs)
    yield f"{name}.bias", (outputs,)


def _norm(name: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.LayerNorm.weight", (width,)
    yield f"{name}.LayerNorm.bias", (width,)


def read_tokenizer(folder: Path) -> Tokenizer:
    """Return a folder's tokenizer.

    Raises
    ------
    AtlasError
        If it is not one that the package `tokenizers` reads.
    """
    # Not at the top: an install that only writes reports reads the rules too, and has no tokenizers.
    from tokenizers import Tokenizer

    read_json(folder / TOKENIZER)
    try:
        return Tokenizer.from_file(str(folder / TOKENIZER))
    except Exception as error:
        # The package raises no narrower type.
        cause = (str(error).splitlines() or ["no cause"])[0][:80]
        raise AtlasError(f"{folder / TOKENIZER}: is no tokenizer ({cause}); allowed: one by save_pretrained") from None


def check_tokenizer(folder: Path, rows: int) -> None:
    """Raise an AtlasError if the tokenizer has an id beyond the table of embeddings."""
    words = read_tokenizer(folder)
    # Special tokens of a template are in a text, though perhaps in no vocabulary.
    largest = max([*words.get_vocab(with_added_tokens=True).values(), *words.encode("a").ids], default=-1)
    if largest < 0:
        raise AtlasError(f"{folder / TOKENIZER}: has no vocabulary; allowed: one by save_pretrained")
    if largest >= rows:
        raise AtlasError(
            f"{folder / TOKENIZER}: has the token id {largest}; allowed: at most {rows - 1}, since the model has "
            f"{rows} embeddings"
        )
