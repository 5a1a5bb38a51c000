"""Parameters and bytes that training a model takes, counted from architecture and documented configuration."""
