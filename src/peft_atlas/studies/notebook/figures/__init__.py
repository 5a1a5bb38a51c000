"""The figures of the notebook study, one per module; see `peft_atlas.figures.spec`."""
