"""Methods as far as counts and memory depend on them: parameters of a matrix, and what the backward pass needs kept.

Counts follow the classes of peft 0.21.2; the footprints were read from their ``forward`` and are checked against a
trace of the real classes (`peft_atlas.planning.trace`). No number here comes from a measured run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from peft_atlas.errors import AtlasError
from peft_atlas.planning.architecture import Architecture, Linear


@dataclass(frozen=True)
class Footprint:
    """What autograd keeps for one adapted matrix, in addition to what the frozen model keeps.

    Attributes
    ----------
    inputs
        Copies of the input in the adapter's type.
    rank, outputs, base_outputs
        Vectors of the rank and of the output width in the adapter's type, and outputs in the compute type.
    delta
        Matrices as large as the weight in the adapter's type, made again in every forward pass.
    blocks
        Copies of the block-diagonal rotation of OFT.
    base_inputs, base_delta
        Inputs (once for matrices that read the same) and matrices as large as the weight, in the compute type.
    passing
        Matrices as large as the weight in the adapter's type that are alive for a moment only, apart from a square one
        of the input's width: DoRA forms the adapted weight from an identity matrix.
    narrow
        Vectors as long as the shorter side in the adapter's type, each with a square matrix of that side.
    """

    inputs: int = 0
    rank: int = 0
    outputs: int = 0
    base_outputs: int = 0
    delta: int = 0
    blocks: int = 0
    base_inputs: int = 0
    base_delta: int = 0
    passing: int = 0
    narrow: int = 0


def _low_rank(linear: Linear, rank: int) -> int:
    """LoRA, arXiv:2106.09685, section 4.1: A (r x in) and B (out x r)."""
    return rank * (linear.inputs + linear.outputs)


def _dora(linear: Linear, rank: int) -> int:
    """DoRA, arXiv:2402.09353, section 4: LoRA and one magnitude an output."""
    return _low_rank(linear, rank) + linear.outputs


def _adalora(linear: Linear, rank: int) -> int:
    """AdaLoRA, arXiv:2303.10512, section 3.1: P, Q and the singular values at the initial rank."""
    return _low_rank(linear, rank) + rank


def _ia3(linear: Linear, rank: int) -> int:
    """(IA)3, arXiv:2205.05638, section 3.3: a factor an output, or an input of the last feed-forward matrix."""
    return linear.inputs if linear.source == "feed-forward product" else linear.outputs


def _oft(linear: Linear, rank: int) -> int:
    """OFT, arXiv:2306.07280: ``rank`` skew-symmetric blocks, b (b - 1) / 2 entries each."""
    size = oft_block(linear, rank)
    return rank * (size * (size - 1) // 2)


def oft_block(linear: Linear, rank: int) -> int:
    """Return the side of a block when the input is cut into ``rank`` of them."""
    if linear.inputs % rank:
        raise AtlasError(f"oft rank {rank}: {linear.name} has {linear.inputs} inputs; allowed: a divisor of them")
    return linear.inputs // rank


def _lokr(linear: Linear, rank: int) -> int:
    """LoKr, arXiv:2309.14859: W = w1 (x) w2; the larger factor is of rank r where that is smaller, as peft does."""
    out_small, out_large = _factors(linear.outputs)
    in_small, in_large = _factors(linear.inputs)
    second = rank * (out_large + in_large) if rank < max(out_large, in_large) / 2 else out_large * in_large
    return out_small * in_small + second


def _factors(number: int) -> tuple[int, int]:
    """Return the pair of factors nearest to each other, the smaller one first."""
    small = next(part for part in range(int(number**0.5), 0, -1) if number % part == 0)
    return small, number // small


def bases(linear: Linear, rank: int) -> int:
    """Return how many random bases of a rank RandLoRA needs for the shorter side of a matrix."""
    return -(-min(linear.inputs, linear.outputs) // rank)


def _randlora(linear: Linear, rank: int) -> int:
    """RandLoRA, arXiv:2502.00987, section 4: two diagonal matrices for each random basis."""
    return bases(linear, rank) * (rank + min(linear.inputs, linear.outputs))


def _nothing(linear: Linear, rank: int) -> int:
    return 0


@dataclass(frozen=True)
class Method:
    """A method: how many parameters it adds to a matrix, its footprint, and where it is attached by default.

    ``acts_on`` is linear (matrices), tokens (virtual tokens: ``rank`` is how many), norms, biases or everything.
    ``targets`` is what peft chooses where nothing is given, as the kinds of `peft_atlas.planning.targets`.
    ``frozen`` is True where the factors are shared, random and frozen, and only vectors are trained (VeRA).
    """

    name: str
    count: Callable[[Linear, int], int]
    footprint: Footprint
    acts_on: str = "linear"
    targets: str = "query-value"
    default_rank: int = 8
    rank_name: str = "rank"
    source: str = ""


METHODS = (
    Method("full", _nothing, Footprint(), acts_on="everything", targets="", source="every parameter"),
    Method("lora", _low_rank, Footprint(inputs=1, rank=1), source="arXiv:2106.09685"),
    Method("rslora", _low_rank, Footprint(inputs=1, rank=1), source="arXiv:2312.03732"),
    Method("dora", _dora, Footprint(inputs=1, rank=1, outputs=1, base_outputs=1, passing=4), source="arXiv:2402.09353"),
    Method("lora-fa", lambda linear, rank: rank * linear.outputs, Footprint(rank=1), source="arXiv:2308.03303"),
    Method("adalora", _adalora, Footprint(inputs=1, rank=2), source="arXiv:2303.10512", default_rank=12),
    Method("loha", lambda linear, rank: 2 * _low_rank(linear, rank), Footprint(inputs=1, delta=1),
           source="arXiv:2108.06098"),
    Method("lokr", _lokr, Footprint(inputs=1, delta=1), source="arXiv:2309.14859"),
    Method("hira", _low_rank, Footprint(inputs=1, delta=1), source="HiRA, ICLR 2025", default_rank=32),
    Method("fourierft", lambda linear, rank: rank, Footprint(inputs=1, delta=1), source="arXiv:2405.03003",
           default_rank=1000, rank_name="frequencies of a matrix"),
    Method("oft", _oft, Footprint(inputs=1, blocks=4), source="arXiv:2306.07280", default_rank=32, rank_name="blocks"),
    Method("ia3", _ia3, Footprint(base_outputs=1), targets="key-value-down", source="arXiv:2205.05638", default_rank=1,
           rank_name="unused"),
    Method("vera", lambda linear, rank: rank + linear.outputs, Footprint(rank=1, outputs=1), source="arXiv:2310.11454",
           default_rank=256),
    Method("miss", lambda linear, rank: rank * linear.outputs, Footprint(rank=1), source="arXiv:2409.15371",
           default_rank=64),
    Method("delora", lambda linear, rank: _low_rank(linear, rank) + 1, Footprint(inputs=1, rank=2),
           source="arXiv:2503.18225"),
    Method("gralora", _low_rank, Footprint(inputs=1, rank=2), source="arXiv:2505.20355", default_rank=32),
    Method("c3a", lambda linear, rank: linear.weights // rank, Footprint(inputs=1), source="arXiv:2407.19342",
           default_rank=64, rank_name="block size"),
    Method("road", lambda linear, rank: 2 * linear.outputs, Footprint(outputs=2), source="arXiv:2409.00119",
           default_rank=1, rank_name="unused"),
    Method("pvera", lambda linear, rank: 2 * rank + linear.outputs, Footprint(rank=4, outputs=1),
           source="arXiv:2512.07703", default_rank=256),
    Method("randlora", _randlora, Footprint(narrow=1), source="arXiv:2502.00987", default_rank=32),
    Method("shira", _low_rank, Footprint(base_inputs=1, base_delta=1), source="arXiv:2406.13175", default_rank=32),
    Method("beft", lambda linear, rank: linear.outputs, Footprint(), source="arXiv:2509.15974", default_rank=1,
           rank_name="unused"),
    Method("prefix", _nothing, Footprint(), acts_on="tokens", targets="", source="arXiv:2101.00190", default_rank=30,
           rank_name="virtual tokens"),
    Method("prompt", _nothing, Footprint(), acts_on="tokens", targets="", source="arXiv:2104.08691", default_rank=20,
           rank_name="virtual tokens"),
    Method("p-tuning", _nothing, Footprint(), acts_on="tokens", targets="", source="arXiv:2103.10385", default_rank=20,
           rank_name="virtual tokens"),
    Method("ln-tuning", _nothing, Footprint(), acts_on="norms", targets="", source="arXiv:2312.11420"),
    Method("bitfit", _nothing, Footprint(), acts_on="biases", targets="", source="arXiv:2106.10199"),
)  # fmt: skip
_ALIASES = {"ln_tuning": "ln-tuning", "lora_fa": "lora-fa", "lorafa": "lora-fa", "bone": "miss",
            "p_tuning": "p-tuning", "prompt_tuning": "prompt", "prefix_tuning": "prefix", "(ia)3": "ia3"}  # fmt: skip


def find_method(name: str) -> Method:
    """Return a method by name; peft's names of tuner types are understood too."""
    wanted = name.lower()
    wanted = _ALIASES.get(wanted, wanted)
    found = next((method for method in METHODS if method.name == wanted), None)
    if found is None:
        raise AtlasError(f"method {name!r}: not known; known: {', '.join(method.name for method in METHODS)}")
    return found


def token_parameters(method: Method, architecture: Architecture, rank: int) -> int:
    """Return the parameters of virtual tokens, as peft makes them without projection.

    Prefix tuning: a key and a value per layer and token. Prompt tuning: an embedding per token; both once for encoder
    and once for decoder of an encoder-decoder. P-tuning: embeddings and an MLP of three layers as wide as the model.
    """
    sides = 2 if architecture.task == "seq2seq" else 1
    hidden = architecture.hidden
    if method.name == "prompt":
        return sides * rank * hidden
    if method.name == "p-tuning":
        return sides * rank * hidden + 3 * (hidden * hidden + hidden)
    block = architecture.blocks[0]
    # peft takes the encoder's layers of an encoder-decoder, and the model's width for its keys and values.
    width = hidden if architecture.task == "seq2seq" else block.attentions[0].kv_width
    return block.layers * rank * 2 * width
