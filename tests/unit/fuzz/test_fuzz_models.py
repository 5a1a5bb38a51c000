"""Five hundred model folders, missing, cut, renamed or mismatched files: each is loaded, or refused in one line."""

import json
import shutil

from fuzzing import cases, damaged, outcome, tally
from safetensors.torch import load_file, save_file

from peft_atlas.models.encoder import load_encoder
from peft_atlas.models.folder import check_folder

SETTINGS = {
    "model_type": ["gpt2", "roberta", "electra", None, 3],
    "hidden_size": [8, 15, 16, -1, "16", 10**9],
    "num_hidden_layers": [0, 1, 2, 3, 10**9],
    "num_attention_heads": [1, 3, 4, 0, None],
    "vocab_size": [4, 63, 65],
    "max_position_embeddings": [4, 31, 512],
    "position_embedding_type": ["relative_key", None],
    "hidden_act": ["relu", "gelu", "x" * 999, [1]],
    "type_vocab_size": [1, 2, 3],
    "is_decoder": [True, False],
}


def change_config(draw, folder):
    """State another size, family or activation, or nothing of it."""
    path = folder / "config.json"
    stated = json.loads(path.read_text())
    name = draw.choice(sorted(SETTINGS))
    stated[name] = draw.choice(SETTINGS[name])
    if draw.random() < 0.2:
        stated.pop(name)
    path.write_text(json.dumps(stated))


def change_weights(draw, folder):
    """Rename, drop, cut or convert weights."""
    path = folder / "model.safetensors"
    tensors, name = load_file(path), draw.choice(sorted(load_file(path)))
    kind = draw.randrange(5)
    if kind == 0:
        tensors = {draw.choice(["bert.", "my.", "roberta."]) + key: value for key, value in tensors.items()}
    elif kind == 1:
        tensors.pop(name)
    elif kind == 2:
        tensors[name] = tensors[name][:-1].clone()
    elif kind == 3:
        tensors = {key: value.half() for key, value in tensors.items()}
    else:
        tensors[name] = tensors[name].long()
    save_file(tensors, path)


def damage(draw, folder):
    """Damage, cut or remove a file, or leave its pointer."""
    path = folder / draw.choice(["config.json", "model.safetensors", "tokenizer.json"])
    kind = draw.randrange(4)
    if kind == 0:
        path.unlink()
    elif kind == 1:
        path.write_bytes(path.read_bytes()[: draw.choice([0, 5, 8, 100, 3000])])
    elif kind == 2:
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
    else:
        data = path.read_bytes()
        # The header, since a changed weight is another weight.
        path.write_bytes(damaged(draw, data[:2000]) + data[2000:])


def load(folder, max_length):
    """Look at a folder and then load it, which must not find what the look did not."""
    check_folder(folder, max_length)
    load_encoder(folder)


def case(draw, model, folder):
    """Change a copy of a model's folder once or twice and return whether it can be used."""
    shutil.copytree(model, folder, dirs_exist_ok=True)
    for _ in range(draw.choice([1, 1, 2])):
        change = draw.choice([change_config, change_weights, damage])
        try:
            change(draw, folder)
        except Exception:
            # A folder damaged before cannot be changed by those who read it first.
            continue
    return outcome(load, folder, draw.choice([8, 8, 32, 33]))


def test_model_folders(tiny_model, tmp_path):
    counts = tally("model folders", (case(draw, tiny_model, tmp_path) for draw in cases("model", 500)))
    assert set(counts) == {"valid", "refused"}


def test_an_unchanged_folder_is_valid(tiny_model):
    assert outcome(load, tiny_model, 32) == "valid"
