"""Which matrices a method is attached to."""

from __future__ import annotations

from peft_atlas.errors import AtlasError
from peft_atlas.planning.architecture import Architecture, Block, Linear

KINDS = ("query-value", "key-value-down", "attention", "mlp", "all-linear")
_QUERIES, _KEYS, _VALUES = ("q_proj", "query", "q"), ("k_proj", "key", "k"), ("v_proj", "value", "v")
_FUSED = ("qkv_proj", "c_attn", "query_key_value")
EMBEDDINGS = ("embed_tokens", "wte", "word_embeddings", "shared", "embed_in")


def _last(linear: Linear) -> str:
    return linear.name.rsplit(".", 1)[-1]


def _is_feed_forward(linear: Linear) -> bool:
    return linear.source.startswith("feed-forward")


def of_kind(kind: str, linear: Linear) -> bool:
    """Return whether a matrix is of a kind; of fused queries, keys and values, the one matrix is of each."""
    last = _last(linear)
    fused = last in _FUSED
    match kind:
        case "query-value":
            return fused or last in (*_QUERIES, *_VALUES)
        case "key-value-down":
            return fused or last in (*_KEYS, *_VALUES) or linear.source == "feed-forward product"
        case "attention":
            return not _is_feed_forward(linear)
        case "mlp":
            return _is_feed_forward(linear)
    return True


def chosen(architecture: Architecture, targets: tuple[str, ...]) -> list[tuple[Block, Linear]]:
    """Return the matrices that names or kinds select, each with its block; experts and routers are left out.

    A name selects as in peft: the whole name of the module or its end after a dot. ``lm_head`` and the token
    embeddings are handled by `outer_targets`.

    Raises
    ------
    AtlasError
        A name selects nothing; the message lists what there is.
    """
    linears = [(block, linear) for block, linear in architecture.linears() if not linear.stacked]
    found = [pair for pair in linears if any(_selects(target, pair[1]) for target in targets)]
    for target in targets:
        if not any(_selects(target, linear) for _, linear in linears) and not is_outer(architecture, target):
            raise AtlasError(f"target {target!r}: {architecture.name} has no such matrix; {_known(architecture)}")
    return found


def _selects(target: str, linear: Linear) -> bool:
    if target in KINDS:
        return of_kind(target, linear)
    return linear.name == target or linear.name.endswith(f".{target}")


def is_outer(architecture: Architecture, target: str) -> bool:
    """Return whether a name means the output matrix or the token embeddings."""
    head = architecture.head is not None and architecture.task != "labels" and target in ("lm_head", "embed_out")
    return head or (architecture.vocabulary > 0 and target in EMBEDDINGS)


def outer_targets(architecture: Architecture, targets: tuple[str, ...]) -> list[Linear]:
    """Return the output matrix and the token embeddings where names select them, as matrices."""
    hidden, words = architecture.hidden, architecture.vocabulary
    shapes = []
    for target in targets:
        if is_outer(architecture, target):
            into, out = (words, hidden) if target in EMBEDDINGS else (hidden, words)
            shapes.append(Linear(target, into, out, source="embeddings" if target in EMBEDDINGS else "last hidden"))
    return shapes


def _known(architecture: Architecture) -> str:
    names = dict.fromkeys(_last(linear) for _, linear in architecture.linears() if not linear.stacked)
    return f"it has {', '.join(names)}; kinds: {', '.join(KINDS)}"
