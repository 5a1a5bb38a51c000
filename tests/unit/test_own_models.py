"""A user's model folder: what cannot be trained on is one line before any job; what can is read in full."""

import hashlib
import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from peft_atlas.errors import AtlasError
from peft_atlas.models.bert import load_bert
from peft_atlas.models.encoder import load_encoder, parameter_count
from peft_atlas.models.folder import check_folder, usable_positions, weight_files
from peft_atlas.packages import Package, check_fetched, wheel
from peft_atlas.studies.encoder.data.model import fetch_model

COMMON = {
    "vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
    "max_position_embeddings": 32,
}  # fmt: skip
FAMILIES = ["roberta", "xlm-roberta", "camembert", "electra"]


def saved(folder, family, tokenizer, **options):
    """Write a tiny model of a family, with its pooler where it has one, and return the folder."""
    from transformers import AutoConfig, AutoModel

    extra = {"embedding_size": 8} if family == "electra" else {"pad_token_id": 1}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModel.from_config(AutoConfig.for_model(family, **COMMON, **extra))
    (model.half() if options.pop("half", False) else model).save_pretrained(folder, **options)
    shutil.copy(tokenizer / "tokenizer.json", folder)
    return folder


@pytest.fixture
def copied(tiny_model, tmp_path):
    """Return a copy of the tiny BERT to change."""
    return shutil.copytree(tiny_model, tmp_path / "model")


def renamed(folder, prefix):
    """Put a prefix before the name of every weight."""
    tensors = load_file(folder / "model.safetensors")
    save_file({prefix + name: tensor for name, tensor in tensors.items()}, folder / "model.safetensors")


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_loaded_in_float32_without_a_pooler(tiny_model, tmp_path, family):
    folder = saved(tmp_path / "m", family, tiny_model, half=True)
    check_folder(folder, 30)
    model = load_encoder(folder)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert not [name for name, _ in model.named_parameters() if "pooler" in name]
    wanted = {name: t for name, t in load_file(folder / "model.safetensors").items() if "pooler" not in name}
    assert parameter_count(model) == sum(tensor.numel() for tensor in wanted.values())
    state = model.state_dict()
    assert all(torch.equal(state[f"model.{name}"], tensor.float()) for name, tensor in wanted.items())


@pytest.mark.parametrize("family", ["bert", *FAMILIES])
def test_weights_of_other_names_are_refused_for_every_family(tiny_model, tmp_path, family):
    folder = saved(tmp_path / "m", family, tiny_model)
    renamed(folder, "my_model.backbone.")
    for use in (load_encoder, lambda place: check_folder(place, 8)):
        with pytest.raises(AtlasError, match=r"lacks embeddings\..* and \d+ more of the encoder; it has my_model"):
            use(folder)


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_shards_are_read_as_one_file(tiny_model, tmp_path, family):
    whole = saved(tmp_path / "whole", family, tiny_model)
    parts = saved(tmp_path / "parts", family, tiny_model, max_shard_size="4KB")
    assert weight_files(parts)[0] == "model.safetensors.index.json"
    assert len(weight_files(parts)) > 3
    check_folder(parts, 8)
    one, other = load_encoder(whole).state_dict(), load_encoder(parts).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    (parts / weight_files(parts)[1]).unlink()
    with pytest.raises(AtlasError, match=r"model-00001-of-.*no such file"):
        check_folder(parts, 8)


def test_an_index_that_leads_elsewhere_is_refused(copied):
    (copied / "model.safetensors").unlink()
    (copied / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../../x.safetensors"}}')
    with pytest.raises(AtlasError, match=r"weight_map names .*allowed: safetensors files of the folder"):
        check_folder(copied, 8)


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"model_type": "distilbert"}, "model_type = 'distilbert': allowed: bert, camembert, electra"),
        ({"model_type": None}, "model_type = 'None': allowed: bert"),
        ({"hidden_act": "relu"}, "hidden_act = 'relu': allowed: bert with gelu"),
        ({"position_embedding_type": "relative_key"}, "relative_key.*allowed: absolute positions"),
        ({"is_decoder": True}, "is_decoder = 'True': allowed: false"),
        ({"hidden_size": "16"}, "hidden_size = 16: allowed: a whole number"),
        ({"num_attention_heads": 3}, "hidden_size = 16: allowed: a multiple of the 3 heads"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers = 1000000000: allowed: .* to 1000"),
        ({"vocab_size": 60}, r"word_embeddings.weight is F32 \[64, 16\]; allowed: \[60, 16\]"),
    ],
)
def test_a_configuration_that_does_not_fit_is_named(copied, stated, words):
    path = copied / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **stated}))
    with pytest.raises(AtlasError, match=words):
        check_folder(copied, 8)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("config.json", b'{"model_type": "bert",', "config.json: not whole JSON"),
        ("config.json", b"[]", "config.json: holds a list; allowed: a JSON object"),
        ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS.*git lfs pull"),
        ("tokenizer.json", b"version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS"),
        ("model.safetensors", b"", "not a whole safetensors file"),
        ("model.safetensors", b"\xff" * 100, "not a whole safetensors file"),
        ("tokenizer.json", b"{}", "is no tokenizer"),
    ],
)
def test_a_damaged_file_is_named(copied, name, content, words):
    (copied / name).write_bytes(content)
    with pytest.raises(AtlasError, match=words):
        check_folder(copied, 8)


def test_cut_weights_and_weights_of_another_kind_are_named(copied):
    weights = copied / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(AtlasError, match="not a whole safetensors file"):
        check_folder(copied, 8)
    weights.rename(copied / "pytorch_model.bin")
    with pytest.raises(AtlasError, match=r"no such file; it has pytorch_model\.bin; allowed: weights as safetensors"):
        check_folder(copied, 8)


def test_positions_are_those_that_texts_can_use(tiny_model, tmp_path):
    check_folder(tiny_model, 32)
    with pytest.raises(AtlasError, match=r"encoder\.max_length = 33: allowed: at most 32, the positions of"):
        check_folder(tiny_model, 33)
    assert usable_positions({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}) == 512
    with pytest.raises(AtlasError, match="allowed: at most 30"):
        check_folder(saved(tmp_path / "m", "roberta", tiny_model), 31)


def test_a_tokenizer_beyond_the_embeddings_is_refused(copied):
    words = {f"w{place}": place for place in range(70)}
    Tokenizer(WordLevel(words, "w0")).save(str(copied / "tokenizer.json"))
    with pytest.raises(AtlasError, match="token id 69; allowed: at most 63, since the model has 64 embeddings"):
        check_folder(copied, 8)


def test_half_precision_is_read_as_float32(copied):
    tensors = {name: tensor.bfloat16() for name, tensor in load_file(copied / "model.safetensors").items()}
    save_file(tensors, copied / "model.safetensors")
    check_folder(copied, 8)
    found = load_bert(copied).state_dict()
    assert all(torch.equal(found[name], tensor.float()) for name, tensor in tensors.items())


def test_shards_of_the_hub_become_the_one_file_that_the_workflow_names(tiny_model, tmp_path, monkeypatch):
    import huggingface_hub

    parts = saved(tmp_path / "parts", "bert", tiny_model, max_shard_size="4KB")

    def download(*_, local_dir, **__):
        shutil.copytree(parts, local_dir)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    fetch_model("owner/sharded", tmp_path / "fetched")
    one, other = load_encoder(parts).state_dict(), load_encoder(tmp_path / "fetched").state_dict()
    assert weight_files(tmp_path / "fetched") == ["model.safetensors"]
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_cached_file_with_a_flipped_bit_is_named(tmp_path):
    package = Package("p==1", "0", {}, "ours", {"movie.txt": hashlib.sha256(b"text").hexdigest(), "other.txt": "0"})
    (tmp_path / "movie.txt").write_bytes(b"text")
    check_fetched(package, tmp_path)
    (tmp_path / "movie.txt").write_bytes(b"tex\x75")
    with pytest.raises(AtlasError, match=r"movie\.txt: SHA-256 is .*; allowed: .*; delete the file and run again"):
        check_fetched(package, tmp_path)


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_cache_that_cannot_be_made_is_one_line(tmp_path, monkeypatch, place):
    (tmp_path / "file").touch()
    monkeypatch.setenv("PEFT_ATLAS_CACHE", str(tmp_path / place))
    with pytest.raises(
        AtlasError, match=r"file.*/wheels: the cache of fetched packages cannot be used .*PEFT_ATLAS_CACHE"
    ):
        wheel(Package("p==1", "0", {}, "ours", {}))
