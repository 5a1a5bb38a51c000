"""LLaMA (arXiv:2302.13971) and its kin with the module names of `transformers`, split into stages that can be cached.

The families of `llama_shape.FAMILIES`: Mistral, Qwen 2 and Qwen 3 too. `transformers` builds the same networks, and the
tests check that logits agree. We have our own for the reasons that `bert` gives: a job need not wait for the import,
and a run can start at the first stage with trainable parameters. Rows are padded on the right, so that no token sees
padding and attention needs no mask.
"""

from __future__ import annotations

from math import pi

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from peft_atlas.models.llama_shape import LlamaShape

Rotary = tuple[Tensor, Tensor]


def frequencies(shape: LlamaShape) -> Tensor:
    """Return the angles by which rotary positions turn pairs of entries per position, shape ``(head_dim / 2,)``.

    arXiv:2104.09864, section 3.2; the scalings are those of `transformers`, "llama3" that of Llama 3.1.
    """
    plain = 1.0 / shape.rope_theta ** (torch.arange(0, shape.head_dim, 2, dtype=torch.float32) / shape.head_dim)
    scaling = shape.rope_scaling
    if scaling is None:
        return plain
    if scaling.kind == "linear":
        return plain / scaling.factor
    # Whole waves within the original context: many keep their frequency, few have it divided.
    waves = scaling.original * plain / (2 * pi)
    kept = (waves - scaling.low_frequency) / (scaling.high_frequency - scaling.low_frequency)
    return torch.lerp(plain / scaling.factor, plain, kept.clamp(0.0, 1.0))


class _Rotary(nn.Module):
    """Cosine and sine of every position's angles; a module of its own, so that a prefix can move the positions."""

    def __init__(self, shape: LlamaShape) -> None:
        super().__init__()
        self.shape = shape
        self.reset()

    def reset(self) -> None:
        """Compute the frequencies, which are no weights: a model built on the meta device has none yet."""
        self.frequencies = frequencies(self.shape)

    def forward(self, states: Tensor, position_ids: Tensor) -> Rotary:
        """Return both, shape ``(length, head_dim / 2)``."""
        turned = position_ids[:, None] * self.frequencies.to(states.device)
        return turned.cos().to(states.dtype), turned.sin().to(states.dtype)


def _turned(states: Tensor, rotary: Rotary) -> Tensor:
    """Return queries or keys, shape ``(batch, heads, length, head_dim)``, turned by their positions."""
    cos, sin = rotary
    first, second = states.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


class _Attention(nn.Module):
    """Causal attention with grouped queries: several heads of queries read one head of keys and values."""

    def __init__(self, shape: LlamaShape) -> None:
        super().__init__()
        # Methods that ask where a text ends read it.
        self.is_causal = True
        self.head_dim = shape.head_dim
        width, queries = shape.hidden_size, shape.num_attention_heads * shape.head_dim
        self.q_proj = nn.Linear(width, queries, bias=shape.attention_bias)
        self.k_proj = nn.Linear(width, shape.key_width, bias=shape.attention_bias)
        self.v_proj = nn.Linear(width, shape.key_width, bias=shape.attention_bias)
        self.o_proj = nn.Linear(queries, width, bias=shape.output_bias)
        normed = shape.query_key_norm
        self.q_norm, self.k_norm = (
            nn.RMSNorm(shape.head_dim, shape.rms_norm_eps) if normed else nn.Identity() for _ in range(2)
        )

    def forward(self, hidden: Tensor, rotary: Rotary) -> Tensor:
        # Under autocast the products come in half precision; attention goes on in that of the hidden states, since
        # its backward pass in bfloat16 costs a processor more than all that its products save.
        query, key, value = (
            project(hidden).to(hidden.dtype).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        query, key = _turned(self.q_norm(query), rotary), _turned(self.k_norm(key), rotary)
        with torch.autocast(hidden.device.type, enabled=False):
            read = F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
        return self.o_proj(read.transpose(1, 2).flatten(2))


class _FeedForward(nn.Module):
    def __init__(self, shape: LlamaShape) -> None:
        super().__init__()
        width, inner, bias = shape.hidden_size, shape.intermediate_size, shape.mlp_bias
        self.gate_proj, self.up_proj = (nn.Linear(width, inner, bias=bias) for _ in range(2))
        self.down_proj = nn.Linear(inner, width, bias=bias)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(hidden)) * self.up_proj(hidden))


class _Layer(nn.Module):
    def __init__(self, shape: LlamaShape) -> None:
        super().__init__()
        self.self_attn, self.mlp = _Attention(shape), _FeedForward(shape)
        self.input_layernorm, self.post_attention_layernorm = (
            nn.RMSNorm(shape.hidden_size, shape.rms_norm_eps) for _ in range(2)
        )

    def forward(self, hidden: Tensor, rotary: Rotary) -> Tensor:
        hidden = hidden + self.self_attn(self.input_layernorm(hidden), rotary)
        return hidden + self.mlp(self.post_attention_layernorm(hidden))


class Llama(nn.Module):
    """A language model of the LLaMA family. Its stages are the embeddings, each layer, and the last normalisation.

    Attributes
    ----------
    shape : LlamaShape
        Its sizes.
    """

    def __init__(self, shape: LlamaShape) -> None:
        super().__init__()
        # The methods look sizes up under the name that they have in `transformers`.
        self.shape = self.config = shape
        # Without values: initialising a table on the meta device would import torch's compiler.
        table = torch.empty(shape.vocab_size, shape.hidden_size)
        self.embed_tokens = nn.Embedding.from_pretrained(table, freeze=False)
        self.layers = nn.ModuleList(_Layer(shape) for _ in range(shape.num_hidden_layers))
        self.norm = nn.RMSNorm(shape.hidden_size, shape.rms_norm_eps)
        self.rotary_emb = _Rotary(shape)
        self.lm_head = nn.Linear(shape.hidden_size, shape.vocab_size, bias=False)
        self.tie_weights()

    def tie_weights(self) -> None:
        """Give the output the embeddings as its weight, where they are tied."""
        if self.shape.tie_word_embeddings:
            self.lm_head.weight = self.embed_tokens.weight

    @property
    def width(self) -> int:
        """Width of the hidden states."""
        return self.shape.hidden_size

    @property
    def context(self) -> int:
        """Most tokens of a row."""
        return self.shape.context

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.embed_tokens.weight.device

    def get_output_embeddings(self) -> nn.Module:
        """Return the module that gives the logits, which ``"all-linear"`` leaves out."""
        return self.lm_head

    def stages(self) -> list[nn.Module]:
        """List the stages in the order they run."""
        return [self.embed_tokens, *self.layers, self.norm]

    def frozen_stages(self) -> int:
        """Count the leading stages without trainable parameters, whose output can be cached."""
        for place, stage in enumerate(self.stages()):
            if any(parameter.requires_grad for parameter in stage.parameters()):
                return place
        return len(self.stages())

    def run(self, states: Tensor, start: int, stop: int) -> Tensor:
        """Run some of the stages and return the resulting states.

        Parameters
        ----------
        states
            Token ids, shape ``(batch, length)``, if ``start`` is 0; otherwise the hidden states after the first
            ``start`` stages, shape ``(batch, length, width)``. Padding is on the right.
        start, stop
            Stages ``start`` to ``stop - 1`` are run.
        """
        last = len(self.layers) + 1
        if start == 0 < stop:
            states = self.embed_tokens(states)
        middle = self.layers[max(start - 1, 0) : max(min(stop, last) - 1, 0)]
        if len(middle):
            rotary = self.rotary_emb(states, torch.arange(states.shape[1], device=states.device))
            for layer in middle:
                states = layer(states, rotary)
        return self.norm(states) if start <= last < stop else states

    def forward(self, states: Tensor, mask: Tensor | None = None, start: int = 0, at: Tensor | None = None) -> Tensor:
        """Compute logits for the token after each position.

        Parameters
        ----------
        states
            As for `run`.
        mask
            True for tokens, False for padding, shape ``(batch, length)``, for methods that ask where texts end.
        start
            Stages that have run on the states already.
        at
            The positions whose logits are wanted, shape ``(batch, length)``; None for all.

        Returns
        -------
        Tensor
            Shape ``(positions, vocabulary)`` in the order of rows where ``at`` is given, else
            ``(batch, length, vocabulary)``.
        """
        last = len(self.layers) + 1
        hidden = self.run(states, start, last)
        if at is not None:
            hidden = hidden[at]
        return self.lm_head(self.norm(hidden) if start <= last else hidden)
