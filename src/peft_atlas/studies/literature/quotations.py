"""The notebook's quotations of the survey, split into what can be tested; the survey's body itself was not seen."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from peft_atlas.analysis.evidence import select
from peft_atlas.analysis.finding import SEED_NOTEBOOK, Effect, Finding
from peft_atlas.planning.verdict import FITS, verdict
from peft_atlas.studies.literature.jobs import NAME
from peft_atlas.studies.literature.judging import SINGLE_RUNS, would_decide
from peft_atlas.studies.literature.memory_findings import peak_in_words, step_in_words
from peft_atlas.studies.literature.published_tables import FULL, LORA, PublishedTables, both, gigabytes
from peft_atlas.studies.literature.scores import SEED

SURVEY = "2404.13506"
# The quotations and the sentence that leads to them: the place they are said to be in, and what they say.
QUOTATIONS = {
    "single_gpu": (
        "Section 5, page 6",
        "LoRA fine-tunes a minimal number of parameters, which enables training on a single GPU",
    ),
    "medical": ("Section 3.3, page 3", "in medical imaging a combination such as BitFit + LoRA may be effective"),
    "ppi": (
        "Section 3.4, page 4",
        "for PPI prediction PEFT outperforms traditional methods, with LoRA at 0.81 percent of the parameters",
    ),
    "most_effective": ("Section 3", "LoRA is one of the most effective methods across applications"),
}
PROTEINS, PPI = "Protein Models", "PPI"
# Weight, gradient and both moments of AdamW, each of 2 bytes.
PURE_BF16_BYTES = 8


def quotation_claims(tables: PublishedTables) -> list[Finding]:
    """Return the statements of the quotations, and of the sentence that leads to them, with their verdicts."""
    return [
        *(_wording(tables, name) for name in QUOTATIONS),
        _minimal(tables),
        _full_needs_more(tables),
        _single_gpu(tables),
        _combination(tables),
        *_outperforms(tables),
        *_orders_of_magnitude(tables),
    ]


def _claim(
    quotation: str, name: str, statement: str, verdict: str, evidence: str, detail: str, effect: Effect | None = None
) -> Finding:
    source = f"{SEED_NOTEBOOK}, quoting {QUOTATIONS[quotation][0]}"
    return Finding("claim", name, NAME, statement, source, verdict, evidence, detail, effect=effect)


def _wording(tables: PublishedTables, quotation: str) -> Finding:
    """Return that the wording of a quotation cannot be checked, with the reason."""
    survey = tables.references[tables.references["true_arxiv_id"] == SURVEY].iloc[0]
    place, said = QUOTATIONS[quotation]
    return _claim(
        quotation,
        f"wording_{quotation}",
        f"{place} of the survey says that {said}",
        "undecided",
        f"references: number={survey['number']}",
        f"{survey['note']} So neither wording nor place could be checked. {would_decide('reading the survey')}",
        effect=Effect(None, n=0),
    )


def _minimal(tables: PublishedTables) -> Finding:
    """Return whether LoRA trains the fewest parameters of the methods counted."""
    counts = tables.counts[tables.counts["base_model"].isin(tables.models)]
    lora = counts[counts["method"] == LORA].set_index("base_model")["trainable_params"]
    fewer = counts[counts["trainable_params"] < counts["base_model"].map(lora)]
    least = fewer.loc[fewer.groupby("base_model", sort=False)["trainable_params"].idxmin()]
    times = {row.base_model: lora[row.base_model] / row.trainable_params for row in least.itertuples()}
    fewest = both(
        [f"{row.method} 1/{times[row.base_model]:.0f} of it on {row.base_model}" for row in least.itertuples()]
    )
    return _claim(
        "single_gpu",
        "minimal_parameters",
        "LoRA fine-tunes a minimal number of parameters: no method of the tables trains fewer",
        "contradicted" if len(fewer) else "supported",
        select("parameters", counts, ("base_model",)) + ", method, trainable_params",
        f"Fewer are trained by {both(list(dict.fromkeys(fewer['method'])))}; the fewest: {fewest}.",
        effect=Effect(float(min(times.values(), default=1.0)), "times the smallest count", n=len(counts)),
    )


def _sizes(memory: pd.DataFrame) -> list[int]:
    """Return the sizes of GPU that the memory table judges, in units of 10^9 bytes."""
    return sorted(int(name.removeprefix("fits_").removesuffix("gb")) for name in memory if name.startswith("fits_"))


def _full_needs_more(tables: PublishedTables) -> Finding:
    """Return whether full fine-tuning with fp32 Adam states exceeds every size of GPU, before any activation.

    The condition is part of the statement: with weights, gradients and both moments in bf16 a parameter takes 8 bytes,
    and 8-bit or factored optimisers take less.
    """
    memory = tables.training_bytes()
    full = memory[memory["method"] == FULL]
    largest = _sizes(tables.memory)[-1]
    needed = both([f"{gigabytes(row.total_bytes)} on {row.base_model}" for row in full.itertuples()])
    pure = [f"{gigabytes(PURE_BF16_BYTES * row.base_params)} on {row.base_model}" for row in full.itertuples()]
    return _claim(
        "single_gpu",
        "full_needs_more_than_one_gpu",
        f"With fp32 AdamW states full fine-tuning does not fit a single GPU of {largest} GB",
        "contradicted" if full[f"fits_{largest}gb"].any() else "supported",
        f"memory: method=full, precision=bf16_mixed, fits_{largest}gb",
        f"Weights, gradients and optimiser states alone take {needed} in bf16 mixed precision, without offloading. "
        f"With everything in bf16, {PURE_BF16_BYTES} bytes per parameter, they would take {both(pure)}.",
        effect=Effect(float(full["total_bytes"].min() / 1e9), "GB, the smaller", n=len(full)),
    )


def _single_gpu(tables: PublishedTables) -> Finding:
    """Return whether LoRA fits a single GPU: what it keeps from step to step must, and a step's peak should."""
    memory = tables.training_bytes()
    lora = memory[memory["method"] == LORA]
    others = memory[~memory["method"].isin([LORA, FULL])]
    sizes = _sizes(memory)
    fits = {row.base_model: [size for size in sizes if row.total_bytes <= 1e9 * size] for row in lora.itertuples()}
    needed = [
        f"{gigabytes(row.total_bytes)} on {row.base_model}{_room(fits[row.base_model])}" for row in lora.itertuples()
    ]
    largest = f"fits_{sizes[-1]}gb"
    peaks = [_peak(row, sizes[-1]) for _, row in lora.iterrows()]
    condition = "The necessary condition is met" if all(fits.values()) else "The necessary condition is not met"
    return _claim(
        "single_gpu",
        "lora_fits_one_gpu",
        "LoRA training fits a single GPU",
        _fits(list(fits.values()), [verdict for _, verdict in peaks]),
        "memory: method=LoRA, precision=bf16_mixed, peak_bytes",
        f"{condition}: weights, gradients and optimiser states take {both(needed)}. This is not specific to LoRA: "
        f"{int(others[largest].sum())} of the {len(others)} other configurations "
        f"{'meet it' if all(fits.values()) else 'fit'} too. With activations, a step of {step_in_words(lora)} is "
        f"predicted to peak at {both([words for words, _ in peaks])}.",
        effect=Effect(float(lora["total_bytes"].max() / 1e9), "GB, the larger", n=len(lora)),
    )


def _peak(row: pd.Series[Any], size: int) -> tuple[str, str]:
    """Return the predicted peak of a row of the memory table in words, and whether it fits a GPU."""
    found = verdict(row["peak_low_bytes"], row["peak_high_bytes"], size)
    return f"{peak_in_words(row)} on {row['base_model']} ({size} GB: {found})", found


def _fits(states: list[list[int]], peaks: list[str]) -> str:
    """Return the verdict: contradicted where no GPU holds what stays, supported where every predicted peak fits."""
    if not all(states):
        return "contradicted"
    return "supported" if set(peaks) == {FITS} else "undecided"


def _room(sizes: list[int]) -> str:
    return f" (within {sizes[0]} GB)" if sizes else " (within none)"


def _combination(tables: PublishedTables) -> Finding:
    rows = tables.published[tables.published["task"].str.startswith("Medical")]
    combined = rows[rows["method"].str.contains(r"\+", regex=True)]
    methods = list(dict.fromkeys(rows["method"]))
    return _claim(
        "medical",
        "combination_effective",
        "A combination of methods such as BitFit + LoRA is effective in medical imaging",
        "undecided",
        "published: table=applications, task=Medical Imaging",
        f"{len(combined)} of the {len(rows)} numbers seen for medical imaging are for a combination; the methods are "
        f"{both(methods)}. {would_decide('the combination compared with its parts on one medical task')}",
        effect=Effect(None, n=len(combined)),
    )


def _outperforms(tables: PublishedTables) -> Iterator[Finding]:
    """Return, for each protein task, what the logs that were seen say; a single pair of runs decides nothing."""
    pairs = tables.full_pairs()
    for row in pairs[pairs["task"].str.startswith(PROTEINS)].itertuples():
        task = row.task.removeprefix(f"{PROTEINS}: ")
        yield _claim(
            "ppi",
            f"outperforms_full_{'ppi' if PPI in task else 'symmetry'}",
            f"LoRA outperforms full fine-tuning on {task}",
            "undecided",
            f"published: table={row.table}, task={row.task}, metric={row.metric}",
            f"As logged by the authors, {row.metric}: {row.printed} with LoRA, {row.printed_full} with full "
            f"fine-tuning. {SINGLE_RUNS} They are of validation, and not the paper's table. "
            f"{would_decide('several seeds of both on the test set')}",
            effect=Effect(float(row.gap), "AUPR", n=2),
        )


def _orders_of_magnitude(tables: PublishedTables) -> Iterator[Finding]:
    """Return, for each protein task, whether the quoted percentage agrees with the orders of magnitude printed."""
    exact = tables.exact
    quoted = exact[(exact["source"] == SEED) & (exact["task"] == PROTEINS)].iloc[0]
    orders = math.log10(100 / quoted["value"])
    said = tables.published[(tables.published["metric"] == "orders_of_magnitude_fewer")]
    for row in said[said["method"] == LORA].itertuples():
        task = row.task.removeprefix(f"{PROTEINS}: ")
        yield _claim(
            "ppi",
            f"percentage_fits_{'ppi' if PPI in task else 'symmetry'}",
            f"LoRA at {quoted['printed']} percent agrees with the source's own abstract on {task}",
            "supported" if round(orders) == row.value else "contradicted",
            f"published: table={row.table}, line={row.line}; published: table={quoted['table']}, line={quoted['line']}",
            f"{quoted['printed']} % is {orders:.1f} orders of magnitude fewer; {row.source} says about {row.value:g}. "
            "The number itself was seen only in the seed notebook.",
            effect=Effect(float(orders - row.value), "orders of magnitude, quoted less printed", n=1),
        )
