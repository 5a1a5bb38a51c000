"""Runs that a user has added: compared with full fine-tuning among them, and with a published benchmark."""
