"""The studies: a folder each, with the same file names in every one; `peft_atlas.studies.study` finds them."""
