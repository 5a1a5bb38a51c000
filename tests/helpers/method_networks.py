"""The small networks on which methods are tested, their settings in a study, and how they compare with peft's."""

import peft
import torch
from transformers import BertConfig, BertForSequenceClassification

from peft_atlas.methods.dora import DoRA
from peft_atlas.methods.ia3 import IA3
from peft_atlas.methods.lora import LoRA
from peft_atlas.methods.method import Sites, Sizes
from peft_atlas.methods.prefix import PrefixTuning
from peft_atlas.methods.registry import study_settings

WIDTH, TOKENS, PREFIX = 16, 7, 3
HEAD = ("classifier",)
FEEDFORWARD = ("layer.*.output.dense",)
SITES = Sites(
    linear=("query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"),
    query_value=("query", "value"),
    attention=("query", "key", "value"),
    rescaled=("key", "value"),
    feedforward=FEEDFORWARD,
    outputs=("attention.output.dense", "output.dense"),
    attention_modules=("attention.self",),
    blocks=("layer.*",),
    width=WIDTH,
)
EVERY = study_settings(SITES, Sizes(rank=3, alpha=6.0, bottleneck=5, virtual_tokens=PREFIX))
IDS = [f"{setting.label} {setting.setting or ''}".strip() for setting in EVERY]
KNOWN_TO_PEFT = {
    "LoRA": (LoRA(3, 6.0, 0.0, ("query", "output.dense")), peft.LoraConfig, {"r": 3, "lora_alpha": 6}),
    "rsLoRA": (
        LoRA(3, 6.0, 0.0, ("query", "value"), use_rslora=True),
        peft.LoraConfig,
        {"r": 3, "lora_alpha": 6, "use_rslora": True},
    ),
    "DoRA": (
        DoRA(3, 6.0, 0.0, ("query", "output.dense")),
        peft.LoraConfig,
        {"r": 3, "lora_alpha": 6, "use_dora": True},
    ),
    "(IA)3": (IA3(("key", "value", *FEEDFORWARD), FEEDFORWARD), peft.IA3Config, {}),
    "PrefT": (
        PrefixTuning(PREFIX, ("attention.self",), WIDTH),
        peft.PrefixTuningConfig,
        {"num_virtual_tokens": PREFIX},
    ),
}
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-11}


def bert(dtype=torch.float32):
    """Return a small BERT with weights far enough from zero that a fault would show."""
    config = BertConfig(
        vocab_size=50,
        hidden_size=WIDTH,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=32,
        num_labels=3,
    )
    model = BertForSequenceClassification(config)
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=draws))
    return model.to(dtype).eval()


def texts():
    """Return a batch of texts, one of them padded."""
    ids = torch.randint(0, 50, (3, TOKENS), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[1, 4:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def logits(model):
    """Return logits of the texts."""
    return model(**texts()).logits


def stirred(attached):
    """Return an attached network whose adapter is away from its start, at numbers that float32 holds exactly.

    peft keeps the table of a prefix in float32 whatever the network's dtype.
    """
    draws = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in attached.trainable().values():
            parameter.copy_((parameter + 0.1 * torch.randn(parameter.shape, generator=draws)).float())
    return attached
