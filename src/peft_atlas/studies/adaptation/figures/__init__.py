"""The figures of the adaptation study, one per module; see `peft_atlas.figures.spec`."""
