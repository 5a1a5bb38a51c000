"""GGUF, the file format of llama.cpp: metadata and tensors, read with NumPy alone.

Versions 2 and 3 of https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, little-endian. Tensors in float32,
float16 and the 4-bit and 8-bit block formats Q4_0, Q4_1 and Q8_0 are read; others are refused by name.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from peft_atlas.errors import AtlasError

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
# Value types of the metadata by their numbers; 8 is a string and 9 an array.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_MOST_DIMENSIONS = 4
_HALF, _BYTE = np.dtype("<f2"), np.dtype("u1")
# Values of a block in the block formats.
_BLOCK = 32
# Tensor types by their numbers: name, values of a block, and how a block is laid out.
_TYPES: dict[int, tuple[str, int, np.dtype[Any]]] = {
    0: ("F32", 1, np.dtype("<f4")),
    1: ("F16", 1, _HALF),
    2: ("Q4_0", _BLOCK, np.dtype([("scale", _HALF), ("values", _BYTE, 16)])),
    3: ("Q4_1", _BLOCK, np.dtype([("scale", _HALF), ("least", _HALF), ("values", _BYTE, 16)])),
    8: ("Q8_0", _BLOCK, np.dtype([("scale", _HALF), ("values", "i1", 32)])),
}
# Names of types that are not read, for the refusal.
_OTHERS = {
    6: "Q5_0", 7: "Q5_1", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K",
    16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS",
    24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 30: "BF16",
}  # fmt: skip


@dataclass(frozen=True)
class Stored:
    """A tensor in the file: its type's number, its shape with the slowest dimension first, and where its data begin."""

    kind: int
    shape: tuple[int, ...]
    start: int

    @property
    def type_name(self) -> str:
        """Return the name of its type."""
        return _TYPES[self.kind][0]

    @property
    def blocks(self) -> int:
        """Return how many blocks it has."""
        return prod(self.shape) // _TYPES[self.kind][1]

    @property
    def stop(self) -> int:
        """Return where its data end."""
        return self.start + self.blocks * _TYPES[self.kind][2].itemsize


@dataclass(frozen=True)
class Gguf:
    """A GGUF file, read by `read_gguf`: its metadata, and its tensors by name."""

    path: Path
    metadata: dict[str, Any]
    tensors: dict[str, Stored]

    def tensor(self, name: str) -> NDArray[np.float32]:
        """Return a tensor in float32; 4-bit and 8-bit values are dequantized as llama.cpp does it.

        Raises
        ------
        AtlasError
            If the file has no tensor of this name.
        """
        if name not in self.tensors:
            raise AtlasError(f"{self.path}: has no tensor {name!r}; allowed: {', '.join(list(self.tensors)[:5])}, ...")
        stored = self.tensors[name]
        layout = _TYPES[stored.kind][2]
        # Offsets need not be multiples of a number's size, so the bytes are mapped and then seen as blocks.
        mapped = np.memmap(self.path, np.uint8, "r", stored.start, (stored.blocks * layout.itemsize,))
        return _values(np.frombuffer(mapped, layout), stored.type_name).reshape(stored.shape)

    def value(self, key: str) -> Any:
        """Return a value of the metadata.

        Raises
        ------
        AtlasError
            If it has no such key.
        """
        if key not in self.metadata:
            raise AtlasError(f"{self.path}: has no metadata {key!r}; allowed: a file with it")
        return self.metadata[key]


def _values(blocks: NDArray[Any], name: str) -> NDArray[np.float32]:
    """Return the values of blocks as float32."""
    if name in ("F32", "F16"):
        return blocks.astype(np.float32)
    scale = blocks["scale"].astype(np.float32)[:, None]
    if name == "Q8_0":
        return scale * blocks["values"].astype(np.float32)
    # Each byte holds two values: the low halves of a block's bytes come first.
    packed = blocks["values"]
    quarters = np.concatenate([packed & 15, packed >> 4], axis=1)
    if name == "Q4_0":
        return scale * (quarters.astype(np.int8) - 8).astype(np.float32)
    return scale * quarters.astype(np.float32) + blocks["least"].astype(np.float32)[:, None]


class _Cursor:
    """Reads one value after another from the bytes of a file."""

    def __init__(self, path: Path) -> None:
        self.path, self.place = path, 0
        self.data = np.memmap(path, np.uint8, "r") if path.stat().st_size else np.zeros(0, np.uint8)

    def truncated(self, what: str) -> NoReturn:
        raise AtlasError(
            f"{self.path}: ends within {what} ({len(self.data):,} bytes); allowed: a whole GGUF file; fetch it again"
        )

    def take(self, count: int, what: str) -> bytes:
        if count > len(self.data) - self.place:
            self.truncated(what)
        self.place += count
        return self.data[self.place - count : self.place].tobytes()

    def scalar(self, code: str, what: str) -> Any:
        return struct.unpack(f"<{code}", self.take(struct.calcsize(code), what))[0]

    def string(self, what: str) -> str:
        # Vocabularies hold pieces of characters in an encoding of their own, so that all strings are whole UTF-8.
        return self.take(self.scalar("Q", what), what).decode("utf-8", errors="replace")

    def value(self, kind: int, what: str) -> Any:
        if kind == _STRING:
            return self.string(what)
        if kind == _ARRAY:
            inner, count = self.scalar("I", what), self.scalar("Q", what)
            if inner in _SCALARS:
                code = _SCALARS[inner]
                data = self.take(count * struct.calcsize(code), what)
                return np.frombuffer(data, np.dtype(code).newbyteorder("<")).tolist()
            # Each entry takes bytes, so that a damaged count ends with the file.
            return [self.value(inner, what) for _ in range(count)]
        if kind not in _SCALARS:
            raise AtlasError(f"{self.path}: {what} is of value type {kind}; allowed: 0 to 12")
        return self.scalar(_SCALARS[kind], what)


def read_gguf(path: Path) -> Gguf:
    """Read a GGUF file's metadata and where its tensors are; the tensors' data stay on disk.

    Raises
    ------
    AtlasError
        If it is no GGUF file, of another version, truncated, or holds a tensor of a type that is not read.
    """
    if not path.is_file():
        raise AtlasError(f"{path}: no such file; allowed: a GGUF file")
    cursor = _Cursor(path)
    magic = cursor.take(min(4, len(cursor.data)), "the header")
    if magic != _MAGIC:
        raise AtlasError(f"{path}: begins with {magic!r}; allowed: {_MAGIC!r}, a GGUF file")
    version = cursor.scalar("I", "the header")
    if version not in _VERSIONS:
        raise AtlasError(f"{path}: GGUF version {version}; allowed: {', '.join(map(str, _VERSIONS))}")
    tensors, entries = cursor.scalar("Q", "the header"), cursor.scalar("Q", "the header")
    metadata: dict[str, Any] = {}
    for _ in range(entries):
        key = cursor.string("the metadata")
        metadata[key] = cursor.value(cursor.scalar("I", "the metadata"), f"the metadata {key!r}"[:80])
    named = dict(_tensor_entry(cursor) for _ in range(tensors))
    alignment = metadata.get("general.alignment", 32)
    start = -(-cursor.place // alignment) * alignment
    placed = {name: Stored(each.kind, each.shape, start + each.start) for name, each in named.items()}
    for name, each in placed.items():
        if each.stop > len(cursor.data):
            cursor.truncated(f"tensor {name}")
    return Gguf(path, metadata, placed)


def _tensor_entry(cursor: _Cursor) -> tuple[str, Stored]:
    """Return a tensor's name and entry, with its place counted from the beginning of all tensors' data."""
    name = cursor.string("the list of tensors")
    what = f"the entry of tensor {name!r}"[:80]
    dimensions = cursor.scalar("I", what)
    if not 1 <= dimensions <= _MOST_DIMENSIONS:
        raise AtlasError(f"{cursor.path}: tensor {name} has {dimensions} dimensions; allowed: 1 to {_MOST_DIMENSIONS}")
    sizes = [cursor.scalar("Q", what) for _ in range(dimensions)]
    kind, offset = cursor.scalar("I", what), cursor.scalar("Q", what)
    if kind not in _TYPES:
        allowed = ", ".join(known for known, _, _ in _TYPES.values())
        raise AtlasError(f"{cursor.path}: tensor {name} is {_OTHERS.get(kind, f'of type {kind}')}; allowed: {allowed}")
    block = _TYPES[kind][1]
    if sizes[0] % block:
        raise AtlasError(
            f"{cursor.path}: tensor {name} of rows of {sizes[0]} values; allowed for {_TYPES[kind][0]}: "
            f"multiples of {block}"
        )
    return name, Stored(kind, tuple(reversed(sizes)), offset)
