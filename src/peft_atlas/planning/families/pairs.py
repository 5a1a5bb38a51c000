"""Encoder-decoders: T5 and mT5, BART."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from peft_atlas.planning.architecture import Architecture, Attention, Block, FeedForward, Linear, Norm
from peft_atlas.planning.families.fields import Fields


def _t5_attention(name: str, hidden: int, attention: Attention) -> tuple[Linear, ...]:
    width = attention.width
    return (
        *(Linear(f"{name}.{part}", hidden, width, source=f"{name} {part == 'q'}") for part in ("q", "k", "v")),
        Linear(f"{name}.o", width, hidden, source=f"{name} output"),
    )


def _t5_feed_forward(hidden: int, inner: int, gated: bool) -> tuple[Linear, ...]:
    names = ("wi_0", "wi_1") if gated else ("wi",)
    into = tuple(Linear(f"DenseReluDense.{name}", hidden, inner, source="feed-forward") for name in names)
    return (*into, Linear("DenseReluDense.wo", inner, hidden, source="feed-forward product"))


def _t5(fields: Fields) -> Architecture:
    """Return a T5 (arXiv:1910.10683) or mT5: relative positions in each first layer, norms without bias."""
    hidden, heads = fields.count("d_model", default=512), fields.count("num_heads", default=8)
    inner, layers = fields.count("d_ff", default=2048), fields.count("num_layers", default=6)
    attention = Attention(heads, heads, fields.count("d_kv", default=64), rotary=False)
    act = fields.word("feed_forward_proj", default="relu")
    feed = FeedForward(inner, act.startswith("gated-"), act.removeprefix("gated-").replace("gelu", "gelu_new"))
    into, norm = _t5_feed_forward(hidden, inner, feed.gated), Norm("rms", hidden)
    drops = fields.share("dropout_rate", 0.1) > 0
    own, cross = _t5_attention("SelfAttention", hidden, attention), _t5_attention("EncDecAttention", hidden, attention)
    decoder_layers = fields.count("num_decoder_layers", default=layers)
    blocks = (
        Block("encoder", layers, hidden, (*own, *into), (norm, norm), (attention,), feed, dropouts=3 * drops),
        Block("decoder", decoder_layers, hidden, (*own, *cross, *into), (norm, norm, norm), (attention, attention),
              feed, dropouts=4 * drops),
    )  # fmt: skip
    words = fields.count("vocab_size")
    buckets = 2 * fields.count("relative_attention_num_buckets", default=32) * heads
    return Architecture(
        name=fields.name, model_type=str(fields.values["model_type"]), hidden=hidden, vocabulary=words, blocks=blocks,
        embedding_parameters=words * hidden, outer_norms=(norm, norm),
        head=Linear("lm_head", hidden, words, source="last hidden"), tied=fields.tied(default=True),
        task="seq2seq", extra_parameters=buckets,
    )  # fmt: skip


def _bart_linears(hidden: int, inner: int, names: tuple[str, ...]) -> tuple[Linear, ...]:
    attended = [linear for name in names for linear in _bart_attention(hidden, name)]
    up = Linear("fc1", hidden, inner, True, source="feed-forward")
    return (*attended, up, Linear("fc2", inner, hidden, True, source="feed-forward product"))


def _bart_attention(hidden: int, name: str) -> tuple[Linear, ...]:
    sources = {"q_proj": f"{name} queries", "k_proj": name, "v_proj": name, "out_proj": f"{name} output"}
    return tuple(Linear(f"{name}.{part}", hidden, hidden, True, source=source) for part, source in sources.items())


def _bart_block(fields: Fields, name: str, attentions: tuple[str, ...]) -> Block:
    """Return the layers of a BART's encoder or decoder."""
    hidden, heads = fields.count("d_model", default=1024), fields.count(f"{name}_attention_heads", default=16)
    inner, layers = fields.count(f"{name}_ffn_dim", default=4096), fields.count(f"{name}_layers", default=12)
    attention = Attention(heads, heads, fields.divided(hidden, heads, "d_model"), rotary=False, upcast=False)
    norms = (len(attentions) + 1) * (Norm("layer", hidden),)
    feed = FeedForward(inner, False, fields.word("activation_function", default="gelu"))
    drops = (len(attentions) + 1) * (fields.share("dropout", 0.1) > 0)
    linears = _bart_linears(hidden, inner, attentions)
    return Block(name, layers, hidden, linears, norms, len(attentions) * (attention,), feed, dropouts=drops)


def _bart(fields: Fields) -> Architecture:
    """Return a BART (arXiv:1910.13461): learned positions with two extra rows, norms after the embeddings."""
    hidden, words = fields.count("d_model", default=1024), fields.count("vocab_size")
    blocks = (
        _bart_block(fields, "encoder", ("self_attn",)),
        _bart_block(fields, "decoder", ("self_attn", "encoder_attn")),
    )
    longest = fields.count("max_position_embeddings", default=1024)
    return Architecture(
        name=fields.name, model_type="bart", hidden=hidden, vocabulary=words, blocks=blocks,
        embedding_parameters=(words + 2 * (longest + 2)) * hidden, outer_norms=2 * (Norm("layer", hidden),),
        head=Linear("lm_head", hidden, words, source="last hidden"), tied=fields.tied(default=True),
        task="seq2seq", max_positions=longest,
    )  # fmt: skip


PAIRS: Mapping[str, Callable[[Fields], Architecture]] = {"t5": _t5, "mt5": _t5, "bart": _bart}
