"""How many parameters a method trains on an architecture, and in percent of what; closed form."""

from __future__ import annotations

from dataclasses import dataclass

from peft_atlas.errors import AtlasError
from peft_atlas.planning.architecture import Architecture, Block, Linear
from peft_atlas.planning.methods import Method, token_parameters
from peft_atlas.planning.targets import chosen, outer_targets

LARGEST_RANK = 1 << 20


@dataclass(frozen=True)
class Attachment:
    """A method at one setting: its rank (or what its ``rank_name`` says) and the matrices it is attached to."""

    method: Method
    rank: int
    linears: tuple[tuple[Block, Linear], ...]
    outer: tuple[Linear, ...]
    targets: tuple[str, ...]


@dataclass(frozen=True)
class Counts:
    """Parameters of a model with a method.

    Attributes
    ----------
    adapter, head
        Trained by the method, and of a head trained with it.
    base, base_head
        Of the model without adapter, head included, and of its head.
    stored
        Buffers that the method adds (the shared random factors of VeRA), which are no parameters.
    frozen
        Parameters that the method adds and does not train (A of LoRA-FA, a rank a matrix of AdaLoRA).
    copies
        Whether what is trained is added to the base; it is not in full fine-tuning and BitFit.
    """

    adapter: int
    head: int
    base: int
    base_head: int
    stored: int = 0
    frozen: int = 0
    copies: bool = True

    @property
    def trained(self) -> int:
        """Return all trained parameters."""
        return self.adapter + self.head

    @property
    def percent_of_base(self) -> float:
        """Return trained parameters in percent of the base model alone."""
        return 100 * self.trained / self.base

    @property
    def percent_of_total(self) -> float:
        """Return trained parameters in percent of base and adapter together, as peft prints them.

        peft trains a copy of the head and keeps the frozen one, so the head counts twice below the line.
        """
        return 100 * self.trained / (self.base + self.added)

    @property
    def added(self) -> int:
        """Return the parameters that the model has more with the method attached."""
        return self.adapter + self.head + self.frozen if self.copies else 0


def attach(architecture: Architecture, method: Method, rank: int | None, targets: tuple[str, ...]) -> Attachment:
    """Return where a method sits; no rank or targets means the method's default.

    Raises
    ------
    AtlasError
        A target that the model lacks, targets for a method that has none, or a rank that is no whole number above 0.
    """
    size = method.default_rank if rank is None else rank
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= LARGEST_RANK:
        raise AtlasError(f"rank {size!r}; allowed: a whole number from 1 to {LARGEST_RANK}")
    if method.acts_on != "linear":
        if targets:
            raise AtlasError(
                f"targets {', '.join(targets)} with method {method.name!r}: it has none; allowed: no targets"
            )
        return Attachment(method, size, (), (), ())
    names = targets or (method.targets,)
    linears, outer = chosen(architecture, names), outer_targets(architecture, names)
    if not linears and not outer:
        raise AtlasError(f"targets {', '.join(names)}: {architecture.name} has no such matrix")
    return Attachment(method, size, tuple(linears), tuple(outer), names)


def count(architecture: Architecture, attachment: Attachment, *, head: bool | None = None) -> Counts:
    """Return what an attachment trains; ``head`` says whether a classification head is trained with it.

    As in peft, it is by default for a model that ends in labels. Full fine-tuning trains it in any case.
    """
    trains_head = architecture.task == "labels" if head is None else head
    base, own = architecture.parameters, architecture.head_parameters
    kind = attachment.method.acts_on
    if kind == "everything":
        apart = own if architecture.task == "labels" else 0
        return Counts(base - apart, apart, base, own, copies=False)
    beside = own if trains_head and architecture.task == "labels" else 0
    added = _adapter(architecture, attachment)
    return Counts(added, beside, base, own, _stored(attachment), _frozen(attachment), copies=kind != "biases")


def _adapter(architecture: Architecture, attachment: Attachment) -> int:
    """Return the parameters that the method itself trains."""
    method, rank = attachment.method, attachment.rank
    if method.acts_on == "tokens":
        return token_parameters(method, architecture, rank)
    if method.acts_on == "norms":
        return norm_parameters(architecture)
    if method.acts_on == "biases":
        return bias_parameters(architecture)
    inner = sum(block.layers * method.count(linear, rank) for block, linear in attachment.linears)
    return inner + sum(method.count(linear, rank) for linear in attachment.outer)


def _frozen(attachment: Attachment) -> int:
    """Return parameters added and not trained: A of LoRA-FA, and the rank that AdaLoRA keeps for each matrix."""
    each = {"lora-fa": lambda linear: attachment.rank * linear.inputs, "adalora": lambda linear: 1}
    found = each.get(attachment.method.name, lambda linear: 0)
    return sum(block.layers * found(linear) for block, linear in attachment.linears)


def norm_parameters(architecture: Architecture) -> int:
    """Return the parameters of all norms."""
    inner = sum(block.layers * norm.parameters for block in architecture.blocks for norm in block.norms)
    return inner + sum(norm.parameters for norm in architecture.outer_norms)


def bias_parameters(architecture: Architecture) -> int:
    """Return the biases of all matrices and of LayerNorms."""
    inner = sum(block.layers * linear.bias_parameters for block, linear in architecture.linears())
    norms = [(b.layers, n) for b in architecture.blocks for n in b.norms] + [(1, n) for n in architecture.outer_norms]
    return inner + sum(layers * norm.width for layers, norm in norms if norm.kind == "layer")


def _stored(attachment: Attachment) -> int:
    """Return the random frozen entries that all matrices share.

    VeRA: A (r x in) and B (out x r) of the widest. RandLoRA: bases as large as the widest matrix.
    """
    if attachment.method.name not in ("vera", "pvera", "randlora") or not attachment.linears:
        return 0
    widest_in = max(linear.inputs for _, linear in attachment.linears)
    widest_out = max(linear.outputs for _, linear in attachment.linears)
    if attachment.method.name == "randlora":
        return max(widest_in, widest_out) * min(widest_in, widest_out)
    return attachment.rank * (widest_in + widest_out)
