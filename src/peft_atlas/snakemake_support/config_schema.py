"""Writes the JSON schema of the configuration: ``python -m peft_atlas.snakemake_support.config_schema <file>``."""

from __future__ import annotations

import sys
from pathlib import Path

from peft_atlas.config import write_schema

if __name__ == "__main__":
    write_schema(Path(sys.argv[1]))
