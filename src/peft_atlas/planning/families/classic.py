"""Models with LayerNorm and a plain feed-forward: GPT-2, GPT-NeoX, Falcon, BLOOM, OPT, Phi, BERT, RoBERTa, ViT."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from peft_atlas.errors import AtlasError
from peft_atlas.planning.architecture import Architecture, Attention, Block, FeedForward, Linear, Norm
from peft_atlas.planning.families.decoders import attention_of, model_of
from peft_atlas.planning.families.fields import Fields


def _plain(inner: int, act: str) -> FeedForward:
    return FeedForward(inner, False, act)


def _fused(
    names: tuple[str, str, str, str], attention: Attention, hidden: int, inner: int, bias: bool
) -> tuple[Linear, ...]:
    """Return the matrices of a layer whose queries, keys and values come from one matrix."""
    qkv, out, up, down = names
    return (
        Linear(qkv, hidden, attention.width + 2 * attention.kv_width, bias),
        Linear(out, attention.width, hidden, bias, source="attention output"),
        Linear(up, hidden, inner, bias, source="feed-forward"),
        Linear(down, inner, hidden, bias, source="feed-forward product"),
    )


def _gpt2(fields: Fields) -> Architecture:
    """Return a GPT-2: learned positions, one matrix for queries, keys and values, tied embeddings."""
    hidden, layers = fields.count("n_embd", "hidden_size", default=768), fields.count("n_layer", default=12)
    heads = fields.count("n_head", "num_attention_heads", default=12)
    inner = fields.count("n_inner", default=4 * hidden)
    attention = Attention(heads, heads, fields.divided(hidden, heads, "n_embd"), fused=True, rotary=False, upcast=False)
    linears = _fused(("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"), attention, hidden, inner, True)
    norms = (Norm("layer", hidden), Norm("layer", hidden))
    drops = 2 if fields.share("resid_pdrop", 0.1) > 0 else 0
    act = fields.word("activation_function", default="gelu_new")
    block = Block("decoder", layers, hidden, linears, norms, (attention,), _plain(inner, act), dropouts=drops)
    positions = fields.count("n_positions", "max_position_embeddings", default=1024)
    return _with_positions(model_of(fields, block, "layer", tied=True), positions, positions)


def _with_positions(model: Architecture, rows: int, longest: int) -> Architecture:
    """Return the model with a table of learned positions."""
    return replace(model, embedding_parameters=model.embedding_parameters + rows * model.hidden, max_positions=longest)


def _gpt_neox(fields: Fields) -> Architecture:
    """Return a GPT-NeoX (Pythia): by default the two branches of a layer read the same residual."""
    hidden, inner = fields.count("hidden_size"), fields.count("intermediate_size")
    attention, bias = replace(attention_of(fields), fused=True), fields.flag("attention_bias", default=True)
    names = ("attention.query_key_value", "attention.dense", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h")
    attended = _fused(names, attention, hidden, inner, bias)[:2]
    feed = _fused(names, attention, hidden, inner, True)[2:]
    parallel = fields.flag("use_parallel_residual", default=True)
    norms = (Norm("layer", hidden), Norm("layer", hidden, shares_input=parallel))
    act = fields.word("hidden_act", default="gelu")
    drops = 2 if fields.share("hidden_dropout", 0.0) > 0 else 0
    block = Block(
        "decoder", fields.count("num_hidden_layers"), hidden, (*attended, *feed), norms, (attention,),
        _plain(inner, act), dropouts=drops,
    )  # fmt: skip
    return model_of(fields, block, "layer", tied=False)


def _falcon(fields: Fields) -> Architecture:
    """Return a Falcon (arXiv:2311.16867): multi-query or grouped, branches in parallel, tied embeddings."""
    hidden, heads = fields.count("hidden_size"), fields.count("num_attention_heads")
    if not fields.flag("parallel_attn", default=True) or fields.flag("alibi", default=False):
        raise AtlasError(f"config {fields.name}: a Falcon without parallel_attn or with alibi; known: parallel, rotary")
    new = fields.flag("new_decoder_architecture", default=False)
    one = fields.flag("multi_query", default=True) and not new
    groups = fields.count("num_kv_heads", "num_key_value_heads", default=heads) if new else (1 if one else heads)
    attention = Attention(heads, groups, fields.divided(hidden, heads, "hidden_size"), fused=True)
    inner, bias = fields.count("ffn_hidden_size", default=4 * hidden), fields.flag("bias", default=False)
    names = ("self_attention.query_key_value", "self_attention.dense", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h")
    norms = (Norm("layer", hidden), Norm("layer", hidden, shares_input=True)) if new else (Norm("layer", hidden),)
    block = Block(
        "decoder", fields.count("num_hidden_layers"), hidden, _fused(names, attention, hidden, inner, bias), norms,
        (attention,), _plain(inner, fields.word("activation", default="gelu")), shared_input=not new,
    )  # fmt: skip
    return model_of(fields, block, "layer", tied=True)


def _bloom(fields: Fields) -> Architecture:
    """Return a BLOOM (arXiv:2211.05100): GPT-2 with ALiBi, a norm after the embeddings, and eager attention only."""
    hidden, heads = fields.count("hidden_size", "n_embed"), fields.count("n_head", "num_attention_heads")
    attention = Attention(heads, heads, fields.divided(hidden, heads, "hidden_size"), fused=True, rotary=False)
    names = ("self_attention.query_key_value", "self_attention.dense", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h")
    norms = (Norm("layer", hidden), Norm("layer", hidden))
    layers = fields.count("n_layer", "num_hidden_layers")
    linears = _fused(names, attention, hidden, 4 * hidden, True)
    block = Block("decoder", layers, hidden, linears, norms, (attention,), _plain(4 * hidden, "gelu_new"))
    model = model_of(fields, block, "layer", tied=True)
    return replace(model, outer_norms=(Norm("layer", hidden), Norm("layer", hidden)))


def _separate(
    prefix: str, out: str, up: str, down: str, attention: Attention, hidden: int, inner: int
) -> tuple[Linear, ...]:
    """Return the matrices of a layer with separate queries, keys and values, all with biases."""
    return (
        Linear(f"{prefix}q_proj", hidden, attention.width, True),
        Linear(f"{prefix}k_proj", hidden, attention.kv_width, True),
        Linear(f"{prefix}v_proj", hidden, attention.kv_width, True),
        Linear(f"{prefix}{out}", attention.width, hidden, True, source="attention output"),
        Linear(up, hidden, inner, True, source="feed-forward"),
        Linear(down, inner, hidden, True, source="feed-forward product"),
    )


def _opt(fields: Fields) -> Architecture:
    """Return an OPT (arXiv:2205.01068) whose embeddings are as wide as its layers."""
    hidden, heads = fields.count("hidden_size"), fields.count("num_attention_heads")
    if fields.count("word_embed_proj_dim", default=hidden) != hidden:
        raise AtlasError(f"config {fields.name}: word_embed_proj_dim differs from hidden_size; known: equal")
    if not fields.flag("do_layer_norm_before", default=True):
        raise AtlasError(f"config {fields.name}: do_layer_norm_before false; known: true")
    attention = Attention(heads, heads, fields.divided(hidden, heads, "hidden_size"), rotary=False, upcast=False)
    inner, norm = fields.count("ffn_dim"), Norm("layer", hidden)
    linears = _separate("self_attn.", "out_proj", "fc1", "fc2", attention, hidden, inner)
    drops = 2 if fields.share("dropout", 0.1) > 0 else 0
    act = fields.word("activation_function", default="relu")
    layers = fields.count("num_hidden_layers")
    block = Block("decoder", layers, hidden, linears, (norm, norm), (attention,), _plain(inner, act), dropouts=drops)
    longest = fields.count("max_position_embeddings", default=2048)
    return _with_positions(model_of(fields, block, "layer", tied=True), longest + 2, longest)


def _phi(fields: Fields) -> Architecture:
    """Return a Phi-1.5 or Phi-2: both branches read the output of one norm."""
    attention, hidden = attention_of(fields), fields.count("hidden_size")
    inner = fields.count("intermediate_size", default=4 * hidden)
    linears = _separate("self_attn.", "dense", "mlp.fc1", "mlp.fc2", attention, hidden, inner)
    block = Block(
        "decoder", fields.count("num_hidden_layers"), hidden, linears, (Norm("layer", hidden),), (attention,),
        _plain(inner, fields.word("hidden_act", default="gelu_new")), shared_input=True,
        dropouts=2 if fields.share("resid_pdrop", 0.0) > 0 else 0,
    )  # fmt: skip
    return model_of(fields, block, "layer", tied=False, head_bias=True)


def _encoder_block(fields: Fields, linears: tuple[Linear, ...], attention: Attention) -> Block:
    """Return the layers of an encoder with two LayerNorms."""
    hidden, inner = fields.count("hidden_size", default=768), fields.count("intermediate_size", default=3072)
    drops = 2 if fields.share("hidden_dropout_prob", 0.0) > 0 else 0
    feed = _plain(inner, fields.word("hidden_act", default="gelu"))
    layers, norm = fields.count("num_hidden_layers", default=12), Norm("layer", hidden)
    return Block("encoder", layers, hidden, linears, (norm, norm), (attention,), feed, dropouts=drops)


def _bert_like(fields: Fields, positions_default: int, head: Linear) -> Architecture:
    """Return a BERT (arXiv:1810.04805) as a sequence classifier, its pooler or dense layer with the body."""
    heads, hidden = fields.count("num_attention_heads", default=12), fields.count("hidden_size", default=768)
    attention = Attention(heads, heads, fields.divided(hidden, heads, "hidden_size"), rotary=False, upcast=False)
    inner = fields.count("intermediate_size", default=3072)
    linears = (
        Linear("attention.self.query", hidden, hidden, True),
        Linear("attention.self.key", hidden, hidden, True),
        Linear("attention.self.value", hidden, hidden, True),
        Linear("attention.output.dense", hidden, hidden, True, source="attention output"),
        Linear("intermediate.dense", hidden, inner, True, source="feed-forward"),
        Linear("output.dense", inner, hidden, True, source="feed-forward product"),
    )
    drops = Fields(fields.name, {"hidden_dropout_prob": 0.1, **fields.values})
    words, longest = fields.count("vocab_size"), fields.count("max_position_embeddings", default=positions_default)
    segments = fields.count("type_vocab_size", default=2)
    return Architecture(
        name=fields.name, model_type=str(fields.values["model_type"]), hidden=hidden, vocabulary=words,
        blocks=(_encoder_block(drops, linears, attention),),
        embedding_parameters=(words + longest + segments) * hidden, outer_norms=(Norm("layer", hidden),),
        head=head, tied=False, task="labels", extra_parameters=(hidden + 1) * hidden, max_positions=longest,
    )  # fmt: skip


def _bert(fields: Fields) -> Architecture:
    hidden = fields.count("hidden_size", default=768)
    return _bert_like(fields, 512, Linear("classifier", hidden, fields.labels(), True, source="pooled"))


def _roberta(fields: Fields) -> Architecture:
    """Return a RoBERTa (arXiv:1907.11692) as a sequence classifier; peft counts its dense layer with the head."""
    hidden, labels = fields.count("hidden_size", default=768), fields.labels()
    model = _bert_like(fields, 514, Linear("classifier.out_proj", hidden, labels, True, source="pooled"))
    return replace(model, max_positions=(model.max_positions or 514) - 2)


def _vit(fields: Fields) -> Architecture:
    """Return a Vision Transformer (arXiv:2010.11929) as a classifier: a token for each patch and one for the class."""
    hidden, heads = fields.count("hidden_size", default=768), fields.count("num_attention_heads", default=12)
    size, patch = fields.count("image_size", default=224), fields.count("patch_size", default=16)
    channels, inner = fields.count("num_channels", default=3), fields.count("intermediate_size", default=3072)
    attention = Attention(heads, heads, fields.divided(hidden, heads, "hidden_size"), rotary=False)
    linears = _separate("attention.", "o_proj", "mlp.fc1", "mlp.fc2", attention, hidden, inner)
    if not fields.flag("qkv_bias", default=True):
        linears = (*(replace(linear, bias=False) for linear in linears[:3]), *linears[3:])
    tokens = (size // patch) ** 2 + 1
    embedding = channels * patch * patch * hidden + hidden + hidden + tokens * hidden
    return Architecture(
        name=fields.name, model_type="vit", hidden=hidden, vocabulary=0,
        blocks=(_encoder_block(fields, linears, attention),), embedding_parameters=embedding,
        outer_norms=(Norm("layer", hidden),), head=Linear("classifier", hidden, fields.labels(), True, source="pooled"),
        tied=False, task="labels", tokens=tokens,
    )  # fmt: skip


CLASSIC: Mapping[str, Callable[[Fields], Architecture]] = {
    "gpt2": _gpt2,
    "gpt_neox": _gpt_neox,
    "falcon": _falcon,
    "bloom": _bloom,
    "opt": _opt,
    "phi": _phi,
    "bert": _bert,
    "roberta": _roberta,
    "vit": _vit,
}
