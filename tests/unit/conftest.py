"""A tiny BERT with its tokenizer in a folder, as `transformers` saves it, and a tiny text task."""

import random

import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from peft_atlas.studies.encoder.config import EncoderConfig
from peft_atlas.studies.encoder.data.examples import Texts
from peft_atlas.studies.encoder.data.text import SplitSizes, clean, drift_texts, examples, split
from peft_atlas.studies.encoder.train import Part

WORDS = [f"w{place}" for place in range(60)]
SIZES = SplitSizes(24, 8, 12)


def tiny_rows():
    """Return labelled texts whose first word decides their class, of different lengths."""
    draw = random.Random(0)
    texts = [" ".join(draw.choices(WORDS, k=draw.randint(2, 9))) for _ in range(120)]
    return pd.DataFrame(
        {"text": texts, "label": ["low" if int(text.split()[0][1:]) < 30 else "high" for text in texts]}
    )


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """Return the folder of a BERT with two layers, 16 wide, with random weights."""
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("tiny_bert")
    config = BertConfig(
        vocab_size=64, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=32, initializer_range=0.3,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    vocabulary = {word: place for place, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    tokenizer = Tokenizer(WordLevel(vocabulary, "[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture
def tiny_part(tiny_model, tmp_path):
    """Return what a job of the encoder study needs, at its smallest."""
    tokenizer = Tokenizer.from_file(str(tiny_model / "tokenizer.json"))
    rows, _ = clean(tiny_rows())
    whole = pd.concat([split(rows, SIZES, "tiny"), drift_texts(rows.head(5), 4)], ignore_index=True)
    table = pd.DataFrame(examples(whole, lambda texts: [found.ids for found in tokenizer.encode_batch(texts)]))
    sizes = {"train_examples": 24, "validation_examples": 8, "test_examples": 12, "epochs": 2, "batch_size": 4}
    config = EncoderConfig(**sizes, precision="float32")
    return Part(config, "tiny", Texts(table, ("high", "low")), tiny_model, "cpu", tmp_path / "states")
