"""Figures of the record of published runs, one per file."""
