"""The figures of the claims laboratory, one per module; see `peft_atlas.figures.spec`."""
