"""Figures of the decoder study, one per module."""
