"""Figures of the runs that a user has added, one per file."""
