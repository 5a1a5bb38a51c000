"""LoRA of an embedding, as `peft` has it: a low-rank update of its table."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from peft_atlas.errors import AtlasError
from peft_atlas.methods.linear import like
from peft_atlas.methods.method import Members
from peft_atlas.methods.scaling import Scaling
from peft_atlas.methods.wrapper import MergingWrapper
from peft_atlas.population import Draws


class LoRAEmbedding(MergingWrapper):
    """An embedding with a trained low-rank update of its table, ``E[i] + s (B A)[:, i]``.

    A starts at zero and B normal, as in `peft`, so that it starts as its base; nothing is dropped. Merging adds
    ``s (B A)^T`` to the table.

    Parameters
    ----------
    base
        The embedding.
    scaling
        s, with its rank.
    members
        The runs that train as one model; one.
    name
        Its place in the network; keys the random stream of B.

    Attributes
    ----------
    lora_embedding_A : Parameter
        Shape ``(r, rows)``.
    lora_embedding_B : Parameter
        Shape ``(width, r)``.

    Raises
    ------
    AtlasError
        If it belongs to a population, rescales its table (``max_norm``) or has a forward of its own.
    """

    base: nn.Embedding

    def __init__(self, base: nn.Embedding, scaling: Scaling, members: Members, name: str) -> None:
        super().__init__(base)
        if members.population:
            raise AtlasError(f"population = {members.population}: LoRA of an embedding trains one member; allowed: ()")
        if base.max_norm is not None or not self.uses_weight_plainly():
            kind = type(base).__name__
            raise AtlasError(f"target_modules: LoRA was given a {kind} that changes rows; allowed: plain embeddings")
        self._scaling, r = scaling, scaling.r
        start = like(base, "LoRA")
        self.lora_embedding_A = nn.Parameter(start.new_zeros(r, base.num_embeddings))
        draws = Draws((), members.seeds, f"adapter/{name}", start)
        self.lora_embedding_B = nn.Parameter(draws.normal((base.embedding_dim, r)))

    def forward(self, ids: Tensor, *arguments: Any, base_output: Tensor | None = None, **options: Any) -> Tensor:
        """Return the rows of the changed table, shape ``(*batch, width)``."""
        if self.held_by_base():
            return self.base(ids, *arguments, **options)
        kept = self.call_base(ids, *arguments, **options) if base_output is None else base_output
        low = self._scaling.times(F.embedding(ids, self.lora_embedding_A.mT))
        return (kept + F.linear(low, self.lora_embedding_B)).to(kept.dtype)

    def uses_weight_plainly(self) -> bool:
        """Return whether the base looks up rows and nothing else."""
        return type(self.base).forward is nn.Embedding.forward

    def merged_parameters(self) -> dict[str, Tensor]:
        """Return the table with the update, shape ``(rows, width)``."""
        update = self._scaling.times((self.lora_embedding_B @ self.lora_embedding_A).mT)
        return {"weight": self.original("weight") + update}


def embedding_params(r: int, base: nn.Embedding) -> int:
    """Return the parameters that LoRA of an embedding trains, r (rows + width)."""
    return r * (base.num_embeddings + base.embedding_dim)
