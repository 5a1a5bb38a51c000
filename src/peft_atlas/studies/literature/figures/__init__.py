"""The figures of the literature study, one per module; see `peft_atlas.figures.spec`."""
