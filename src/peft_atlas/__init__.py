"""PEFT Atlas: a reproducible analysis of parameter-efficient fine-tuning."""

__version__ = "0.1.0"
