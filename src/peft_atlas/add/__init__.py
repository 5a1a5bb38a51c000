"""Runs of other programs, taken into the tables of a folder."""
