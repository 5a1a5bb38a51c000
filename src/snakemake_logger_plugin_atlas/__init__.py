"""Snakemake's logger plugin ``atlas``: one line per job, the time left, and what a run may ask for.

Snakemake imports every installed plugin whenever it starts, before it knows the Snakefile. So this package imports
nothing heavy, and nothing of `peft_atlas`: the Snakefile takes that from its own folder, which may be another copy.
"""

from dataclasses import dataclass, field

from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

from snakemake_logger_plugin_atlas.handler import AtlasHandler


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """Settings that a profile gives as ``logger-atlas-<name>``; Snakemake needs their types, not the types' names."""

    limits: bool = field(
        default=False,
        metadata={"help": "Print at the start what the jobs ask for: CPU hours, GPU hours, memory (for a cluster)."},
    )


class LogHandler(AtlasHandler):
    """The handler under the name by which Snakemake looks for it."""
