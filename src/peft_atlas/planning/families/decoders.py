"""Decoders with rotary positions and RMSNorm: LLaMA, Mistral, Mixtral, Qwen 2 and 3, Gemma 1 to 3, Phi-3."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from peft_atlas.errors import AtlasError
from peft_atlas.planning.architecture import Architecture, Attention, Block, FeedForward, Linear, Norm
from peft_atlas.planning.families.fields import Fields


def attention_of(fields: Fields, default_head: int | None = None) -> Attention:
    """Return the attention of a decoder: grouped queries where there are fewer heads of keys than of queries."""
    heads = fields.count("num_attention_heads")
    groups = fields.count("num_key_value_heads", default=heads)
    fields.divided(heads, groups, "num_attention_heads")
    size = fields.optional("head_dim") or default_head
    hidden = fields.count("hidden_size")
    return Attention(heads, groups, size or fields.divided(hidden, heads, "hidden_size"))


def attention_linears(attention: Attention, hidden: int, bias: bool, out_bias: bool) -> tuple[Linear, ...]:
    """Return the four matrices of an attention under the names of LLaMA."""
    return (
        Linear("self_attn.q_proj", hidden, attention.width, bias),
        Linear("self_attn.k_proj", hidden, attention.kv_width, bias),
        Linear("self_attn.v_proj", hidden, attention.kv_width, bias),
        Linear("self_attn.o_proj", attention.width, hidden, out_bias, source="attention output"),
    )


def gated_linears(hidden: int, inner: int, bias: bool = False) -> tuple[Linear, ...]:
    """Return the three matrices of a gated feed-forward under the names of LLaMA."""
    return (
        Linear("mlp.gate_proj", hidden, inner, bias, source="feed-forward"),
        Linear("mlp.up_proj", hidden, inner, bias, source="feed-forward"),
        Linear("mlp.down_proj", inner, hidden, bias, source="feed-forward product"),
    )


def model_of(fields: Fields, block: Block, norm: str, *, tied: bool, head_bias: bool = False) -> Architecture:
    """Return a decoder of equal layers with token embeddings, a last norm and an output matrix."""
    hidden, words = block.hidden, fields.count("vocab_size")
    return Architecture(
        name=fields.name,
        model_type=str(fields.values["model_type"]),
        hidden=hidden,
        vocabulary=words,
        blocks=(block,),
        embedding_parameters=words * hidden,
        outer_norms=(Norm(norm, hidden),),
        head=Linear("lm_head", hidden, words, head_bias, source="last hidden"),
        tied=fields.tied(default=tied),
        task="causal",
        max_positions=fields.optional("max_position_embeddings"),
    )


def _layer(fields: Fields, attention: Attention, linears: tuple[Linear, ...], norms: tuple[Norm, ...]) -> Block:
    """Return the layers of a decoder with a gated feed-forward."""
    inner = fields.count("intermediate_size")
    act = fields.word("hidden_act", "hidden_activation", default="silu")
    layers, hidden = fields.count("num_hidden_layers"), fields.count("hidden_size")
    return Block("decoder", layers, hidden, linears, norms, (attention,), FeedForward(inner, True, act))


def _llama(fields: Fields) -> Architecture:
    """Return a LLaMA (arXiv:2302.13971); ``attention_bias`` and ``mlp_bias`` give biases to all of their matrices."""
    attention, hidden = attention_of(fields), fields.count("hidden_size")
    bias = fields.flag("attention_bias", default=False)
    linears = attention_linears(attention, hidden, bias, bias)
    gated = gated_linears(hidden, fields.count("intermediate_size"), fields.flag("mlp_bias", default=False))
    norms = (Norm("rms", hidden), Norm("rms", hidden))
    return model_of(fields, _layer(fields, attention, (*linears, *gated), norms), "rms", tied=False)


def _mistral(fields: Fields) -> Architecture:
    """Return a Mistral (arXiv:2310.06825): LLaMA without biases."""
    plain = {**fields.values, "attention_bias": False, "mlp_bias": False}
    return _llama(Fields(fields.name, plain))


def _qwen2(fields: Fields) -> Architecture:
    """Return a Qwen 2 or 2.5 (arXiv:2407.10671): LLaMA with biases on queries, keys and values."""
    attention, hidden = attention_of(fields), fields.count("hidden_size")
    linears = attention_linears(attention, hidden, True, False)
    gated = gated_linears(hidden, fields.count("intermediate_size"))
    norms = (Norm("rms", hidden), Norm("rms", hidden))
    return model_of(fields, _layer(fields, attention, (*linears, *gated), norms), "rms", tied=False)


def _qwen3_parts(fields: Fields) -> tuple[Attention, tuple[Linear, ...], tuple[Norm, ...]]:
    """Return what dense and mixture models of Qwen 3 share: norms of queries and keys, one head at a time."""
    default = 128 if fields.values.get("model_type") == "qwen3" else None
    attention, hidden = attention_of(fields, default), fields.count("hidden_size")
    bias = fields.flag("attention_bias", default=False)
    size = attention.head_size
    heads = (Norm("rms", size, attention.heads), Norm("rms", size, attention.kv_heads))
    norms = (Norm("rms", hidden), Norm("rms", hidden), *heads)
    return attention, attention_linears(attention, hidden, bias, bias), norms


def _qwen3(fields: Fields) -> Architecture:
    """Return a Qwen 3 (arXiv:2505.09388)."""
    attention, linears, norms = _qwen3_parts(fields)
    gated = gated_linears(fields.count("hidden_size"), fields.count("intermediate_size"))
    return model_of(fields, _layer(fields, attention, (*linears, *gated), norms), "rms", tied=False)


def _experts(fields: Fields, inner: int, experts: int, gate: str) -> tuple[Linear, ...]:
    """Return router and experts; transformers 5 keeps all experts of a layer in two three-dimensional parameters."""
    hidden = fields.count("hidden_size")
    return (
        Linear(gate, hidden, experts, source="router", stacked=True),
        Linear("mlp.experts.gate_up_proj", hidden, 2 * inner, source="feed-forward", copies=experts, stacked=True),
        Linear("mlp.experts.down_proj", inner, hidden, source="feed-forward product", copies=experts, stacked=True),
    )


def _mixture(fields: Fields, base: Architecture, linears: tuple[Linear, ...], inner: int, chosen: int) -> Architecture:
    """Return a decoder whose feed-forward is a mixture of experts."""
    feed = FeedForward(inner, True, fields.word("hidden_act", default="silu"), experts_per_token=chosen)
    return replace(base, blocks=(replace(base.blocks[0], linears=linears, feed_forward=feed),))


def _mixtral(fields: Fields) -> Architecture:
    """Return a Mixtral (arXiv:2401.04088)."""
    base, inner = _mistral(fields), fields.count("intermediate_size")
    experts, chosen = fields.count("num_local_experts", default=8), fields.count("num_experts_per_tok", default=2)
    linears = (*base.blocks[0].linears[:4], *_experts(fields, inner, experts, "mlp.gate"))
    return _mixture(fields, base, linears, inner, chosen)


def _qwen3_moe(fields: Fields) -> Architecture:
    """Return a mixture model of Qwen 3 in which every layer is a mixture."""
    if fields.values.get("mlp_only_layers") or fields.count("decoder_sparse_step", default=1) != 1:
        raise AtlasError(f"config {fields.name}: dense layers among the mixtures; known: all layers alike")
    attention, linears, norms = _qwen3_parts(fields)
    inner = fields.count("moe_intermediate_size", default=768)
    experts, chosen = (
        fields.count("num_experts", "num_local_experts", default=128),
        fields.count("num_experts_per_tok", default=8),
    )
    block = _layer(fields, attention, linears, norms)
    base = model_of(fields, block, "rms", tied=False)
    return _mixture(fields, base, (*linears, *_experts(fields, inner, experts, "mlp.gate")), inner, chosen)


def _gemma(fields: Fields) -> Architecture:
    """Return a Gemma (arXiv:2403.08295): tied embeddings, RMSNorm with weight 1 + w in fp32, tanh-approximated GELU."""
    attention, hidden = attention_of(fields, 256), fields.count("hidden_size")
    bias = fields.flag("attention_bias", default=False)
    linears = attention_linears(attention, hidden, bias, bias)
    gated = gated_linears(hidden, fields.count("intermediate_size"))
    norms = (Norm("gemma", hidden), Norm("gemma", hidden))
    block = _layer(_with_gelu(fields), attention, (*linears, *gated), norms)
    return model_of(fields, block, "gemma", tied=True)


def _gemma2(fields: Fields) -> Architecture:
    """Return a Gemma 2 (arXiv:2408.00118): norms after each part too, scores and logits capped by tanh."""
    base = _gemma(fields)
    block = base.blocks[0]
    attention = replace(block.attentions[0], softcap=fields.values.get("attn_logit_softcapping", 50.0) is not None)
    capped = fields.values.get("final_logit_softcapping", 30.0) is not None
    block = replace(block, norms=4 * (Norm("gemma", block.hidden),), attentions=(attention,))
    return replace(base, blocks=(block,), softcap=capped)


def _gemma3(fields: Fields) -> Architecture:
    """Return the text model of Gemma 3 (arXiv:2503.19786): Gemma 2 with norms of queries and keys, no caps."""
    base = _gemma(fields)
    block = base.blocks[0]
    attention = block.attentions[0]
    heads = (
        Norm("gemma", attention.head_size, attention.heads),
        Norm("gemma", attention.head_size, attention.kv_heads),
    )
    return replace(base, blocks=(replace(block, norms=(*4 * (Norm("gemma", block.hidden),), *heads)),))


def _with_gelu(fields: Fields) -> Fields:
    """Return the fields of a Gemma, whose activation is GELU whatever ``hidden_act`` says."""
    act = fields.word("hidden_activation", default="gelu_pytorch_tanh")
    return Fields(fields.name, {**fields.values, "hidden_act": act})


def _phi3(fields: Fields) -> Architecture:
    """Return a Phi-3 (arXiv:2404.14219): one matrix for queries, keys and values, one for gate and up."""
    attention, hidden = replace(attention_of(fields), fused=True), fields.count("hidden_size")
    inner = fields.count("intermediate_size")
    linears = (
        Linear("self_attn.qkv_proj", hidden, attention.width + 2 * attention.kv_width),
        Linear("self_attn.o_proj", attention.width, hidden, source="attention output"),
        Linear("mlp.gate_up_proj", hidden, 2 * inner, source="feed-forward"),
        Linear("mlp.down_proj", inner, hidden, source="feed-forward product"),
    )
    norms = (Norm("rms", hidden), Norm("rms", hidden))
    return model_of(fields, _layer(fields, attention, linears, norms), "rms", tied=False)


DECODERS: Mapping[str, Callable[[Fields], Architecture]] = {
    "llama": _llama,
    "mistral": _mistral,
    "mixtral": _mixtral,
    "qwen2": _qwen2,
    "qwen3": _qwen3,
    "qwen3_moe": _qwen3_moe,
    "gemma": _gemma,
    "gemma2": _gemma2,
    "gemma3_text": _gemma3,
    "phi3": _phi3,
}
