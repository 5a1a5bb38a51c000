"""FLUX.2, a diffusion transformer: layers of two streams, then layers of one with a fused matrix."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from peft_atlas.planning.architecture import Architecture, Attention, Block, FeedForward, Linear, Norm
from peft_atlas.planning.families.fields import Fields


def _two_streams(hidden: int, inner: int) -> tuple[Linear, ...]:
    """Return the matrices of a layer that keeps image and text apart but in attention."""
    names = ("attn.to_q", "attn.to_k", "attn.to_v", "attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj")
    ends = ("attn.to_out.0", "attn.to_add_out")
    return (
        *(Linear(name, hidden, hidden) for name in names),
        *(Linear(name, hidden, hidden, source="attention output") for name in ends),
        *(Linear(f"{name}.linear_in", hidden, 2 * inner, source="feed-forward") for name in ("ff", "ff_context")),
        *(Linear(f"{name}.linear_out", inner, hidden, source="feed-forward product") for name in ("ff", "ff_context")),
    )


def _flux2(fields: Fields) -> Architecture:
    """Return a FLUX.2 transformer; counts agree with the full fine-tuning row of peft's image benchmark.

    Its inner results pass each token once, so one set of activations per layer serves both streams. ``tokens`` are
    those of the image (16 x 16 pixels each) and of the prompt.
    """
    heads, size = fields.count("num_attention_heads"), fields.count("attention_head_dim")
    hidden, inner = heads * size, fields.count("mlp_ratio") * heads * size
    attention, norm = Attention(heads, heads, size), Norm("layer", hidden)
    single = (
        Linear("attn.to_qkv_mlp_proj", hidden, 3 * hidden + 2 * inner),
        Linear("attn.to_out", hidden + inner, hidden, source="joined output"),
    )
    # Norms of the residual have no parameters; those of queries and keys do, of both streams.
    feed, heads_norm = FeedForward(inner, True, "silu"), 2 * size
    blocks = (
        Block("two streams", fields.count("num_layers"), hidden, _two_streams(hidden, inner), (norm, norm),
              (attention,), feed, extra_parameters=2 * heads_norm - 4 * hidden),
        Block("one stream", fields.count("num_single_layers"), hidden, single, (norm,), (attention,),
              feed, extra_parameters=heads_norm - 2 * hidden),
    )  # fmt: skip
    modulation = (2 * 6 + 3) * hidden * hidden
    inputs = (fields.count("in_channels") + fields.count("joint_attention_dim")) * hidden
    time = (256 + hidden) * hidden
    outputs = 2 * hidden * hidden + fields.count("in_channels") * hidden
    return Architecture(
        name=fields.name, model_type="flux2", hidden=hidden, vocabulary=0, blocks=blocks, embedding_parameters=inputs,
        outer_norms=(), head=None, tied=False, task="labels", extra_parameters=modulation + time + outputs,
        tokens=fields.count("tokens"),
    )  # fmt: skip


DIFFUSION: Mapping[str, Callable[[Fields], Architecture]] = {"flux2": _flux2}
