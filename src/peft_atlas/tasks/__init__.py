"""Data with named splits."""
