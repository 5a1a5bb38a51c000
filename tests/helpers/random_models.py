"""Small models of every family, drawn at random: the classes of transformers and their configurations."""

import random

import transformers


def draw(seed):
    """Return a generator of choices."""
    return random.Random(seed).choice


def decoder(pick):
    """Return sizes that all decoders share."""
    heads = pick([2, 4, 6])
    size = pick([8, 16])
    return {
        "vocab_size": pick([97, 160]), "hidden_size": heads * size, "intermediate_size": pick([40, 56, 96]),
        "num_hidden_layers": pick([1, 2, 3]), "num_attention_heads": heads,
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
    }  # fmt: skip


def grouped(pick, own_head=True):
    """Return sizes of a decoder with grouped queries, and a size of a head that need not divide the width."""
    sizes = decoder(pick)
    groups = pick([part for part in (1, 2, 3, 6) if sizes["num_attention_heads"] % part == 0])
    head = {"head_dim": pick([8, 16])} if own_head else {}
    return {**sizes, "num_key_value_heads": groups, **head}


def yes(pick):
    """Return true or false."""
    return pick([True, False])


LM, SEQ2SEQ = "AutoModelForCausalLM", "AutoModelForSeq2SeqLM"
TEXTS, IMAGES = "AutoModelForSequenceClassification", "AutoModelForImageClassification"
FAMILIES = {
    "llama": (LM, lambda p: transformers.LlamaConfig(
        **grouped(p), attention_bias=yes(p), mlp_bias=yes(p), tie_word_embeddings=yes(p))),
    "mistral": (LM, lambda p: transformers.MistralConfig(**grouped(p))),
    "mixtral": (LM, lambda p: transformers.MixtralConfig(**grouped(p), num_local_experts=p([2, 4]))),
    "qwen2": (LM, lambda p: transformers.Qwen2Config(
        **grouped(p, own_head=False), tie_word_embeddings=yes(p))),
    "qwen3": (LM, lambda p: transformers.Qwen3Config(**grouped(p), tie_word_embeddings=yes(p))),
    "qwen3_moe": (LM, lambda p: transformers.Qwen3MoeConfig(
        **grouped(p), moe_intermediate_size=24, num_experts=p([2, 4]), num_experts_per_tok=2)),
    "gemma": (LM, lambda p: transformers.GemmaConfig(**grouped(p))),
    "gemma2": (LM, lambda p: transformers.Gemma2Config(**grouped(p))),
    "gemma3_text": (LM, lambda p: transformers.Gemma3TextConfig(**grouped(p))),
    "phi": (LM, lambda p: transformers.PhiConfig(**decoder(p))),
    "phi3": (LM, lambda p: transformers.Phi3Config(**grouped(p, own_head=False))),
    "gpt2": (LM, lambda p: transformers.GPT2Config(
        vocab_size=97, n_embd=48, n_layer=p([1, 2]), n_head=p([2, 4]), n_positions=p([16, 32]), n_inner=p([None, 80]))),
    "gpt_neox": (LM, lambda p: transformers.GPTNeoXConfig(**decoder(p), attention_bias=yes(p))),
    "falcon": (LM, lambda p: transformers.FalconConfig(vocab_size=97, hidden_size=48, num_hidden_layers=2,
                                                       num_attention_heads=6, bias=yes(p), multi_query=yes(p))),
    "falcon new": (LM, lambda p: transformers.FalconConfig(vocab_size=97, hidden_size=48, num_hidden_layers=2,
                                                           num_attention_heads=6, num_kv_heads=2,
                                                           new_decoder_architecture=True)),
    "opt": (LM, lambda p: transformers.OPTConfig(
        vocab_size=97, hidden_size=48, word_embed_proj_dim=48, ffn_dim=p([64, 80]), num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=20)),
    "bloom": (LM, lambda p: transformers.BloomConfig(vocab_size=97, hidden_size=48, n_layer=p([1, 2]), n_head=4)),
    "bert": (TEXTS, lambda p: transformers.BertConfig(
        **decoder(p), max_position_embeddings=p([20, 40]), type_vocab_size=p([1, 2]), num_labels=p([2, 5]))),
    "roberta": (TEXTS, lambda p: transformers.RobertaConfig(
        **decoder(p), max_position_embeddings=20, num_labels=p([2, 3]))),
    "vit": (IMAGES, lambda p: transformers.ViTConfig(
        hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, image_size=p([32, 64]),
        patch_size=p([8, 16]), qkv_bias=yes(p), num_labels=p([2, 10]))),
    "t5": (SEQ2SEQ, lambda p: transformers.T5Config(
        vocab_size=97, d_model=48, d_ff=64, d_kv=8, num_layers=2, num_decoder_layers=p([2, 3]), num_heads=4,
        feed_forward_proj=p(["relu", "gated-gelu"]), tie_word_embeddings=yes(p))),
    "mt5": (SEQ2SEQ, lambda p: transformers.MT5Config(
        vocab_size=97, d_model=48, d_ff=64, d_kv=8, num_layers=2, num_heads=4)),
    "bart": (SEQ2SEQ, lambda p: transformers.BartConfig(
        vocab_size=97, d_model=48, encoder_ffn_dim=64, decoder_ffn_dim=80, encoder_layers=p([1, 2]), decoder_layers=2,
        encoder_attention_heads=4, decoder_attention_heads=4, max_position_embeddings=20)),
}  # fmt: skip


def on_meta(model_class, config):
    """Return a model of transformers without memory."""
    import torch

    with torch.device("meta"):
        return getattr(transformers, model_class).from_config(config)
