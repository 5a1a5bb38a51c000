"""The encoder study: every method on a pretrained transformer and real text."""
