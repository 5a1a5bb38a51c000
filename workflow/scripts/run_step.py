"""Run a rule's step: the function of the library that its parameter ``step`` names."""

import peft_atlas.snakemake_support.disable_gc
import peft_atlas.snakemake_support.torch_memory  # noqa: F401
from peft_atlas.snakemake_support.run_step import run_step
from peft_atlas.step import Step

run_step(
    Step(
        inputs=dict(snakemake.input.items()),
        outputs=dict(snakemake.output.items()),
        params=dict(snakemake.params.items()),
        wildcards=dict(snakemake.wildcards.items()),
    ),
    threads=snakemake.threads,
    log=snakemake.log[0],
)
