"""The figures of the encoder study, one per module; see `peft_atlas.figures.spec`."""
