"""A study that tosses a coin for each seed."""
